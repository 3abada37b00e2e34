//! What the workers of attached slots have written to their terminals lately, as they wrote it, with what pm has said
//! of them. Readers hold a place in it, and no queue of their own: one that falls behind is told how much it has lost.
//!
//! A slot has a screen only while a client is attached to it ([`super::attached`]).

use std::collections::{BTreeMap, VecDeque};

use nix::pty::Winsize;

use crate::supervisor::SlotId;

/// What is kept for readers that are behind.
pub const SCREEN_BYTES_MAX: usize = 64 * 1024;

/// Pieces are joined up to this length.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The screens of the attached slots.
#[derive(Debug, Default)]
pub struct Screens(BTreeMap<SlotId, Screen>);

/// What is shown of one slot.
#[derive(Debug, Default)]
pub struct Screen {
    pieces: VecDeque<Piece>,
    /// The place after the last byte. Places count from the first byte that was ever shown.
    end: u64,
    /// That of the smallest terminal of its readers, if one has told its own.
    pub size: Option<Winsize>,
}

#[derive(Debug)]
struct Piece {
    kind: Kind,
    start: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Output,
    Note,
}

/// What follows a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    Nothing,
    /// This many bytes are not kept any more.
    Lost(u64),
    Output(&'a [u8]),
    /// pm says it.
    Note(&'a [u8]),
}

impl Screens {
    /// The screen of this slot, from now on.
    pub fn open(&mut self, slot: SlotId) -> &mut Screen {
        self.0.entry(slot).or_default()
    }

    pub fn get(&self, slot: SlotId) -> Option<&Screen> {
        self.0.get(&slot)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn slots(&self) -> impl Iterator<Item = SlotId> {
        self.0.keys().copied()
    }

    /// Forgets the screens that have no reader.
    pub fn retain(&mut self, has_reader: impl Fn(SlotId) -> bool) {
        self.0.retain(|slot, _| has_reader(*slot));
    }

    /// A worker of this slot has written this.
    pub fn show(&mut self, slot: SlotId, bytes: &[u8]) {
        if let Some(screen) = self.0.get_mut(&slot) {
            screen.add(Kind::Output, bytes);
        }
    }

    /// pm has said this of the slot.
    pub fn note(&mut self, slot: SlotId, words: &str) {
        if let Some(screen) = self.0.get_mut(&slot) {
            screen.add(Kind::Note, words.as_bytes());
        }
    }
}

impl Screen {
    /// The place after all that was shown.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What follows this place.
    pub fn after(&self, place: u64) -> Shown<'_> {
        let start = self.pieces.front().map_or(self.end, |piece| piece.start);
        if place < start {
            return Shown::Lost(start - place);
        }
        let index = self.pieces.partition_point(|piece| piece.end() <= place);
        let Some(piece) = self.pieces.get(index) else { return Shown::Nothing };
        let seen = usize::try_from(place - piece.start).unwrap_or(usize::MAX);
        let rest = piece.bytes.get(seen..).unwrap_or_default();
        match piece.kind {
            Kind::Output => Shown::Output(rest),
            Kind::Note => Shown::Note(rest),
        }
    }

    fn add(&mut self, kind: Kind, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.pieces.back_mut() {
            Some(last)
                if (last.kind, kind) == (Kind::Output, Kind::Output)
                    && last.bytes.len() + bytes.len() <= PIECE_BYTES_MAX =>
            {
                last.bytes.extend_from_slice(bytes);
            }
            Some(_) | None => {
                self.pieces.push_back(Piece { kind, start: self.end, bytes: bytes.to_vec() });
            }
        }
        self.end += bytes.len() as u64;
        let oldest = self.end.saturating_sub(SCREEN_BYTES_MAX as u64);
        while self.pieces.front().is_some_and(|piece| piece.start < oldest) {
            self.pieces.pop_front();
        }
    }
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: SlotId = SlotId(1);

    #[test]
    fn what_was_shown_comes_in_order_from_any_place() {
        let mut screens = Screens::default();
        screens.show(SLOT, b"before there is a reader");
        screens.open(SLOT);
        screens.show(SLOT, b"ab");
        screens.show(SLOT, b"c");
        screens.note(SLOT, "ended");
        screens.show(SLOT, b"d");
        screens.show(SlotId(2), b"of another slot");
        let screen = screens.get(SLOT).unwrap();
        assert_eq!(screen.after(0), Shown::Output(b"abc"));
        assert_eq!(screen.after(2), Shown::Output(b"c"));
        assert_eq!(screen.after(3), Shown::Note(b"ended"));
        assert_eq!(screen.after(8), Shown::Output(b"d"));
        assert_eq!((screen.after(9), screen.end()), (Shown::Nothing, 9));
    }

    #[test]
    fn a_reader_that_is_behind_is_told_how_much_it_has_lost() {
        let mut screens = Screens::default();
        screens.open(SLOT);
        for _ in 0..10 {
            screens.show(SLOT, &[b'x'; 10_000]);
        }
        let screen = screens.get(SLOT).unwrap();
        let kept: usize = screen.pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(kept <= SCREEN_BYTES_MAX && kept > SCREEN_BYTES_MAX - 20_000, "{kept}");
        let lost = screen.end() - kept as u64;
        assert_eq!(screen.after(0), Shown::Lost(lost));
        assert!(matches!(screen.after(lost), Shown::Output(_)));
    }

    #[test]
    fn small_pieces_are_joined_and_a_screen_without_a_reader_is_forgotten() {
        let mut screens = Screens::default();
        screens.open(SLOT);
        (0..100_000).for_each(|_| screens.show(SLOT, b"x"));
        assert!(screens.get(SLOT).unwrap().pieces.len() <= SCREEN_BYTES_MAX / PIECE_BYTES_MAX + 1);
        screens.retain(|_| false);
        assert!(screens.get(SLOT).is_none());
    }
}
