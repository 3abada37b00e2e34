//! All that a frame shows, and how keys and news of pm change it. Without a clock, a terminal or a socket: the time is
//! told, and what is to be done outside is an [`Effect`].
//!
//! [`slots`] are the rows of the table, [`rows`] the lines of the workers, [`log`] which of them are shown and where,
//! [`filter`] what is looked for, [`prompt`] a line that is typed; [`press`] says what each key does.

pub mod filter;
pub mod log;
mod press;
pub mod prompt;
pub mod rows;
pub mod slots;

use jiff::{SignedDuration, Timestamp, Zoned};

use self::log::Log;
use self::prompt::Prompt;
use self::slots::Slots;
use super::layout::Layout;
use super::order::Order;
use super::totals::Totals;
use crate::sys::usage::TotalUsage;
use crate::wire::{LogLine, PmStatus, SlotDetail, SlotStatus, Status, Time};

/// How long a note stays.
const NOTE_FOR: SignedDuration = SignedDuration::from_secs(5);

/// What is shown.
#[derive(Debug)]
pub struct State {
    pub look: Look,
    pub columns: u16,
    pub rows: u16,
    pub now: Zoned,
    /// The file that pm runs, as it is shown.
    pub title: String,
    pub pm: Option<PmStatus>,
    pub link: Link,
    pub slots: Slots,
    pub log: Log,
    /// What the why pane explains.
    pub detail: Option<SlotDetail>,
    /// Deaths that are scrolled away in it.
    pub skipped_deaths: usize,
    pub totals: Option<Totals>,
    pub mode: Mode,
    pub note: Option<Note>,
    pub view: Options,
    /// The time, also while the screen is frozen.
    clock: Timestamp,
    /// The status that came while the screen was frozen.
    held: Option<Box<Status>>,
    /// What was typed after `:` last.
    last_command: String,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub glyphs: Glyphs,
    pub colours: Colours,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    #[default]
    Unicode,
    Ascii,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    #[default]
    Some,
    None,
}

pub const SILENT: &str = "pm does not answer; perhaps it is suspended";

/// Whether there is a pm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Live,
    /// It is there and does not answer.
    Silent,
    /// It has ended, or cannot be reached: why.
    Gone(String),
}

/// What the keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Browse,
    Filter(Prompt),
    Command(Prompt),
    /// A question, and the command that `y` gives.
    Confirm {
        question: String,
        command: String,
    },
    Help,
}

/// Something to read for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub words: String,
    pub tone: Tone,
    since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    /// It goes on, so the note stays.
    Pending,
}

/// What was switched on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is switched by a key of its own")]
pub struct Options {
    /// The log has the whole screen.
    pub zoom: bool,
    pub times: bool,
    pub mouse: Mouse,
    /// The why pane; `None`: where there is room beside the log.
    pub why: Option<bool>,
    pub scope: Scope,
    pub frozen: bool,
}

/// For whom the mouse is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mouse {
    /// The terminal, which can select with it.
    #[default]
    Left,
    Captured,
}

/// Whose lines the log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those of the slots that keys act on.
    #[default]
    Meant,
    All,
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Effect {
    Quit,
    /// To the shell, until it continues this.
    Suspend,
    /// Draw every cell again.
    Redraw,
    Copy(String),
    CaptureMouse(Mouse),
    Ask(Order),
}

impl State {
    pub fn new(look: Look, columns: u16, rows: u16, now: Zoned) -> Self {
        Self {
            look,
            columns,
            rows,
            clock: now.timestamp(),
            now,
            title: String::new(),
            pm: None,
            link: Link::Live,
            slots: Slots::default(),
            log: Log::default(),
            detail: None,
            skipped_deaths: 0,
            totals: None,
            mode: Mode::Browse,
            note: None,
            view: Options::default(),
            held: None,
            last_command: String::new(),
        }
    }

    /// The time, as pm writes one.
    pub fn time(&self) -> Time {
        Time(self.now.timestamp())
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Zoned) {
        let is_over = |note: &Note| {
            note.tone != Tone::Pending && now.timestamp().duration_since(note.since) >= NOTE_FOR
        };
        self.clock = now.timestamp();
        if self.note.as_ref().is_some_and(is_over) {
            self.note = None;
        }
        if !self.view.frozen {
            self.now = now;
        }
    }

    /// How pm and its slots are.
    pub fn take_status(&mut self, status: Status) {
        if self.view.frozen {
            self.held = Some(Box::new(status));
            return;
        }
        self.pm = Some(status.pm);
        self.slots.set(status.slots);
        self.rescope();
    }

    pub fn take_line(&mut self, line: LogLine) {
        self.log.push(line);
    }

    /// Another pm runs now.
    pub fn begin_again(&mut self, words: &str) {
        let time = self.time();
        self.log.begin_again(words, time);
        self.detail = None;
    }

    pub fn take_detail(&mut self, detail: SlotDetail) {
        if self.detail.as_ref().is_none_or(|old| old.status.slot != detail.status.slot) {
            self.skipped_deaths = 0;
        }
        self.detail = Some(detail);
    }

    pub fn take_usage(&mut self, slot: &str, at: Timestamp, usage: TotalUsage) {
        self.slots.add_usage(slot, at, usage);
    }

    pub fn say(&mut self, words: &str, tone: Tone) {
        let since = self.clock;
        self.note = Some(Note { words: words.to_owned(), tone, since });
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        (self.columns, self.rows) = (columns, rows);
    }

    /// The slot whose deaths are to be asked for.
    pub fn wants_detail(&self) -> Option<&str> {
        if self.view.frozen || Layout::of(self).why.is_none() {
            return None;
        }
        let slot = self.slots.selected()?;
        let death = |slot: &SlotStatus| slot.last_death.as_ref().map(|death| death.generation);
        let is_known = self.detail.as_ref().is_some_and(|detail| {
            detail.status.slot == slot.slot && death(&detail.status) == death(slot)
        });
        (!is_known).then_some(slot.slot.as_str())
    }

    /// Places the view of the log, which depends on the size of the screen. A frame is drawn after this.
    pub fn settle(&mut self) {
        let layout = Layout::of(self);
        let width = usize::from(layout.log.width);
        let [columns, of_deaths] = [rows::Kind::Output, rows::Kind::Death]
            .map(|kind| width.saturating_sub(self.prefix_columns_of(kind)).max(1));
        self.log.settle(log::Size { columns, of_deaths, height: layout.log.height.into() });
    }

    /// The columns that stand before the text of a line. A death always has its time.
    pub fn prefix_columns_of(&self, kind: rows::Kind) -> usize {
        let has_time = self.view.times || kind == rows::Kind::Death;
        let times = if has_time { super::layout::TIME_COLUMNS } else { 0 };
        1 + times + self.name_columns().map_or(0, |columns| columns + 3)
    }

    /// The width of the names before the lines, if lines of more than one slot are shown.
    pub fn name_columns(&self) -> Option<usize> {
        let slots: Vec<&SlotStatus> = match self.view.scope {
            Scope::All => self.slots.all().iter().collect(),
            Scope::Meant => self.slots.meant(),
        };
        let widest = slots.iter().map(|slot| slot.slot.chars().count()).max();
        widest.filter(|_| slots.len() > 1 || self.view.scope == Scope::All)
    }

    /// The log has the lines of the slots that are meant now.
    fn rescope(&mut self) {
        match self.view.scope {
            Scope::All => self.log.set_scope(None),
            Scope::Meant => {
                let names: Vec<_> =
                    self.slots.meant().iter().map(|slot| slot.slot.clone()).collect();
                self.log.set_scope(Some(&names));
            }
        }
    }

    fn freeze(&mut self) {
        self.view.frozen = true;
        self.log.hold();
    }

    fn unfreeze(&mut self) {
        self.view.frozen = false;
        self.log.follow();
        if let Some(status) = self.held.take() {
            self.take_status(*status);
        }
    }
}

#[cfg(test)]
mod tests;
