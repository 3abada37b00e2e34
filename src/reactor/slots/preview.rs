//! What a changed plan would change, while nothing changes.

use std::collections::BTreeMap;

use super::{Key, LaunchSpec, Slots};
use crate::plan::Plan;
use crate::reactor::report::Changes;
use crate::supervisor::{SlotId, Supervisor, Wanted};

impl Slots {
    /// What [`Slots::take_in`] would say of this plan.
    pub fn preview(&self, plan: &Plan, supervisor: &Supervisor) -> Changes {
        let mut known: BTreeMap<Key, SlotId> = BTreeMap::new();
        for (slot, record) in &self.records {
            let LaunchSpec { pool_name, plan, .. } = record.wanted();
            known.insert(Key::of(pool_name, plan), *slot);
        }
        let mut changes = Changes::default();
        for (pool, slot) in plan.slots() {
            let id = known.remove(&Key::of(&pool.name, slot));
            let state = id.and_then(|id| supervisor.slot(id));
            let name = slot.name.clone();
            let Some(state) = state.filter(|state| state.wanted() != Wanted::Gone) else {
                changes.added.push(name);
                continue;
            };
            let runs = self.record(state.id()).spec_or_wanted(Some(state.revision()));
            if runs.plan.exec == slot.exec {
                changes.note_same(name, state);
            } else {
                changes.note_changed(name, state);
            }
        }
        let removed = known.values().filter_map(|slot| {
            let state = supervisor.slot(*slot)?;
            (state.wanted() != Wanted::Gone).then(|| self.record(*slot).name().to_owned())
        });
        changes.removed = removed.collect();
        changes
    }
}
