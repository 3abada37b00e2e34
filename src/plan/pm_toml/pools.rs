//! All pools of a file together: their ports, and how many workers there are. Their order is in [`super::order`], their
//! folders and log files in [`super::paths`].

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::faults::PoolsFault;
use super::keys::File;
use super::pool::{NamedTable, Reader};
use super::types::PortsText;
use crate::plan::text::ports;
use crate::plan::{Http, Plan, SlotsSpec, WORKERS_MAX, defaults};

/// The ports of all pools so far, each with the place where it stands.
type TakenPorts = BTreeMap<u16, Range<usize>>;

/// The plan of a whole file. What is wrong with it is in the reader's findings.
pub fn plan(reader: &mut Reader<'_>, file: &File) -> Plan {
    let entries = entries(file);
    if entries.is_empty() && reader.findings.is_empty() {
        reader.add_fault(0..0, PoolsFault::NoPool);
    }
    let mut taken = TakenPorts::new();
    let mut total = 0;
    let mut pools = Vec::new();
    for entry in &entries {
        let mut slots = reader.slots(entry, &mut taken);
        let before = total;
        total += count(&slots);
        if total > WORKERS_MAX {
            if before <= WORKERS_MAX {
                reader.add_fault(entry.key.clone(), PoolsFault::TooManyWorkers(total));
            }
            // A plan that is refused is not expanded.
            slots = SlotsSpec::Workers(0);
        }
        pools.push(reader.pool(entry, slots));
    }
    reader.order(&entries, &mut pools);
    reader.check_paths(&entries, &pools);
    let ring = file.log.value().and_then(|log| log.ring.value());
    Plan {
        pools,
        sealed: file.sealed.value().is_some_and(|sealed| *sealed),
        chaos: file.chaos.value().is_some_and(|chaos| *chaos),
        ring_bytes: ring.map_or(defaults::RING_BYTES, |size| size.0),
        http: file.http.value().map(|address| Http::at(address.0)),
    }
}

/// The tables of all pools that can be read.
fn entries(file: &File) -> Vec<NamedTable<'_>> {
    let mut entries: Vec<NamedTable<'_>> = Vec::new();
    for (name, field) in file.pool.value().into_iter().flat_map(|pools| &pools.0) {
        if let Some((table, given)) = field.usable() {
            let key = given.key.clone();
            if let Some(last) = entries.last_mut() {
                last.extent.end = key.start;
            }
            entries.push(NamedTable { name, extent: key.start..usize::MAX, key, table });
        }
    }
    entries
}

fn count(slots: &SlotsSpec) -> usize {
    match slots {
        SlotsSpec::Ports(ports) => ports.len(),
        SlotsSpec::Workers(count) | SlotsSpec::PortVariable { workers: count, .. } => *count,
    }
}

impl Reader<'_> {
    /// The slots of a pool.
    fn slots(&mut self, entry: &NamedTable<'_>, taken: &mut TakenPorts) -> SlotsSpec {
        let table = entry.table;
        if let (Some(workers), Some(ports)) = (table.workers.key(), table.ports.key()) {
            self.add_related_fault(workers, PoolsFault::WorkersWithPorts, ports, "the ports");
        }
        if !table.ports.is_given() {
            let workers = table.workers.value().and_then(|count| usize::try_from(count.0).ok());
            return SlotsSpec::Workers(workers.unwrap_or(defaults::WORKERS));
        }
        let mut own = Vec::new();
        let Some((list, given)) = table.ports.usable() else { return SlotsSpec::Ports(own) };
        if list.0.is_empty() {
            self.add_fault(given.at.clone(), PoolsFault::NoPort);
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
                        // An empty part cannot be marked: the whole string is.
                        let at = self.inside(text, &given.at, part);
                        let at = if at.is_empty() { given.at.clone() } else { at };
                        self.add_fault(at, error);
                    }
                },
            }
            // The number of workers is refused already.
            if own.len() > WORKERS_MAX {
                break;
            }
        }
        SlotsSpec::Ports(own)
    }

    /// Gives ports to a pool, or reports the first that another slot has.
    fn take(
        &mut self,
        ports: RangeInclusive<u16>,
        at: &Range<usize>,
        taken: &mut TakenPorts,
        own: &mut Vec<u16>,
    ) {
        if let Some((port, first)) = taken.range(ports.clone()).next() {
            let fault = PoolsFault::PortTwice(*port);
            self.add_related_fault(at.clone(), fault, first.clone(), "the first time");
        }
        for port in ports {
            taken.entry(port).or_insert_with(|| at.clone());
            own.push(port);
        }
    }
}
