//! Counts the restarts of a slot and decides whether they are too many. Reads no clock: the time is passed in.
//!
//! What follows when they are too many is in [`super::slot`].

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use super::policy::MaxRestarts;

/// The restarts that still count, and whether they are too many.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts {
    /// The oldest first. Never more than the policy allows.
    at: VecDeque<Instant>,
    are_too_many: bool,
}

impl Restarts {
    /// A worker has failed and is to be followed by another.
    ///
    /// The moment of the failure counts, not the moment of the spawn after the backoff. Once there are too many
    /// restarts, there are too many until [`Restarts::forget`].
    pub fn note(&mut self, allowed: Option<MaxRestarts>, now: Instant) {
        let Some(MaxRestarts { count, within }) = allowed else {
            return self.forget();
        };
        while self.at.front().is_some_and(|at| *at + within <= now) {
            self.at.pop_front();
        }
        if self.at.len() < count.get() as usize {
            self.at.push_back(now);
        } else {
            self.are_too_many = true;
        }
    }

    /// True if there were too many with one more now.
    pub fn would_be_too_many(&self, allowed: Option<MaxRestarts>, now: Instant) -> bool {
        let mut next = self.clone();
        next.note(allowed, now);
        next.are_too_many
    }

    pub fn are_too_many(&self) -> bool {
        self.are_too_many
    }

    /// See [`super::state_hash`]. Restarts that are older than `memory` are alike.
    pub fn hash_state(&self, now: Instant, memory: Duration, to: &mut impl Hasher) {
        let Self { at, are_too_many } = self;
        are_too_many.hash(to);
        at.len().hash(to);
        at.iter().for_each(|at| now.saturating_duration_since(*at).min(memory).hash(to));
    }

    pub fn forget(&mut self) {
        self.at.clear();
        self.are_too_many = false;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn one_restart_more_than_allowed_is_too_many_until_forgotten() {
        let start = Instant::now();
        let count = NonZeroU32::new(2).unwrap();
        let within = Duration::from_secs(10);
        let mut restarts = Restarts::default();
        let are_too_many = [0, 9, 10, 18, 19, 40].map(|second| {
            let allowed = Some(MaxRestarts { count, within });
            restarts.note(allowed, start + Duration::from_secs(second));
            restarts.are_too_many()
        });
        assert_eq!(are_too_many, [false, false, false, true, true, true]);
        assert!(restarts.at.len() <= 2);
        restarts.forget();
        assert!(!restarts.are_too_many());
    }

    #[test]
    fn without_a_limit_nothing_is_stored() {
        let mut restarts = Restarts::default();
        (0..10).for_each(|_| restarts.note(None, Instant::now()));
        assert!(restarts.at.is_empty());
        assert!(!restarts.are_too_many());
    }
}
