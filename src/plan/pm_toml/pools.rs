//! What concerns several pools: their ports, their order, how many workers there are in all.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::keys::File;
use super::pool::{PoolEntry, Reader};
use super::types::{PortsText, Text};
use crate::plan::text::ports;
use crate::plan::text::suggest::{advice, listed};
use crate::plan::{Fault, LogFile, Plan, Pool, WORKERS_MAX};

/// Any port: where a pool's own are wrong, the rest of it is looked at with this.
const SOME_PORT: u16 = 1;

/// The plan of a whole file; what is wrong with it is in the reader's findings.
pub fn plan(reader: &mut Reader<'_>, file: &File) -> Plan {
    let mut pools: Vec<PoolEntry<'_>> = Vec::new();
    for (name, field) in file.pool.value().into_iter().flat_map(|pools| &pools.0) {
        if let Some((table, given)) = field.usable() {
            let key = given.key.clone();
            if let Some(last) = pools.last_mut() {
                last.extent.end = key.start;
            }
            pools.push(PoolEntry { name, extent: key.start..usize::MAX, key, table });
        }
    }
    if pools.is_empty() && reader.findings.is_empty() {
        let message = "this file keeps nothing alive: there is no pool in it";
        reader.note(0..0, message, "write `[pool.web]` and `command = [\"./server\"]` below it");
    }
    let mut taken = BTreeMap::new();
    let mut total = 0;
    let mut made = Vec::new();
    for named in &pools {
        let mut ports = reader.ports(named, &mut taken);
        let before = total;
        total += ports.len();
        if total > WORKERS_MAX {
            if before <= WORKERS_MAX {
                let message = format!("with this pool there are {total} workers");
                reader.note(named.key.clone(), message, format!("{WORKERS_MAX} is the most"));
            }
            ports.truncate(1);
        }
        made.push(reader.pool(named, &ports));
    }
    reader.order(&pools, &mut made);
    reader.logs(&pools, &made);
    Plan { pools: made }
}

impl Reader<'_> {
    /// The port of each slot of a pool, none for those of a pool without ports.
    fn ports(
        &mut self,
        named: &PoolEntry<'_>,
        taken: &mut BTreeMap<u16, Range<usize>>,
    ) -> Vec<Option<u16>> {
        let table = named.table;
        if let (Some(workers), Some(ports)) = (table.workers.given(), table.ports.given()) {
            let fault = self.fault(workers.key.clone(), "`workers` does not go with `ports`");
            let fault = fault.help("there is one worker for each port; take one of the two out");
            self.findings.add(fault.related(ports.key.clone(), "the ports"));
        }
        if !table.ports.is_given() {
            let workers = table.workers.value().and_then(|count| usize::try_from(count.0).ok());
            return vec![None; workers.unwrap_or(1)];
        }
        let mut own = Vec::new();
        let Some((list, given)) = table.ports.usable() else { return vec![Some(SOME_PORT)] };
        if list.0.is_empty() {
            self.note(given.at.clone(), "there is no port in this list", "give 8080, say");
        }
        for (text, given) in list.usable() {
            match text {
                PortsText::One(port) => self.take(*port..=*port, &given.at, taken, &mut own),
                PortsText::Several(text) => match ports::parts(text) {
                    Ok(parts) => {
                        for part in parts {
                            let at = self.inside(text, &given.at, part.at);
                            self.take(part.ports, &at, taken, &mut own);
                        }
                    }
                    Err((part, error)) => {
                        // Of an empty part there is nothing to be shown.
                        let at = self.inside(text, &given.at, part);
                        let at = if at.is_empty() { given.at.clone() } else { at };
                        self.findings.add(Fault::of(self.file, at, error));
                    }
                },
            }
            // More than can be: what is wrong with it is said once, by the number of workers.
            if own.len() > WORKERS_MAX {
                break;
            }
        }
        if own.is_empty() { vec![Some(SOME_PORT)] } else { own }
    }

    /// Gives ports to the pool, or says who has the first that is taken.
    fn take(
        &mut self,
        ports: std::ops::RangeInclusive<u16>,
        at: &Range<usize>,
        taken: &mut BTreeMap<u16, Range<usize>>,
        own: &mut Vec<Option<u16>>,
    ) {
        if let Some((port, first)) = taken.range(ports.clone()).next() {
            let fault = self.fault(at.clone(), format!("port {port} is there twice"));
            let fault = fault.help("a slot owns its port alone; give one of the two another");
            self.findings.add(fault.related(first.clone(), "the first time"));
        }
        for port in ports {
            taken.entry(port).or_insert_with(|| at.clone());
            own.push(Some(port));
        }
    }

    /// Fills in which pool comes after which.
    fn order(&mut self, pools: &[PoolEntry<'_>], made: &mut [Pool]) {
        let names: Vec<_> = pools.iter().map(|named| named.name).collect();
        let index: BTreeMap<_, _> = names.iter().zip(0..).map(|(name, n)| (*name, n)).collect();
        let mut places = BTreeMap::new();
        for (own, named) in pools.iter().enumerate() {
            let after = named.table.after.value();
            for (Text(name), given) in after.into_iter().flat_map(|after| after.usable()) {
                match index.get(name.as_str()) {
                    Some(other) if *other == own => {
                        let message = format!("`{name}` cannot come after itself");
                        self.note(given.at.clone(), message, "name another pool");
                    }
                    Some(other) if made[own].after.contains(other) => {
                        let message = format!("`{name}` is there twice");
                        self.note(given.at.clone(), message, "once is enough");
                    }
                    Some(other) => {
                        made[own].after.push(*other);
                        places.insert((own, *other), given.at.clone());
                    }
                    None if self.findings.is_full() => {}
                    None => {
                        let message = format!("there is no pool `{name}`");
                        let others = names.iter().copied().filter(|other| *other != named.name);
                        self.note(given.at.clone(), message, meant(name, others));
                    }
                }
            }
        }
        for cycle in cycles(made) {
            let mut words: Vec<_> = cycle.iter().map(|pool| made[*pool].name.as_str()).collect();
            words.push(words[0]);
            let words = words.join(" -> ");
            let at = places[&(cycle[0], *cycle.get(1).unwrap_or(&cycle[0]))].clone();
            let message = format!("these pools wait for each other: {words}");
            self.note(at, message, "take one of them out of an `after`");
        }
    }

    /// No two slots write to one file.
    fn logs(&mut self, pools: &[PoolEntry<'_>], made: &[Pool]) {
        let mut writers: BTreeMap<PathBuf, (&str, Range<usize>)> = BTreeMap::new();
        for (named, pool) in pools.iter().zip(made) {
            let log = named.table.log.value();
            let Some(given) = log.and_then(|log| log.file.given()) else { continue };
            for slot in &pool.slots {
                let Some(log) = &slot.log else { continue };
                let writer = (slot.name.as_str(), given.at.clone());
                let known = files_of(log).find_map(|path| writers.get(&path));
                let Some((first, at)) = known else {
                    writers.extend(files_of(log).map(|path| (path, writer.clone())));
                    continue;
                };
                let message = format!("`{first}` and `{}` would write to one file", slot.name);
                let fault = self.fault(given.at.clone(), message);
                let fault = fault.help("put `{slot}` in it");
                let is_here = *at == given.at;
                let at = at.clone();
                self.findings.add(if is_here { fault } else { fault.related(at, "the first") });
                break;
            }
        }
    }
}

/// The file and those that it is put aside as. More than a few nobody gives such names by accident.
fn files_of(log: &LogFile) -> impl Iterator<Item = PathBuf> {
    const NUMBERED_MAX: u32 = 100;
    let numbered = (1..=log.keep.min(NUMBERED_MAX)).map(|n| {
        let mut path = log.path.clone().into_os_string();
        path.push(format!(".{n}"));
        path.into()
    });
    std::iter::once(log.path.clone()).chain(numbered)
}

fn meant<'a>(written: &str, others: impl Iterator<Item = &'a str> + Clone) -> String {
    // A screen of names helps nobody.
    const NAMED_MAX: usize = 10;
    match others.clone().count() {
        0 => "this is the only pool; take `after` out".into(),
        1..=NAMED_MAX => advice(written, others),
        _ => match crate::plan::text::suggest::nearest(written, others.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there is {} and more", listed(others.take(NAMED_MAX))),
        },
    }
}

/// The pools that wait for themselves by way of others, each cycle once, from the pool that stands first in it.
fn cycles(pools: &[Pool]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Visit {
        Never,
        Now,
        Done,
    }
    let mut visits = vec![Visit::Never; pools.len()];
    let mut found = Vec::new();
    for start in 0..pools.len() {
        if visits[start] != Visit::Never {
            continue;
        }
        // The way to where we are, and how many of its last one's `after` have been followed.
        let mut way = vec![(start, 0)];
        visits[start] = Visit::Now;
        while let Some((pool, followed)) = way.last_mut() {
            let Some(next) = pools[*pool].after.get(*followed).copied() else {
                visits[*pool] = Visit::Done;
                way.pop();
                continue;
            };
            *followed += 1;
            match visits[next] {
                Visit::Never => {
                    visits[next] = Visit::Now;
                    way.push((next, 0));
                }
                Visit::Now => {
                    let begin = way.iter().position(|(pool, _)| *pool == next);
                    let begin = begin.expect("what is being visited is on the way");
                    let mut cycle: Vec<_> = way[begin..].iter().map(|(pool, _)| *pool).collect();
                    let first = cycle.iter().enumerate().min_by_key(|(_, pool)| **pool);
                    let first = first.map_or(0, |(index, _)| index);
                    cycle.rotate_left(first);
                    found.push(cycle);
                }
                Visit::Done => {}
            }
        }
    }
    found
}
