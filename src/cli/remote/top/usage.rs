//! What workers use: read from /proc, so that pm has no work while nothing happens. Where the processes of pm cannot be
//! seen by their numbers, as from another container, pm is asked instead, but only when something has happened.

use jiff::Timestamp;
use nix::unistd::Pid;

use super::state::State;
use crate::client::Lines;
use crate::sys::control_socket::Peer;
use crate::sys::proc::descends_from;
use crate::sys::usage::usage_of_all;
use crate::wire::PmStatus;

/// From one sample of a worker to the next, in seconds: 20 are a minute.
const EVERY: u64 = 3;
/// Workers that are looked at in one second.
const WORKERS_MAX: usize = 64;

/// Looks at the workers.
#[derive(Debug, Default)]
pub struct Sampler {
    seconds: u64,
    /// The next slot in the order of the plan, where they are too many for one second.
    next: usize,
}

/// The process at the other end, if the numbers that pm has for processes mean the same ones here.
pub fn visible_pm(connection: &Lines, pm: &PmStatus) -> Option<Pid> {
    let peer = Peer::of(connection).ok().and_then(|peer| peer.pid)?;
    descends_from(peer, Pid::from_raw(pm.pid)).then_some(peer)
}

impl Sampler {
    /// A second has passed.
    pub fn tick(&mut self, state: &mut State) {
        let is_due = self.seconds.is_multiple_of(EVERY) || self.next > 0;
        self.seconds += 1;
        let slots = state.slots.all();
        let all: Vec<_> = slots
            .iter()
            .filter_map(|slot| {
                let pid = slot.worker.as_ref()?.pid?;
                // A new worker has no rate before its second sample.
                let has_rate = state.slots.uses(slot).is_some_and(|uses| !uses.cpu.is_empty());
                (is_due || !has_rate).then(|| (slot.slot.clone(), Pid::from_raw(pid)))
            })
            .collect();
        if self.next >= all.len() {
            self.next = 0;
        }
        let end = (self.next + WORKERS_MAX).min(all.len());
        for (slot, pid) in &all[self.next..end] {
            let usage = usage_of_all([*pid].into_iter());
            if usage.processes > 0 {
                state.take_usage(slot, Timestamp::now(), usage);
            }
        }
        self.next = if end < all.len() { end } else { 0 };
    }
}
