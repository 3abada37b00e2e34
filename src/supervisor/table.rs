//! The slots, and an index of them, so that no event has to walk over all slots: an event about one slot costs
//! O(log n).
//!
//! Nothing is decided here. Each change of a slot goes through [`SlotTable::change`], which keeps the index right.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Instant;

use super::ids::{PoolId, SlotId};
use super::phase::Wanted;
use super::slot::Slot;
use super::slot::flags::{Flag, Going};
use super::spec::SlotEntry;

/// The slots, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotTable {
    slots: BTreeMap<SlotId, Slot>,
    index: Index,
}

/// What is known of all slots without a look at each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    deadlines: BTreeSet<(Instant, SlotId)>,
    flags: BTreeSet<(Flag, PoolId, SlotId)>,
    /// Those that have a worker that is ending ([`Slot::ending`]).
    ending: BTreeSet<SlotId>,
    /// How many slots are not idle.
    not_idle: usize,
    /// How many slots go on by themselves.
    not_ended: usize,
    /// How many slots of each pool are over, and how many are not; no entry where there are none.
    pools: BTreeMap<PoolId, Tally>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    over: usize,
    left: usize,
}

/// What the index knows of one slot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    pool: PoolId,
    deadline: Option<Instant>,
    /// In the order of [`Flag::ALL`].
    flags: [bool; Flag::ALL.len()],
    is_ending: bool,
    is_idle: bool,
    going: Going,
}

impl SlotTable {
    pub fn get(&self, id: SlotId) -> Option<&Slot> {
        visit(1);
        self.slots.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> + Clone {
        visit(self.slots.len());
        self.slots.values()
    }

    pub fn ids(&self) -> impl Iterator<Item = SlotId> {
        self.slots.keys().copied()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds the slot of this entry, if there is none yet.
    pub fn insert(&mut self, entry: &SlotEntry) {
        let index = &mut self.index;
        self.slots.entry(entry.slot).or_insert_with(|| {
            let slot = Slot::new(entry);
            index.add(slot.id(), Entry::of(&slot));
            slot
        });
    }

    pub fn remove(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.remove(&id) {
            self.index.remove(id, Entry::of(&slot));
        }
    }

    /// Lets `change` change this slot, if there is one: a command can be about a slot that the plan has just lost.
    pub fn change(&mut self, id: SlotId, change: impl FnOnce(&mut Slot)) {
        visit(1);
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let before = Entry::of(slot);
        change(slot);
        let after = Entry::of(slot);
        if before != after {
            self.index.change(id, before, after);
        }
    }

    /// The earliest deadline of all phases.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.index.deadlines.first().map(|(at, _)| *at)
    }

    /// The slots whose deadlines have come, the earliest first.
    pub fn due(&self, now: Instant) -> Vec<SlotId> {
        let due = self.index.deadlines.range(..=(now, SlotId(usize::MAX)));
        due.map(|(_, slot)| *slot).collect()
    }

    /// True if some slot of the pool has this flag.
    pub fn has(&self, flag: Flag, pool: PoolId) -> bool {
        self.flagged(flag, pool).next().is_some()
    }

    /// The slots of the pool that have this flag, in order.
    pub fn flagged(&self, flag: Flag, pool: PoolId) -> impl Iterator<Item = SlotId> {
        let all = (flag, pool, SlotId(0))..=(flag, pool, SlotId(usize::MAX));
        self.index.flags.range(all).map(|(_, _, slot)| *slot)
    }

    /// The pools of the slots that have this flag, in order. Costs O(log n) a pool.
    pub fn pools(&self, flag: Flag) -> impl Iterator<Item = PoolId> {
        let mut from = Bound::Included((flag, PoolId(0), SlotId(0)));
        std::iter::from_fn(move || {
            let (next, pool, _) = *self.index.flags.range((from, Bound::Unbounded)).next()?;
            from = Bound::Excluded((flag, pool, SlotId(usize::MAX)));
            (next == flag).then_some(pool)
        })
    }

    /// True if no slot has any flag, so that there is nothing to decide between slots.
    pub fn has_no_flags(&self) -> bool {
        self.index.flags.is_empty()
    }

    /// True if the worker of some slot is ending.
    pub fn is_any_ending(&self) -> bool {
        !self.index.ending.is_empty()
    }

    /// The slots whose worker is ending, in order.
    pub fn ending(&self) -> impl Iterator<Item = &Slot> {
        self.index.ending.iter().filter_map(|id| self.get(*id))
    }

    pub fn are_all_idle(&self) -> bool {
        self.index.not_idle == 0
    }

    /// True if no slot goes on by itself.
    pub fn have_all_ended(&self) -> bool {
        self.index.not_ended == 0
    }

    /// True if the pool has slots and all of them have ended or given up.
    pub fn has_pool_ended(&self, pool: PoolId) -> bool {
        self.index.pools.get(&pool).is_some_and(|tally| tally.over > 0 && tally.left == 0)
    }

    pub fn is_any_wanted_up(&self) -> bool {
        self.slots.values().any(|slot| slot.wanted() == Wanted::Up)
    }

    /// What must be true between two events. Walks over all slots, so it is for debug builds.
    pub fn check_invariants(&self) {
        let mut index = Index::default();
        self.slots.iter().for_each(|(id, slot)| index.add(*id, Entry::of(slot)));
        debug_assert_eq!(self.index, index, "the index is what the slots are at");
        let forgotten = self.pools(Flag::IsForgotten).next();
        debug_assert_eq!(forgotten, None, "a slot that is gone is forgotten");
    }
}

impl Index {
    fn add(&mut self, id: SlotId, entry: Entry) {
        self.deadlines.extend(entry.deadline.map(|at| (at, id)));
        self.flags.extend(entry.flags_of(id));
        self.ending.extend(entry.is_ending.then_some(id));
        self.not_idle += usize::from(!entry.is_idle);
        self.not_ended += usize::from(entry.going == Going::On);
        *self.count_in_pool(entry) += 1;
    }

    fn remove(&mut self, id: SlotId, entry: Entry) {
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, id));
        }
        for flag in entry.flags_of(id) {
            self.flags.remove(&flag);
        }
        if entry.is_ending {
            self.ending.remove(&id);
        }
        self.not_idle -= usize::from(!entry.is_idle);
        self.not_ended -= usize::from(entry.going == Going::On);
        *self.count_in_pool(entry) -= 1;
        if self.pools.get(&entry.pool) == Some(&Tally::default()) {
            self.pools.remove(&entry.pool);
        }
    }

    /// Only what is different is looked up: all of it in another pool.
    fn change(&mut self, id: SlotId, before: Entry, after: Entry) {
        let (lost, new) = if before.pool == after.pool {
            (before.without(after), after.without(before))
        } else {
            (before, after)
        };
        self.remove(id, lost);
        self.add(id, new);
    }

    /// How many slots of its pool are like this one.
    fn count_in_pool(&mut self, entry: Entry) -> &mut usize {
        let tally = self.pools.entry(entry.pool).or_default();
        if entry.going == Going::Over { &mut tally.over } else { &mut tally.left }
    }
}

impl Entry {
    fn of(slot: &Slot) -> Self {
        Self {
            pool: slot.pool(),
            deadline: slot.deadline(),
            flags: Flag::ALL.map(|flag| slot.has(flag)),
            is_ending: slot.ending().next().is_some(),
            is_idle: slot.is_empty(),
            going: slot.going(),
        }
    }

    /// The same, but without its places in the sets of the index that the other has too.
    fn without(self, other: Self) -> Self {
        Self {
            deadline: self.deadline.filter(|at| other.deadline != Some(*at)),
            flags: std::array::from_fn(|n| self.flags[n] && !other.flags[n]),
            is_ending: self.is_ending && !other.is_ending,
            ..self
        }
    }

    fn flags_of(self, id: SlotId) -> impl Iterator<Item = (Flag, PoolId, SlotId)> {
        let flags = Flag::ALL.into_iter().zip(self.flags).filter(|(_, has_it)| *has_it);
        flags.map(move |(flag, _)| (flag, self.pool, id))
    }
}

/// Counts the slots that are read or changed, for the tests of what an event costs.
#[cfg(test)]
fn visit(slots: usize) {
    VISITS.set(VISITS.get() + slots);
}

#[cfg(not(test))]
fn visit(_slots: usize) {}

/// How many slots were read or changed in this thread since the last call.
#[cfg(test)]
pub(super) fn take_visits() -> usize {
    VISITS.take()
}

#[cfg(test)]
thread_local! {
    static VISITS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
