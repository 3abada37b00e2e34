//! Workers on their way to their programs.

use pm::supervisor::{Event, WorkerId};

use super::Rig;
use crate::laws::Broken;

impl Rig {
    /// Tells which workers have exec'd, or could not.
    pub(super) fn end_starts(&mut self) -> Result<(), Broken> {
        let now = self.now;
        let due: Vec<_> = self.starts.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, pid, worker) in due {
            let fails = !self.is_calm && self.rng.bool();
            if fails && self.kernel.fail_exec(pid) {
                self.leaders.remove(&pid);
                self.tell(Event::SpawnFailed(worker))?;
            } else {
                self.tell_execd(worker)?;
            }
        }
        Ok(())
    }

    /// A leader has died on its way, or it was there and that was not told yet. That is told before it is reaped.
    pub(super) fn end_starts_of_dead(&mut self) -> Result<(), Broken> {
        let Self { starts, kernel, .. } = self;
        let dead: Vec<_> = starts.extract_if(.., |(_, pid, _)| kernel.is_dead(*pid)).collect();
        for (_, _, worker) in dead {
            if self.rng.bool() {
                self.tell(Event::Spawned(worker))?;
            }
        }
        Ok(())
    }

    fn tell_execd(&mut self, worker: WorkerId) -> Result<(), Broken> {
        self.on_execd(worker);
        self.tell(Event::Spawned(worker))
    }
}
