//! How a pool is restarted and stopped: `restart`, `max_restarts`, `backoff` and `stop`.

use super::faults::PoolFault;
use super::field::Field;
use super::keys::{BackoffTable, MaxRestartsTable, PoolTable, StopTable};
use super::pool::{Reader, ends_run};
use crate::plan::{RestartWord, StopSpec};
use crate::supervisor::{Backoff, MaxRestarts, Policy, Restart};

impl Reader<'_> {
    /// What the supervisor decides with. When a worker is ready is not read here.
    pub fn policy(&mut self, table: &PoolTable) -> Policy {
        let default = Policy::default();
        let restart = restart(table);
        if let (true, Some((RestartWord::Always, given)), Some(key)) =
            (ends_run(table), table.restart.usable(), table.ends_run.key())
        {
            let fault = PoolFault::EndsRunAlwaysRestarted;
            self.add_related_fault(given.at.clone(), fault, key, "the run ends with it");
        }
        if restart == Restart::Never {
            let useless =
                [("max_restarts", table.max_restarts.key()), ("backoff", table.backoff.key())];
            for (name, at) in useless {
                if let Some(at) = at {
                    self.add_fault(at, PoolFault::NeverRestarted(name));
                }
            }
        }
        let grace = table.stop.value().and_then(|stop| stop.grace.value());
        Policy {
            restart,
            max_restarts: self.max_restarts(&table.max_restarts),
            backoff: self.backoff(&table.backoff),
            grace: grace.map_or(default.grace, |grace| grace.0),
            ..default
        }
    }

    /// The signal that asks a worker to stop, and which of its processes get it.
    pub fn stop(&mut self, field: &Field<StopTable>) -> StopSpec {
        let default = StopSpec::default();
        let Some(table) = field.value() else { return default };
        let kills_at_once = table.grace.value().is_some_and(|grace| grace.0.is_zero());
        let given = [
            table.signal.given().map(|given| ("signal", given.at.clone())),
            table.to.given().map(|given| ("to", given.at.clone())),
        ];
        for (key, at) in given.into_iter().flatten().filter(|_| kills_at_once) {
            self.add_fault(at, PoolFault::SignalNeverSent(key));
        }
        StopSpec {
            signal: table.signal.value().map_or(default.signal, |signal| signal.0),
            to: table.to.value().copied().unwrap_or(default.to),
        }
    }

    fn max_restarts(&mut self, field: &Field<MaxRestartsTable>) -> Option<MaxRestarts> {
        let (table, given) = field.usable()?;
        for (key, is_given) in
            [("count", table.count.is_given()), ("within", table.within.is_given())]
        {
            if !is_given && !self.is_misspelt(&given.at, &[key]) {
                let example = "max_restarts = { count = 5, within = \"1m\" }";
                let fault = PoolFault::Missing { table: "max_restarts", key, example };
                self.add_fault(given.key.clone(), fault);
            }
        }
        let within = table.within.usable();
        if let Some((_, given)) = within.filter(|(time, _)| time.0.is_zero()) {
            let fault = PoolFault::Zero { key: "within", example: "within = \"1m\"" };
            self.add_fault(given.at.clone(), fault);
        }
        let count = u32::try_from(table.count.value()?.0).ok()?.try_into().ok()?;
        Some(MaxRestarts { count, within: within?.0.0 })
    }

    fn backoff(&mut self, field: &Field<BackoffTable>) -> Backoff {
        let mut backoff = Backoff::default();
        let Some(table) = field.value() else { return backoff };
        if let Some((first, given)) = table.first.usable() {
            backoff.first = first.0;
            if first.0.is_zero() {
                // A worker that cannot start would be started again and again without a pause.
                let fault = PoolFault::Zero { key: "first", example: "first = \"10ms\"" };
                self.add_fault(given.at.clone(), fault);
            }
        }
        backoff.max = table.max.value().map_or(backoff.max, |max| max.0);
        let Backoff { first, max, .. } = backoff;
        if max < first {
            let wrong = if table.max.is_given() { &table.max } else { &table.first };
            let at = wrong.given().map(|given| given.at.clone()).unwrap_or_default();
            self.add_fault(at, PoolFault::BackoffOrder { first, max });
        }
        let failures = table.give_up_after.value().and_then(|count| u32::try_from(count.0).ok());
        backoff.give_up_after = failures.and_then(|count| count.try_into().ok());
        backoff
    }
}

/// Which exits are followed by a new worker. A pool that ends the run is by default not restarted.
pub fn restart(table: &PoolTable) -> Restart {
    let default = if ends_run(table) { Restart::Never } else { Policy::default().restart };
    table.restart.value().map_or(default, |word| (*word).into())
}
