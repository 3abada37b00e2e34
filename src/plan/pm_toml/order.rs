//! `after`: which pools start before which, and that no circle of them waits for itself.

use std::collections::BTreeMap;
use std::ops::Range;

use super::faults::PoolsFault;
use super::pool::{NamedTable, Reader};
use super::types::Text;
use crate::plan::Pool;
use crate::plan::text::suggest::Suggestion;

impl Reader<'_> {
    /// Sets `after` of each pool.
    pub fn order(&mut self, entries: &[NamedTable<'_>], pools: &mut [Pool]) {
        let names = entries.iter().map(|entry| entry.name);
        let index: BTreeMap<_, _> = names.zip(0..).collect();
        let mut places = BTreeMap::new();
        for (own, entry) in entries.iter().enumerate() {
            let after = entry.table.after.value();
            for (Text(name), given) in after.into_iter().flat_map(|after| after.usable()) {
                match index.get(name.as_str()) {
                    Some(other) if *other == own => {
                        self.add_fault(given.at.clone(), PoolsFault::AfterItself(name.clone()));
                    }
                    Some(other) if pools[own].after.contains(other) => {
                        self.add_fault(given.at.clone(), PoolsFault::AfterTwice(name.clone()));
                    }
                    Some(other) => {
                        pools[own].after.push(*other);
                        places.insert((own, *other), given.at.clone());
                    }
                    None => self.add_no_such_pool(name, given.at.clone(), entry, entries),
                }
            }
        }
        for circle in circles(pools) {
            let mut names: Vec<_> = circle.iter().map(|pool| pools[*pool].name.clone()).collect();
            names.push(names[0].clone());
            let at = places[&(circle[0], *circle.get(1).unwrap_or(&circle[0]))].clone();
            self.add_fault(at, PoolsFault::Circle(names));
        }
    }

    fn add_no_such_pool(
        &mut self,
        name: &str,
        at: Range<usize>,
        entry: &NamedTable<'_>,
        entries: &[NamedTable<'_>],
    ) {
        // Beyond the bound a fault is only counted, and to look for the nearest name takes time.
        if self.findings.is_full() {
            self.findings.leave_out(1);
            return;
        }
        let others = entries.iter().map(|other| other.name).filter(|other| *other != entry.name);
        let name = name.to_owned();
        if entries.len() == 1 {
            self.add_fault(at, PoolsFault::NoOtherPool(name));
        } else {
            let suggestion = Suggestion::of(&name, others);
            self.add_fault(at, PoolsFault::NoSuchPool { name, suggestion });
        }
    }
}

/// The pools that wait for themselves by way of others: each circle once, beginning with the pool that is first in the
/// file.
fn circles(pools: &[Pool]) -> Vec<Vec<usize>> {
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
        // The pools from `start` to the current one, each with the number of its `after` that have been followed.
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
                    let begin = begin.expect("a pool that is being visited is on the way");
                    let mut circle: Vec<_> = way[begin..].iter().map(|(pool, _)| *pool).collect();
                    let first = circle.iter().enumerate().min_by_key(|(_, pool)| **pool);
                    let first = first.map_or(0, |(index, _)| index);
                    circle.rotate_left(first);
                    found.push(circle);
                }
                Visit::Done => {}
            }
        }
    }
    found
}
