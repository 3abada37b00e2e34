//! The terminals of workers to whose slots clients are attached: keys go in, the size is that of the clients, and what
//! is written is kept in [`super::screens`]. Without such a client, nothing of this runs.

use nix::pty::Winsize;

use super::pipes::Typed;
use super::ring::Kind;
use super::screens::Screen;
use super::{Device, Output, Registrar};
use crate::supervisor::{SlotId, WorkerId};

/// At most this much of what was written before is shown to a client that attaches.
const SHOWN_BYTES_MAX: usize = 32 * 1024;

/// What a client is shown when it attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    Output(Vec<u8>),
    /// The report of a worker's end.
    Death(String),
}

impl Output {
    /// A client attaches to this slot. Returns what its workers wrote last, in at most this many lines, with the line
    /// that has no end yet; and the place on the screen where new output will be.
    pub fn attach(&mut self, slot: SlotId, rows: usize) -> (Vec<Before>, u64) {
        let before = self.last_screen(slot, rows);
        (before, self.screens.open(slot).end())
    }

    /// Forgets the screens without a client. Their size is none by now.
    pub fn retain_screens(&mut self, is_attached: impl Fn(SlotId) -> bool) {
        self.screens.retain(is_attached);
    }

    /// True if a client is attached to some slot.
    pub fn has_screens(&self) -> bool {
        !self.screens.is_empty()
    }

    /// The slots to which clients are attached.
    pub fn attached_slots(&self) -> Vec<SlotId> {
        self.screens.slots().collect()
    }

    /// What is shown of this slot, if a client is attached to it.
    pub fn screen(&self, slot: SlotId) -> Option<&Screen> {
        self.screens.get(slot)
    }

    /// pm has said this of the slot.
    pub fn note_on_screen(&mut self, slot: SlotId, words: &str) {
        self.screens.note(slot, words);
    }

    /// What the latest worker of this slot writes to, while it can be written to.
    pub fn device(&self, slot: SlotId) -> Option<Device> {
        self.pipes.device(slot)
    }

    /// The terminals of the clients have this size together: the worker's gets it, or without one its own again.
    pub fn fit_screen(&mut self, slot: SlotId, size: Option<Winsize>) {
        let own = self.terminal_size();
        let screen = self.screens.open(slot);
        if screen.size != size {
            screen.size = size;
            self.pipes.resize_slot(slot, size.unwrap_or(own));
        }
    }

    /// Has the worker draw its screen again, if it does such things.
    pub fn redraw_screen(&mut self, slot: SlotId) {
        if let Some(size) = self.screens.get(slot).and_then(|screen| screen.size) {
            self.pipes.announce_size(slot, size);
        }
    }

    /// Types these keys. Where the terminal takes only some of them, the poll tells when it takes more.
    pub fn type_keys(&mut self, slot: SlotId, keys: &[u8], registrar: &mut Registrar<'_>) -> Typed {
        self.pipes.type_keys(slot, keys, registrar)
    }

    /// The size of the terminal of the next worker of this slot.
    pub fn terminal_size_of(&self, slot: SlotId) -> Winsize {
        let size = self.screens.get(slot).and_then(|screen| screen.size);
        size.unwrap_or_else(|| self.terminal_size())
    }

    fn last_screen(&self, slot: SlotId, rows: usize) -> Vec<Before> {
        let mut bytes = 0;
        let of_slot = move |worker: WorkerId| worker.slot == slot;
        let lines = self.ring.lines(1, of_slot).rev().take(rows);
        let mut lines: Vec<_> = lines
            .take_while(|line| {
                bytes += line.bytes.len() + 1;
                bytes <= SHOWN_BYTES_MAX
            })
            .collect();
        lines.reverse();
        let mut shown: Vec<Before> = Vec::new();
        for line in lines {
            match (line.kind, shown.last_mut()) {
                (Kind::Death, _) => {
                    shown.push(Before::Death(String::from_utf8_lossy(line.bytes).into_owned()));
                }
                (Kind::Output, Some(Before::Output(text))) => {
                    text.push(b'\n');
                    text.extend_from_slice(line.bytes);
                }
                (Kind::Continuation, Some(Before::Output(text))) => {
                    text.extend_from_slice(line.bytes);
                }
                (Kind::Output | Kind::Continuation, _) => {
                    shown.push(Before::Output(line.bytes.to_vec()));
                }
            }
        }
        for part in &mut shown {
            if let Before::Output(text) = part {
                text.push(b'\n');
            }
        }
        let unfinished = self.pipes.unfinished(slot);
        if !unfinished.is_empty() {
            shown.push(Before::Output(unfinished));
        }
        shown
    }
}
