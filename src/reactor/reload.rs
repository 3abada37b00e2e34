//! A plan becomes the table: at the start, and again each time that the file has changed (SIGUSR1).
//!
//! Slots are known again by their port, or without one by their pool and number. One whose worker could not notice the
//! change keeps it; one that could is replaced in its turn, which is the supervisor's to decide.

use std::collections::BTreeMap;
use std::io;

use super::Reactor;
use super::place::{Orders, Place};
use super::source::Source;
use super::words::{self, Changes};
use crate::plan::{Plan, Pool, SlotPlan};
use crate::supervisor::{Event, PoolEntry, PoolId, SlotEntry, SlotId, TableSpec, Wanted};
use crate::sys::own_process;

/// By what a slot is known again in a changed plan. A port is owned for life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Port(u16),
    Number(String, usize),
}

/// A plan that has been taken in.
pub(super) struct Revision {
    pub roster: TableSpec,
    changes: Changes,
    /// The slots that are to be started for it.
    pub added: Vec<SlotId>,
}

impl Key {
    fn of(pool: &str, slot: &SlotPlan) -> Self {
        match slot.port {
            Some(port) => Self::Port(port),
            None => Self::Number(pool.to_owned(), slot.n),
        }
    }
}

impl Reactor {
    /// Reads the file again. One with a fault changes nothing.
    pub(super) fn reload(&mut self) {
        let Some(reread) = &self.reread else {
            return self.console.say(&words::nothing_to_reload(), self.now);
        };
        if self.supervisor.is_draining() {
            return self.console.say(&words::reload_too_late(), self.now);
        }
        let plan = reread();
        let revision = plan.and_then(|plan| {
            self.take_in(&plan).map_err(|error| vec![words::cannot_notify(&error)])
        });
        match revision {
            Ok(Revision { roster, changes, added }) => {
                self.console.say(&words::reloaded(&changes), self.now);
                let mut actions = Vec::new();
                self.supervisor.revise(roster, self.now, &mut actions);
                self.carry_out(actions);
                added.into_iter().for_each(|slot| self.handle(Event::Start(slot)));
                self.tell_who_waits();
            }
            Err(faults) => {
                for fault in &faults {
                    self.console.say(fault, self.now);
                }
                self.console.say(&words::reload_refused(faults.len()), self.now);
            }
        }
        // What nginx does on this signal, whether or not there was something new to read.
        self.logs.files.reopen();
        self.close_files();
        own_process::let_go_of_code();
    }

    /// Gives every slot of this plan its place and its orders. What is left is the supervisor's to know, and to decide.
    ///
    /// # Errors
    /// If there is no socket for a worker to notify on. Then nothing has changed.
    pub(super) fn take_in(&mut self, plan: &Plan) -> io::Result<Revision> {
        self.memory.prepare(plan);
        let mut known: BTreeMap<_, _> = { &self.places }
            .iter()
            .map(|(slot, place)| (Key::of(&place.wanted().pool_name, &place.wanted().plan), *slot))
            .collect();
        let mut orders = Vec::new();
        for (pool, slot) in plan.slots() {
            let id = known.remove(&Key::of(&pool.name, slot)).unwrap_or_else(|| {
                let next = SlotId(self.next_slot.0 + 1);
                std::mem::replace(&mut self.next_slot, next)
            });
            orders.push((id, pool.policy, self.orders(id, pool, slot)?));
        }
        let ids: Vec<_> = plan.pools.iter().map(|pool| self.pool_id(&pool.name)).collect();
        let pools = ids.iter().zip(&plan.pools).map(|(id, pool)| PoolEntry {
            pool: *id,
            after: pool.after.iter().map(|other| ids[*other]).collect(),
        });
        let mut roster = TableSpec { pools: pools.collect(), slots: Vec::new() };
        let (mut changes, mut added) = (Changes::default(), Vec::new());
        for (slot, policy, orders) in orders {
            let pool = self.pool_id(&orders.pool_name);
            let name = orders.plan.name.clone();
            let is_wanted = |slot| slot != Wanted::Gone;
            let is_there = self.supervisor.slot(slot).is_some_and(|slot| is_wanted(slot.wanted()));
            let is_changed = self.place_orders(slot, pool, orders);
            match (is_there, is_changed) {
                (false, _) => {
                    added.push(slot);
                    changes.added.push(name);
                }
                (true, true) => changes.rolled.push(name),
                (true, false) => changes.kept += 1,
            }
            roster.slots.push(SlotEntry { slot, pool, policy, is_changed });
        }
        let removed = known.values().filter(|slot| {
            self.supervisor.slot(**slot).is_some_and(|slot| slot.wanted() != Wanted::Gone)
        });
        changes.removed = removed.map(|slot| self.places[slot].name().to_owned()).collect();
        self.console.make_room_for(plan.slots().map(|(_, slot)| slot.name.as_str()));
        for (slot, place) in &self.places {
            self.logs.relabel(*slot, &self.console.label(place.name(), slot.0));
        }
        self.logs.resize(self.console.room());
        self.has_turns = plan.pools.iter().any(|pool| !pool.after.is_empty());
        Ok(Revision { roster, changes, added })
    }

    /// Puts the orders where they belong. True if the worker that is there has to be replaced for them.
    fn place_orders(&mut self, slot: SlotId, pool: PoolId, orders: Orders) -> bool {
        let Some(place) = self.places.get_mut(&slot) else {
            self.places.insert(slot, Place::new(pool, orders, self.now));
            return false;
        };
        place.pool = pool;
        let (is, wanted) = (&place.orders.plan, &orders.plan);
        if is.exec != wanted.exec {
            place.next = Some(orders);
            return true;
        }
        let is_watched_otherwise = is.alive != wanted.alive;
        let is_awaited_otherwise = is.ready.by != wanted.ready.by;
        place.next = None;
        place.orders = orders;
        self.logs.redirect(slot, self.places[&slot].orders.plan.log.as_ref());
        let Some(worker) = self.supervisor.slot(slot).map(|slot| slot.worker()) else {
            return false;
        };
        if is_watched_otherwise && self.supervisor.serves(worker) {
            self.keep_watch(worker);
        } else if is_awaited_otherwise && self.supervisor.awaits_ready(worker) {
            self.stop_watching(worker);
            self.await_ready(worker);
            self.logs.look_for(slot, self.places[&slot].orders.awaited_line());
        }
        false
    }

    fn orders(&mut self, id: SlotId, pool: &Pool, slot: &SlotPlan) -> io::Result<Orders> {
        let token = Source::Notices(id).token();
        let notify_socket = match slot.exec.notifies {
            true => Some(self.notices.open(id, self.poll.registry(), token)?),
            false => None,
        };
        let mut orders = Orders::new(pool, slot, &self.variables, notify_socket);
        if self.memory.is_by_cgroups() {
            orders.launch = orders.launch.without_memory_limit();
        }
        Ok(orders)
    }

    /// The id of the pool of this name, a new one if there never was such a pool.
    fn pool_id(&mut self, name: &str) -> PoolId {
        let known = self.pools.iter().find(|(_, known)| *known == name);
        known.map(|(id, _)| *id).unwrap_or_else(|| {
            let id = PoolId(self.pools.len());
            self.pools.insert(id, name.to_owned());
            id
        })
    }

    /// Forgets the slots that the supervisor has forgotten.
    pub(super) fn forget_removed(&mut self) {
        let is_gone = |slot: &SlotId| self.supervisor.slot(*slot).is_none();
        let gone: Vec<_> = self.places.keys().copied().filter(is_gone).collect();
        for slot in gone {
            self.places.remove(&slot);
            self.notices.close(slot);
        }
        self.close_files();
    }

    /// Closes the files that no slot writes to any more.
    fn close_files(&mut self) {
        let is_written = |path: &std::path::Path| {
            let mut files = self.places.values().filter_map(|place| place.orders.plan.log.as_ref());
            files.any(|file| file.path == path)
        };
        self.logs.files.retain(is_written);
    }
}
