//! How often a slot was replaced of late, and whether that is too often. Told the time, like everything here.

use std::collections::VecDeque;
use std::time::Instant;

use super::policy::MaxRestarts;

/// The replacements that may still count, and the verdict.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    /// When each was called for, the oldest first. Never more than the policy allows.
    at: VecDeque<Instant>,
    are_too_many: bool,
}

impl Restarts {
    /// A worker has ended, or is to go because it fails, and its policy calls for another.
    ///
    /// The end is what counts, not the spawn that follows after the rest. Once there were too many there are, until
    /// [`Restarts::forget`].
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

    pub fn are_too_many(&self) -> bool {
        self.are_too_many
    }

    pub fn forget(&mut self) {
        self.at.clear();
        self.are_too_many = false;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_more_than_allowed_within_the_time_is_too_many_until_forgotten() {
        let (mut restarts, start) = (Restarts::default(), Instant::now());
        let (count, within) = (NonZeroU32::new(2).unwrap(), Duration::from_secs(10));
        let mut verdict = |second| {
            let allowed = Some(MaxRestarts { count, within });
            restarts.note(allowed, start + Duration::from_secs(second));
            restarts.are_too_many()
        };
        let verdicts = [0, 9, 10, 18, 19, 40].map(&mut verdict);
        assert_eq!(verdicts, [false, false, false, true, true, true]);
        assert!(restarts.at.len() <= 2);
        restarts.forget();
        assert!(!restarts.are_too_many());
    }

    #[test]
    fn without_a_limit_nothing_is_remembered() {
        let mut restarts = Restarts::default();
        (0..10).for_each(|_| restarts.note(None, Instant::now()));
        assert!(restarts.at.is_empty() && !restarts.are_too_many());
    }
}
