//! The names of pools, slots, workers, revisions and exits. Values only.

/// A pool, for life. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub usize);

/// A slot, for life. Never reused, so that the table has holes where the plan has dropped slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub usize);

/// One worker, for life: its slot, and the n-th worker of that slot.
///
/// Never reused. A pid is reused, so no event, action, log or reply names a worker by its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    pub slot: SlotId,
    /// Counts from 1.
    pub generation: u64,
}

/// One version of a slot's launch spec. Unique within its slot: two workers of one slot that have the same revision
/// were started alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// How a process ended, as waitpid(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The exit status, 0 to 255.
    Code(u8),
    /// The number of the signal that killed it.
    Signal(u8),
}

impl Exit {
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// The status that a shell makes of it: the exit status, or 128 + n for signal n.
    pub fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_death_by_signal_is_128_more_than_its_number() {
        assert_eq!(Exit::Signal(9).status(), 137);
        assert_eq!(Exit::Code(255).status(), 255);
        assert!(!Exit::Signal(15).is_success());
    }
}
