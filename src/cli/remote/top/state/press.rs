//! What each key does. Keys that change something are the commands that can be typed after `:`.

use std::collections::BTreeSet;

use super::super::columns;
use super::super::keys::Key;
use super::super::layout::Layout;
use super::super::order::{self, Order, Typed};
use super::filter::Filter;
use super::log::{Step, View};
use super::prompt::Prompt;
use super::{Effect, Mode, Mouse, Scope, State, Tone};
use crate::plan::text::phrase;
use crate::wire::SlotStatus;

/// What one press to the side moves the text.
const SIDESTEP: usize = 8;
/// What one turn of the wheel moves.
const WHEEL: isize = 3;

impl State {
    /// A key was pressed.
    pub fn press(&mut self, key: &Key) -> Option<Effect> {
        if *key == Key::Ctrl('c') {
            return Some(Effect::Quit);
        }
        match &mut self.mode {
            Mode::Browse => self.browse(key),
            Mode::Filter(_) => {
                self.type_filter(key);
                None
            }
            Mode::Command(_) => self.type_command(key),
            Mode::Confirm { command, .. } => {
                let command = std::mem::take(command);
                self.mode = Mode::Browse;
                if *key == Key::Char('y') { self.give(&command) } else { None }
            }
            Mode::Help => {
                self.mode = Mode::Browse;
                (*key == Key::Char('q')).then_some(Effect::Quit)
            }
        }
    }

    fn browse(&mut self, key: &Key) -> Option<Effect> {
        match key {
            Key::Char(c) => return self.letter(*c),
            Key::Up => self.step(-1),
            Key::Down => self.step(1),
            Key::Home => self.go_to_first(),
            Key::End => self.go_to_last(),
            Key::PageUp | Key::Ctrl('b') => self.log.move_by(-self.page()),
            Key::PageDown => self.log.move_by(self.page()),
            Key::Ctrl('u') => self.log.move_by(-self.page() / 2),
            Key::Ctrl('d') => self.log.move_by(self.page() / 2),
            Key::WheelUp => self.log.move_by(-WHEEL),
            Key::WheelDown => self.log.move_by(WHEEL),
            Key::Left => self.log.offset = self.log.offset.saturating_sub(SIDESTEP),
            Key::Right => self.log.offset = self.log.offset.saturating_add(SIDESTEP).min(1 << 16),
            Key::Enter => self.view.zoom = !self.view.zoom,
            Key::Esc => self.back(),
            Key::Click(_, row) => self.click(*row),
            Key::Ctrl('z') => return Some(Effect::Suspend),
            Key::Ctrl('l') => return Some(Effect::Redraw),
            Key::Paste(_) => self.say("a paste is no command; `:` takes one", Tone::Bad),
            Key::Ctrl(_) | Key::Tab | Key::Backspace | Key::Delete => {}
        }
        None
    }

    fn letter(&mut self, letter: char) -> Option<Effect> {
        match letter {
            'q' => return Some(Effect::Quit),
            'j' => self.step(1),
            'k' => self.step(-1),
            'g' => self.go_to_first(),
            'G' => self.go_to_last(),
            ' ' => self.mark(),
            '+' => self.view.zoom = true,
            '_' => self.view.zoom = false,
            'f' if self.log.view() == View::Follow => self.log.hold(),
            'f' => self.log.follow(),
            'n' => self.log.go_to_match(Step::Newer),
            'N' => self.log.go_to_match(Step::Older),
            'w' => self.view.why = Some(Layout::of(self).why.is_none()),
            ']' => self.skipped_deaths += 1,
            '[' => self.skipped_deaths = self.skipped_deaths.saturating_sub(1),
            'W' => self.log.wrap = !self.log.wrap,
            't' => self.view.times = !self.view.times,
            'a' => self.switch_scope(),
            'S' => self.slots.reverse(),
            '0' => self.slots.sort_by(None),
            '1'..='9' => self.sort(letter),
            '/' => self.mode = Mode::Filter(Prompt::of(self.log.filter().text())),
            ':' => self.mode = Mode::Command(Prompt::default()),
            '?' => self.mode = Mode::Help,
            'p' if self.view.frozen => self.unfreeze(),
            'p' => self.freeze(),
            'm' => {
                self.view.mouse = match self.view.mouse {
                    Mouse::Left => Mouse::Captured,
                    Mouse::Captured => Mouse::Left,
                };
                return Some(Effect::CaptureMouse(self.view.mouse));
            }
            'y' => return self.copy(),
            's' | 'r' | 'x' | 'X' | 'R' | 'Q' => return self.change(letter),
            _ => {}
        }
        None
    }

    /// Another slot, or in the zoomed log another line.
    fn step(&mut self, rows: isize) {
        if self.view.zoom {
            return self.log.move_by(rows);
        }
        self.slots.move_by(rows, self.time());
        self.selected_another();
    }

    fn go_to_first(&mut self) {
        if self.view.zoom { self.log.go_to_start() } else { self.step(isize::MIN) }
    }

    fn go_to_last(&mut self) {
        if self.view.zoom { self.log.follow() } else { self.step(isize::MAX) }
    }

    fn selected_another(&mut self) {
        self.skipped_deaths = 0;
        self.rescope();
    }

    fn page(&self) -> isize {
        isize::from(Layout::of(self).log.height.max(2).cast_signed()) - 1
    }

    fn mark(&mut self) {
        self.slots.mark();
        self.slots.move_by(1, self.time());
        self.selected_another();
    }

    /// One thing after another goes back to how it was: the zoom, the filter, the marks, the place in the log.
    fn back(&mut self) {
        if self.view.zoom {
            self.view.zoom = false;
        } else if !self.log.filter().is_empty() {
            self.log.set_filter(Filter::default());
        } else if self.slots.has_marks() {
            self.slots.unmark_all();
            self.rescope();
        } else {
            self.log.follow();
            self.note = None;
        }
    }

    fn switch_scope(&mut self) {
        self.view.scope = match self.view.scope {
            Scope::Meant => Scope::All,
            Scope::All => Scope::Meant,
        };
        self.rescope();
    }

    /// By the n-th column that is shown.
    fn sort(&mut self, digit: char) {
        let n = digit.to_digit(10).and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        let shown = columns::sortable(self);
        match shown.get(n - 1) {
            Some(by) => self.slots.sort_by(Some(*by)),
            None => self
                .say(&format!("the table has {}", phrase::count(shown.len(), "column")), Tone::Bad),
        }
    }

    fn click(&mut self, row: u16) {
        let layout = Layout::of(self);
        let name = layout.slot_at(self, row).map(|slot| slot.slot.clone());
        if let Some(name) = name {
            self.slots.select(&name);
            self.selected_another();
        }
    }

    fn copy(&mut self) -> Option<Effect> {
        let text = super::super::line::plain(&self.log.current()?.text);
        self.say("the line is copied, if the terminal allows it (OSC 52)", Tone::Good);
        Some(Effect::Copy(text))
    }

    fn type_filter(&mut self, key: &Key) {
        let Mode::Filter(prompt) = &mut self.mode else { return };
        match key {
            Key::Enter => self.mode = Mode::Browse,
            Key::Esc => {
                self.mode = Mode::Browse;
                self.log.set_filter(Filter::default());
            }
            // The lines can be looked at meanwhile.
            Key::Up => self.log.move_by(-1),
            Key::Down => self.log.move_by(1),
            Key::PageUp => self.log.move_by(-self.page()),
            Key::PageDown => self.log.move_by(self.page()),
            key => {
                if prompt.take(key) {
                    let filter = Filter::new(prompt.text());
                    self.log.set_filter(filter);
                }
            }
        }
    }

    fn type_command(&mut self, key: &Key) -> Option<Effect> {
        let Mode::Command(prompt) = &mut self.mode else { return None };
        match key {
            Key::Enter => {
                let command = prompt.text().trim().to_owned();
                self.mode = Mode::Browse;
                if command.is_empty() {
                    return None;
                }
                self.last_command.clone_from(&command);
                return self.give(&command);
            }
            Key::Esc => self.mode = Mode::Browse,
            Key::Up => *prompt = Prompt::of(&self.last_command),
            Key::Backspace if prompt.text().is_empty() => self.mode = Mode::Browse,
            key => {
                prompt.take(key);
            }
        }
        None
    }

    /// The command of a key that changes something.
    fn change(&mut self, letter: char) -> Option<Effect> {
        if letter == 'Q' {
            let question = "stop all workers and end pm?".into();
            self.mode = Mode::Confirm { question, command: "shutdown".into() };
            return None;
        }
        let meant = self.slots.meant();
        if meant.is_empty() {
            return None;
        }
        let names = meant.iter().map(|slot| slot.slot.as_str()).collect::<Vec<_>>().join(" ");
        let command = match letter {
            's' => format!("start {names}"),
            'r' => format!("restart {names}"),
            'x' => format!("stop {names}"),
            'X' => format!("stop --now {names}"),
            _ => {
                let pools: BTreeSet<_> = meant.iter().map(|slot| slot.pool.as_str()).collect();
                let pools = Vec::from_iter(pools).join(" ");
                let slots = if self.slots.has_marks() { &names } else { &pools };
                format!("restart --roll {slots}")
            }
        };
        let is_stop = matches!(letter, 'x' | 'X');
        if let Some(pools) = whole_pools(self.slots.all(), &meant).filter(|_| is_stop) {
            let question = format!("stop all of {pools}?");
            self.mode = Mode::Confirm { question, command };
            return None;
        }
        self.give(&command)
    }

    /// Does what a command says, or says why not.
    fn give(&mut self, command: &str) -> Option<Effect> {
        match order::read(command) {
            Ok(Typed::Order(order)) => {
                let Order { words, .. } = &order;
                self.say(&words.clone(), Tone::Pending);
                Some(Effect::Ask(order))
            }
            Ok(Typed::Why(words)) => {
                if self.find(&words) {
                    self.view.why = Some(true);
                    self.view.zoom = false;
                }
                None
            }
            Ok(Typed::Status(words)) => {
                self.view.zoom = false;
                self.find(&words);
                None
            }
            Ok(Typed::Logs { slots, grep }) => {
                if slots.is_empty() {
                    self.view.scope = Scope::All;
                    self.rescope();
                } else {
                    self.find(&slots);
                }
                if let Some(grep) = grep {
                    self.log.set_filter(Filter::new(&grep));
                }
                None
            }
            Ok(Typed::Quit) => Some(Effect::Quit),
            Err(words) => {
                self.say(&words, Tone::Bad);
                None
            }
        }
    }

    /// Selects the slot that these words mean; marks them if they mean several.
    fn find(&mut self, words: &[String]) -> bool {
        let is_meant = |slot: &&SlotStatus| words.iter().any(|word| order::means(word, slot));
        let found: Vec<_> =
            self.slots.all().iter().filter(is_meant).map(|slot| slot.slot.clone()).collect();
        let Some(first) = found.first() else {
            if !words.is_empty() {
                self.say(&format!("there is no {}", words.join(", ")), Tone::Bad);
            }
            return words.is_empty();
        };
        self.slots.unmark_all();
        if found.len() > 1 {
            for name in &found {
                self.slots.select(name);
                self.slots.mark();
            }
        }
        self.slots.select(first);
        self.view.scope = Scope::Meant;
        self.selected_another();
        true
    }
}

/// The pools of several slots of which all slots are meant, as a list.
fn whole_pools(all: &[SlotStatus], meant: &[&SlotStatus]) -> Option<String> {
    let pools: BTreeSet<_> = meant.iter().map(|slot| slot.pool.as_str()).collect();
    let count = |pool: &str, slots: &mut dyn Iterator<Item = &SlotStatus>| {
        slots.filter(|slot| slot.pool == pool).count()
    };
    let is_whole = |pool: &&str| {
        let of_all = count(pool, &mut all.iter());
        of_all > 1 && count(pool, &mut meant.iter().copied()) == of_all
    };
    let whole: Vec<_> = pools.into_iter().filter(is_whole).collect();
    (!whole.is_empty()).then(|| phrase::list_and(&whole))
}
