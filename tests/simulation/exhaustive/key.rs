//! When two states are one: everything that decides what the supervisor does and what the laws ask for, as a hash of 64
//! bits. In a million states two have the same hash by chance once in 30 million searches.
//!
//! A moment counts by its distance from now, and only while something waits for it. A worker counts without its
//! generation. Each struct is taken apart with all of its fields, so that a new one cannot be forgotten here.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use pm::supervisor::{Event, Outcome, PoolId, Slot, WorkerId};

use super::state::State;
use super::table::Table;
use crate::facts::{Due, Facts, FailedSpare, Others, Replacement, Spare};
use crate::life::Life;
use crate::record::Record;

/// The supervisor sends SIGKILL again after this time.
const KILL_AGAIN: Duration = Duration::from_secs(1);

impl State {
    pub fn key(&self, table: &Table) -> u64 {
        let mut hasher = DefaultHasher::new();
        let to = &mut hasher;
        let State { now, supervisor, record, groups: _, pending, cause } = self;
        supervisor.hash_state(*now, to);
        let Record {
            pools,
            slots,
            spares,
            ends_run,
            ended_by,
            asked_at,
            killing_since,
            finished,
            first_failure,
        } = record;
        let was_just_asked = asked_at.map(|at| at == *now);
        let is_killing = killing_since.is_some();
        let gave_up = finished.first() == Some(&Outcome::GaveUp);
        (
            was_just_asked,
            is_killing,
            record.has_killed_in_vain(*now),
            first_failure,
            finished.len(),
            gave_up,
            ended_by.map(|_| record.outcome()),
        )
            .hash(to);
        if !table.is_symmetric {
            (pools, spares, ends_run).hash(to);
        }
        if !pending.is_empty() {
            (*cause == Some(Event::Tick)).hash(to);
        }
        let mut by_pool: BTreeMap<PoolId, Vec<u64>> = BTreeMap::new();
        for facts in slots {
            let slot = supervisor.slot(facts.slot);
            let hash = hash_slot(slot, facts, *now, table, pending.iter().copied());
            by_pool.entry(facts.pool).or_default().push(hash);
        }
        for (pool, mut slots) in by_pool {
            if table.is_symmetric {
                // Slots of one pool that nothing tells apart are interchangeable.
                slots.sort_unstable();
            }
            (pool, slots).hash(to);
        }
        hasher.finish()
    }
}

fn hash_slot(
    slot: Option<&Slot>,
    facts: &Facts,
    now: Instant,
    table: &Table,
    pending: impl Iterator<Item = Event>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    let to = &mut hasher;
    let memory = table.memory;
    if let Some(slot) = slot {
        slot.hash_state(now, memory, to);
    }
    let Facts {
        slot: id,
        // The same as in the slot, by a law.
        pool: _,
        policy: _,
        revision: _,
        planned,
        wanted,
        life,
        generation,
        last_generation: _,
        others,
        failed_starts,
        failed_at,
        limit,
        has_too_many_restarts,
        due,
        empty_since,
        replacement,
        was_replaced,
        is_away,
        asked,
    } = facts;
    (planned, wanted, table.has_late_events && *generation > 0, limit, has_too_many_restarts)
        .hash(to);
    (replacement.map(|Replacement { revision, policy }| (revision, policy))).hash(to);
    (was_replaced, is_away, asked, (*failed_starts).min(memory.failures)).hash(to);
    failed_at.iter().for_each(|at| now.duration_since(*at).min(memory.restarts).hash(to));
    let past = |at: Instant, longest: Duration| now.duration_since(at).min(longest);
    match due {
        Due::Nothing => 0.hash(to),
        Due::Start => 1.hash(to),
        Due::GiveUp => 2.hash(to),
        Due::TooManyRestarts => 3.hash(to),
        Due::Spawn { backoff } => (backoff, past(*empty_since, *backoff * 2)).hash(to),
    }
    if let Some(life) = life {
        hash_life(life, facts, past, to);
    }
    hash_others(others, now, memory.failures, to);
    facts.shared_deadline().map(|at| at.saturating_duration_since(now)).hash(to);
    facts.spare_deadline().map(|at| at.saturating_duration_since(now)).hash(to);
    for (place, event) in pending.enumerate() {
        match event {
            Event::Spawned(WorkerId { slot, .. }) if slot == *id => (place, 0).hash(to),
            Event::SpawnFailed(WorkerId { slot, .. }) if slot == *id => (place, 1).hash(to),
            _ => {}
        }
    }
    hasher.finish()
}

fn hash_others(others: &Others, now: Instant, failures_max: u32, to: &mut DefaultHasher) {
    let Others { spare, retiring, failed, has_turn } = others;
    has_turn.hash(to);
    let hash_other = |life: &Life, to: &mut DefaultHasher| {
        let Life { revision, has_leader, signalled_at, grace, killed_at, execd_at, .. } = life;
        let past = |at: Instant, longest: Duration| now.duration_since(at).min(longest);
        (revision, has_leader, signalled_at.is_some(), grace, execd_at.is_some()).hash(to);
        if life.keeps_grace() {
            signalled_at.map(|at| past(at, *grace)).hash(to);
        }
        killed_at.map(|at| past(at, KILL_AGAIN)).hash(to);
    };
    spare.is_some().hash(to);
    if let Some(Spare { life, policy, waits_since, has_failed }) = spare {
        hash_other(life, to);
        (policy, waits_since.is_some(), has_failed).hash(to);
    }
    retiring.is_some().hash(to);
    retiring.iter().for_each(|life| hash_other(life, to));
    let failed = failed.map(|FailedSpare { revision, failures, next_at, late_at, is_shared }| {
        let left = |at: Instant| at.saturating_duration_since(now);
        (revision, failures.min(failures_max), next_at.map(left), left(late_at), is_shared)
    });
    failed.hash(to);
}

fn hash_life(
    life: &Life,
    facts: &Facts,
    past: impl Fn(Instant, Duration) -> Duration,
    to: &mut DefaultHasher,
) {
    let Life {
        worker: _,
        revision,
        spawned_at,
        execd_at,
        ready_at: _,
        has_hung,
        has_leader,
        signalled_at,
        grace,
        killed_at,
    } = life;
    (revision, life.was_ready(), has_hung, has_leader).hash(to);
    if life.is_starting() {
        let wait = facts.policy.ready.wait();
        (past(*spawned_at, wait), execd_at.map(|at| past(at, wait))).hash(to);
    }
    if life.keeps_grace() {
        signalled_at.map(|at| (past(at, *grace), grace)).hash(to);
    }
    (signalled_at.is_some(), killed_at.map(|at| past(at, KILL_AGAIN))).hash(to);
}
