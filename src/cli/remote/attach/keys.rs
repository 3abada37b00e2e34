//! Which keys go to the worker, and when the command is to detach. Bytes in, bytes out.

use crate::cli::remote::args::DetachKey;

/// The keys of a terminal, of which one detaches.
#[derive(Debug)]
pub struct Keys {
    detach: DetachKey,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Typing,
    /// The key that detaches was pressed. Pressed again, it goes to the worker.
    Pressed,
    Detached,
}

impl Keys {
    pub fn new(detach: DetachKey) -> Self {
        Self { detach, state: State::Typing }
    }

    /// The keys of these that go to the worker.
    pub fn take(&mut self, typed: &[u8]) -> Vec<u8> {
        let mut keys = Vec::with_capacity(typed.len());
        for byte in typed {
            let is_detach = self.detach == DetachKey::Key(*byte);
            self.state = match (self.state, is_detach) {
                (State::Typing, true) => State::Pressed,
                (State::Typing, false) | (State::Pressed, true) => {
                    keys.push(*byte);
                    State::Typing
                }
                (State::Pressed, false) | (State::Detached, _) => State::Detached,
            };
        }
        keys
    }

    /// Whether the next key decides what the last one meant.
    pub fn is_undecided(&self) -> bool {
        self.state == State::Pressed
    }

    /// No key has followed in time.
    pub fn decide(&mut self) {
        if self.state == State::Pressed {
            self.state = State::Detached;
        }
    }

    pub fn are_detached(&self) -> bool {
        self.state == State::Detached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(DetachKey::Key(0x1d))
    }

    #[test]
    fn the_key_detaches_and_twice_it_goes_to_the_worker() {
        let mut keys = keys();
        assert_eq!(keys.take(b"c\n"), b"c\n");
        assert_eq!(keys.take(b"a\x1d\x1db"), b"a\x1db");
        assert_eq!(keys.take(b"\x1d"), b"");
        assert_eq!(keys.take(b"\x1dx"), b"\x1dx");
        assert!(!keys.are_detached());
        assert_eq!(keys.take(b"last\x1d"), b"last");
        assert!(keys.is_undecided() && !keys.are_detached());
        keys.decide();
        assert!(keys.are_detached() && !keys.is_undecided());
    }

    #[test]
    fn another_key_after_it_detaches_at_once_and_goes_nowhere() {
        let mut keys = keys();
        assert_eq!(keys.take(b"a\x1dbc\x1d\x1d"), b"a");
        assert!(keys.are_detached());
        assert_eq!(keys.take(b"d"), b"");
    }

    #[test]
    fn without_such_a_key_all_go_to_the_worker() {
        let mut keys = Keys::new(DetachKey::None);
        assert_eq!(keys.take(b"\x1d\x03\0"), b"\x1d\x03\0");
        keys.decide();
        assert!(!keys.are_detached());
    }
}
