//! The metrics of a run for one client: written in slices as it takes them, so that many slots need no more memory.
//!
//! [`families`] is what there is, [`text`] how it is written. The facts are counted elsewhere:
//! [`super::super::slots::measures`]. One series is of one moment; a client that reads slowly gets those that follow as
//! they are later.

mod families;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use self::families::{FAMILIES, Write};
use self::text::Text;
use super::super::output::Output;
use super::super::slots::measures::PURPOSES;
use super::http::{Connection, Head, Status};
use super::logs::More;
use super::problems;
use super::rest::Rest;
use super::status::View;
use crate::plan::text::suggest::Suggestion;
use crate::supervisor::{PoolId, SlotId, Wanted};
use crate::sys::Children;
use crate::wire::Problem;

pub use self::text::Dialect;

/// What one client gets.
#[derive(Debug)]
pub struct Metrics {
    dialect: Dialect,
    slots: Vec<Named>,
    pools: Vec<(PoolId, String)>,
    /// The family that is written next, and how many of its slots or pools are written.
    next: (usize, usize),
    /// Text that had no room yet.
    rest: Rest,
}

/// A slot, and its labels.
#[derive(Debug)]
struct Named {
    id: SlotId,
    pool: String,
    slot: String,
}

/// Everything that metrics are made from, at one moment.
pub struct Source<'a> {
    pub view: View<'a>,
    pub output: &'a Output,
    pub children: &'a Children,
    /// How many requests were answered, by the code of the status.
    pub requests: &'a BTreeMap<u16, u64>,
    /// How many lines clients were not given because they read too slowly.
    pub missed_lines: u64,
    /// How many clients are connected.
    pub clients: usize,
    pub wakeups: u64,
}

impl Metrics {
    /// `pools` are the names of those that the client has selected; empty for all.
    ///
    /// # Errors
    /// If there is no such pool.
    pub fn new(dialect: Dialect, pools: &[String], view: View<'_>) -> Result<Self, Box<Problem>> {
        let mut known = BTreeMap::new();
        let mut slots = Vec::new();
        let mut names = BTreeSet::new();
        // Where a slot that goes has the name of one that comes, there is one series.
        let (gone, there): (Vec<_>, Vec<_>) =
            view.supervisor.slots().partition(|slot| slot.wanted() == Wanted::Gone);
        for slot in there.into_iter().chain(gone) {
            let Some(facts) = view.slots.identity(slot.id()) else { continue };
            known.insert(view.slots.pool(slot.id()), facts.pool.to_owned());
            let is_meant = pools.is_empty() || pools.iter().any(|pool| pool == facts.pool);
            if is_meant && names.insert(facts.name.to_owned()) {
                let (pool, slot_name) = (facts.pool.to_owned(), facts.name.to_owned());
                slots.push(Named { id: slot.id(), pool, slot: slot_name });
            }
        }
        if let Some(wrong) = pools.iter().find(|pool| known.values().all(|name| name != *pool)) {
            let suggestion = Suggestion::of(wrong, known.values().map(String::as_str));
            let detail = format!("there is no pool `{wrong}`; {suggestion}");
            return Err(problems::new(404, "no-such-pool", "No such pool", detail));
        }
        known.retain(|_, name| pools.is_empty() || pools.contains(name));
        let pools = known.into_iter().collect();
        Ok(Self { dialect, slots, pools, next: (0, 0), rest: Rest::default() })
    }

    pub fn head(&self) -> Head {
        Head::new(Status::Ok, self.dialect.content_type())
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff")
    }

    /// Gives the client what comes next, as far as there is room.
    pub fn fill(&mut self, source: &Source<'_>, connection: &mut Connection) -> More {
        let mut more = More::No;
        loop {
            if !self.rest.give(connection) {
                return more;
            }
            if !self.write_next(source) {
                connection.end_stream();
                return More::No;
            }
            more = More::Yes;
        }
    }

    /// Writes the head of a family, or its samples of one slot or pool. False if nothing is left.
    fn write_next(&mut self, source: &Source<'_>) -> bool {
        let (family, item) = self.next;
        let Some((family, write)) = FAMILIES.get(family) else {
            // Its line is the last one, once.
            let is_due = self.next.1 == 0 && self.dialect == Dialect::OpenMetrics;
            if is_due {
                self.rest.text().push_str("# EOF\n");
                self.next.1 = 1;
            }
            return is_due;
        };
        let mut text = Text { dialect: self.dialect, family: *family, written: self.rest.text() };
        if item == 0 {
            text.head();
        }
        let count = match write {
            Write::Run(write) => {
                write(source, &mut text);
                1
            }
            Write::Purposes(times) => {
                if let Some((id, name)) = self.pools.get(item) {
                    let none = Default::default();
                    let pool = source.view.slots.times(*id).unwrap_or(&none);
                    for (purpose, times) in PURPOSES.iter().zip(times(pool)) {
                        text.histogram(&[("pool", name), ("purpose", purpose)], times);
                    }
                }
                self.pools.len()
            }
            Write::RunAndSlot(write_run, write) => {
                if item == 0 {
                    write_run(source, &mut text);
                }
                if let Some(Named { id, pool, slot }) = self.slots.get(item) {
                    write(source, *id, [("pool", pool), ("slot", slot)], &mut text);
                }
                self.slots.len()
            }
            Write::Pool(times) => {
                if let Some((id, name)) = self.pools.get(item) {
                    let none = Default::default();
                    let pool = source.view.slots.times(*id).unwrap_or(&none);
                    text.histogram(&[("pool", name)], times(pool));
                }
                self.pools.len()
            }
            Write::Slot(write) => {
                if let Some(Named { id, pool, slot }) = self.slots.get(item) {
                    write(source, *id, [("pool", pool), ("slot", slot)], &mut text);
                }
                self.slots.len()
            }
        };
        self.next = if item + 1 < count { (self.next.0, item + 1) } else { (self.next.0 + 1, 0) };
        true
    }
}
