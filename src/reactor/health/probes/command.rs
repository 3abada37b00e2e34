//! What becomes of a probe command: it was started or could not be, it could not exec, it has ended.

use std::time::Instant;

use super::{Finding, Probes, State};
use crate::reactor::report::ProbeFailure;
use crate::reactor::tokens::Registrar;
use crate::supervisor::{Exit, SlotId, WorkerId};
use crate::sys::ProbeId;

impl Probes {
    /// The probe command of this worker was started.
    pub fn on_started(&mut self, worker: WorkerId, probe: ProbeId) {
        if let Some(probing) = self.probes.get_mut(&worker.slot) {
            debug_assert!(matches!(probing.state, State::Starting), "it was asked for just now");
            probing.state = State::Running(probe);
            self.running.insert(probe, worker.slot);
        }
    }

    /// The probe command of this worker could not be started.
    pub fn on_start_failed(
        &mut self,
        worker: WorkerId,
        why: String,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        self.conclude(worker.slot, Err(ProbeFailure::CannotStart(why)), now, registrar)
    }

    /// A probe command could not exec. One whose worker is no longer probed changes nothing.
    pub fn on_not_execd(
        &mut self,
        probe: ProbeId,
        why: String,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let slot = self.running.remove(&probe)?;
        match self.probes.get(&slot)?.state {
            State::Killed(_) => self.ask_again(slot),
            State::Running(_) | State::Waiting | State::Connecting(_) | State::Starting => {
                let failure = ProbeFailure::CannotStart(why);
                return self.conclude(slot, Err(failure), now, registrar);
            }
        }
        None
    }

    /// A probe command has ended. One whose worker is no longer probed changes nothing.
    pub fn on_exit(
        &mut self,
        probe: ProbeId,
        exit: Exit,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let slot = self.running.remove(&probe)?;
        let probing = self.probes.get(&slot)?;
        let result = match &probing.state {
            State::Running(_) if exit.is_success() => Ok(()),
            State::Running(_) => Err(ProbeFailure::Exited(exit)),
            State::Killed(_) => {
                self.ask_again(slot);
                return None;
            }
            State::Waiting | State::Connecting(_) | State::Starting => {
                debug_assert!(false, "a slot has one probe command at a time");
                return None;
            }
        };
        self.conclude(slot, result, now, registrar)
    }

    /// The command took too long and was killed: a failure, however late SIGKILL ends the process. While it is there no
    /// other one is started, and at the deadline that the next one would have, that one has failed too.
    pub(super) fn give_up(
        &mut self,
        slot: SlotId,
        probe: ProbeId,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let patience = self.probes.get(&slot)?.aim.patience();
        let failure = ProbeFailure::NoAnswer(patience);
        let finding = self.conclude(slot, Err(failure), now, registrar);
        match self.probes.get_mut(&slot) {
            Some(probing) => {
                probing.state = State::Killed(probe);
                let deadline = probing.at.map(|next| next + patience);
                self.schedule(slot, deadline);
            }
            None => drop(self.running.remove(&probe)),
        }
        finding
    }

    /// The command that was killed has ended: the next one is started when it was due.
    fn ask_again(&mut self, slot: SlotId) {
        if let Some(probing) = self.probes.get_mut(&slot) {
            probing.state = State::Waiting;
            let patience = probing.aim.patience();
            let next = probing.at.and_then(|deadline| deadline.checked_sub(patience));
            self.schedule(slot, next);
        }
    }
}
