//! What becomes of a probe command: it was started or could not be, it could not exec, it has ended.

use std::time::Instant;

use super::{Finding, Probes, State};
use crate::reactor::report::ProbeFailure;
use crate::reactor::tokens::Registrar;
use crate::supervisor::{Exit, WorkerId};
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
        self.conclude(slot, Err(ProbeFailure::CannotStart(why)), now, registrar)
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
            State::Killed(_) => Err(ProbeFailure::NoAnswer(probing.aim.patience())),
            State::Waiting | State::Connecting(_) | State::Starting => {
                debug_assert!(false, "a slot has one probe command at a time");
                return None;
            }
        };
        self.conclude(slot, result, now, registrar)
    }
}
