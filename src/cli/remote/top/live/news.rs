//! What pm says, and what it is asked; what happens when it is gone, and when another one is there.

use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::super::super::deadline::Deadline;
use super::super::super::failure::Failure;
use super::super::link::{Asked, Link, News, Source};
use super::super::state::{self, State, Tone};
use super::super::title;
use super::{
    AFTER_REFUSAL, COLUMNS_FOR_TOTALS, DETAIL, LINES, Left, Live, SLOTS_FOR_TOTALS, STATUS, TOTALS,
};
use crate::wire::{EventKind, PmStatus, Status};

impl Live<'_> {
    /// The connections are new.
    pub(super) fn begin(&mut self) {
        let news = self.link.as_mut().map(Link::arrived);
        self.take_in(news.into_iter().flatten());
    }

    pub(super) fn read_pm(&mut self, source: Source) {
        let Some(link) = &mut self.link else { return };
        let news = link.read(source);
        if source == Source::Lines {
            self.next_lines = Deadline::after(Some(LINES));
        }
        self.take_in(news);
    }

    pub(super) fn take_in(&mut self, news: impl IntoIterator<Item = News>) {
        for news in news {
            self.is_changed |= !self.state.view.frozen;
            match news {
                News::Happened(event) => {
                    self.is_stale = true;
                    self.wants_totals = true;
                    if let EventKind::Report { slot: None, words, .. } = &event.kind {
                        self.state.say(words, Tone::Good);
                    }
                }
                News::Line(line) => self.state.take_line(line),
                News::Status(status) => self.take_status(*status),
                News::Detail(detail) => self.state.take_detail(*detail),
                News::Totals(totals) => self.state.totals = Some(totals),
                News::Done(words) => self.state.say(&words, Tone::Good),
                News::Refused(Asked::Order, words) => self.state.say(&words, Tone::Bad),
                News::Refused(Asked::Status, words) => {
                    self.state.say(&words, Tone::Bad);
                    self.is_stale = true;
                    self.next_status = Deadline::after(Some(AFTER_REFUSAL));
                }
                News::Refused(Asked::Detail | Asked::Totals, _) => {}
                News::Gone(words) => self.lose(words),
            }
        }
    }

    fn take_status(&mut self, status: Status) {
        let names = |state: &State| -> Vec<String> {
            state.slots.all().iter().map(|slot| slot.slot.clone()).collect()
        };
        let before = names(&self.state);
        self.state.take_status(status);
        if let Some(link) = self.link.as_mut().filter(|_| before != names(&self.state)) {
            self.replaced += 1;
            match link.renew_lines(self.state.log.rows.last_number()) {
                Ok(()) => self.begin(),
                Err(failure) => self.state.say(&failure.to_string(), Tone::Bad),
            }
        }
    }

    /// pm has ended. The last screen stays.
    fn lose(&mut self, words: String) {
        if self.link.take().is_none() {
            return;
        }
        self.replaced += 1;
        self.state.link = state::Link::Gone(words);
        self.state.note = None;
        self.is_stale = false;
        self.is_changed = true;
        let folder = self.socket.parent().filter(|folder| !folder.as_os_str().is_empty());
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        self.appears = inotify.ok().filter(|inotify| {
            let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            // Without it, pm is looked for once a second.
            inotify.add_watch(folder.unwrap_or(Path::new(".")), flags).is_ok()
        });
        self.look_for_pm();
    }

    /// Asks the pm that listens now, if there is one.
    pub(super) fn look_for_pm(&mut self) {
        if self.link.is_some() || self.opening.is_some() {
            return;
        }
        if let Some(folder) = &self.appears {
            // Which file it was, the connection shows.
            while folder.read_events().is_ok() {}
        }
        self.opening = Link::ask_for(self.session, self.slots).ok();
    }

    /// Goes on with the pm that has begun to answer.
    pub(super) fn open(&mut self) -> Option<Left> {
        let asked = self.opening.take()?;
        let before = self.state.pm.clone();
        let last = self.state.log.rows.last_number();
        let is_same = |pm: &PmStatus| {
            before.as_ref().is_some_and(|old| (old.pid, old.started_at) == (pm.pid, pm.started_at))
        };
        let after = |status: &Status| is_same(&status.pm).then_some(last);
        let (link, status) = match Link::open(self.session, self.slots, asked, after) {
            Ok(opened) => opened,
            Err(failure @ Failure::Problem(_)) if before.is_none() => {
                return Some(Left::Failed(failure));
            }
            // It is looked for again in the next second.
            Err(_) => return None,
        };
        if !is_same(&status.pm) {
            if before.is_some() {
                self.state.begin_again(&format!("another pm runs now (pid {})", status.pm.pid));
            }
            self.state.title = title(status.pm.plan.as_deref(), self.socket);
        }
        self.link = Some(link);
        self.appears = None;
        self.state.link = state::Link::Live;
        self.state.take_status(status);
        self.is_changed = true;
        self.begin();
        None
    }

    /// True if the deaths that are to be shown are not asked for yet.
    pub(super) fn lacks_detail(&self) -> bool {
        let is_free = |link: &Link| !link.is_asking(Asked::Detail);
        self.link.as_ref().is_some_and(is_free) && self.state.wants_detail().is_some()
    }

    /// Asks pm for what is missing.
    pub(super) fn ask(&mut self) {
        let Some(link) = &mut self.link else { return };
        let mut news = Vec::new();
        if self.is_stale && self.next_status.is_over() && !link.is_asking(Asked::Status) {
            self.is_stale = false;
            self.next_status = Deadline::after(Some(STATUS));
            news.extend(link.ask_status());
        }
        let wanted = self.state.wants_detail().filter(|_| !link.is_asking(Asked::Detail));
        if let Some(slot) = wanted.filter(|_| self.next_detail.is_over()) {
            self.next_detail = Deadline::after(Some(DETAIL));
            news.extend(link.ask_detail(slot));
        }
        let is_wide = self.state.columns >= COLUMNS_FOR_TOTALS;
        let is_small = self.state.slots.all().len() <= SLOTS_FOR_TOTALS;
        if self.wants_totals && is_wide && is_small && self.next_totals.is_over() {
            self.wants_totals = false;
            self.next_totals = Deadline::after(Some(TOTALS));
            news.extend(link.ask_totals());
        }
        self.take_in(news);
    }
}
