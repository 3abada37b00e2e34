//! What workers use is looked at: for a client that asks once, and again and again for those that follow it.

use super::Reactor;
use super::control::ClientId;
use super::control::client::{Client, Work};
use super::control::logs::More;
use super::control::stats::{Form, Sampling};
use super::serving::json;
use crate::supervisor::{SlotId, WorkerId};
use crate::wire::{SlotSample, Stats};

/// The reading of /proc for one of them takes about 60 us.
const SAMPLES_PER_WAKEUP: usize = 32;

impl Reactor {
    /// Samples some of the workers of which a client asks what they use. Answers those that have all.
    pub(super) fn sample_workers(&mut self, ids: &[ClientId]) -> More {
        let mut budget = SAMPLES_PER_WAKEUP;
        let mut more = More::No;
        for id in ids {
            let client = self.control.clients.get_mut(*id);
            let Some(mut sampling) = client.and_then(Client::take_sampling) else { continue };
            while budget > 0
                && let Some(slot) = sampling.take_next()
            {
                budget -= 1;
                if let Some((worker, stats)) = self.sample(slot) {
                    sampling.add(worker, stats);
                }
            }
            let reply = sampling.is_over().then(|| self.sampled(&sampling));
            let Some(client) = self.control.clients.get_mut(*id) else { continue };
            match reply {
                Some(reply) => client.connection.reply(&reply),
                None => {
                    client.work = Work::Sampling(sampling);
                    more = More::Yes;
                }
            }
        }
        if self.sample_round(budget) == More::Yes { More::Yes } else { more }
    }

    fn sampled(&self, sampling: &Sampling) -> super::control::http::Reply {
        let status = self.run_status(sampling);
        match &sampling.form {
            Form::Json => json(&status),
            Form::Page(call) => self.page(call, &status),
        }
    }

    /// Samples some workers of the present round, if a client follows what they use.
    fn sample_round(&mut self, budget: usize) -> More {
        let Self { control, supervisor, clock, .. } = self;
        let follows =
            |client: &Client| matches!(&client.work, Work::Live(live) if live.wants_stats());
        if !control.clients.iter().any(|(_, client)| follows(client)) {
            control.rounds.rest();
            return More::No;
        }
        control.rounds.follow(supervisor.ids(), clock.now());
        for _ in 0..budget {
            let Some(slot) = self.control.rounds.take_next() else { break };
            if let Some((worker, stats)) = self.sample(slot)
                && let Some(facts) = self.slots.identity(slot)
            {
                let sample = SlotSample {
                    slot: facts.name.to_owned(),
                    generation: worker.generation,
                    sampled_at: stats.sampled_at,
                    cpu_seconds: stats.cpu_seconds,
                    memory_bytes: stats.memory_bytes,
                };
                self.control.rounds.add(sample);
            }
        }
        if self.control.rounds.end() { More::Yes } else { More::No }
    }

    /// The worker of this slot and what it uses, if there is one.
    fn sample(&mut self, slot: SlotId) -> Option<(WorkerId, Stats)> {
        let Self { supervisor, slots, clock, control, children, .. } = self;
        let now = clock.now();
        let worker = supervisor.slot(slot).filter(|slot| slot.phase().has_worker())?.worker();
        let stats = control.samples.of(worker, now, || {
            let usage = children.usage(worker)?;
            let (cpu, age) = (usage.cpu.as_secs_f64(), slots.process_age(worker, now));
            Some(Stats {
                sampled_at: clock.time(),
                cpu_seconds: cpu,
                cpu_cores: if age.is_zero() { 0.0 } else { cpu / age.as_secs_f64() },
                memory_bytes: usage.resident_bytes,
                processes: usage.processes,
            })
        });
        Some((worker, stats?))
    }
}
