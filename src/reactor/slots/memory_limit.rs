//! By which means the memory of workers is limited: by control groups where pm may make them, else by RLIMIT_AS.

use std::fs::File;
use std::io;

use crate::plan::Plan;
use crate::sys::cgroup::{Cgroups, NoCgroup};

/// The means, looked for when a plan first limits memory.
#[derive(Debug, Default)]
pub struct MemoryLimit {
    means: Option<Result<Cgroups, NoCgroup>>,
}

impl MemoryLimit {
    /// Finds the means, if this plan limits the memory of a slot.
    pub fn prepare(&mut self, plan: &Plan) {
        let is_asked = plan.slots().any(|(_, slot)| slot.exec.limits.memory_bytes.is_some());
        if is_asked && self.means.is_none() {
            self.means = Some(Cgroups::find());
        }
    }

    /// True if control groups limit it, so that RLIMIT_AS must not.
    pub fn is_by_cgroups(&self) -> bool {
        matches!(self.means, Some(Ok(_)))
    }

    /// Why control groups do not limit it.
    pub fn why_not_by_cgroups(&self) -> Option<&NoCgroup> {
        self.means.as_ref()?.as_ref().err()
    }

    /// The file by which a worker of this slot joins its control group, if it has one.
    ///
    /// # Errors
    /// If the kernel refuses the group or the limit.
    pub fn group(&mut self, slot: &str, bytes: Option<u64>) -> io::Result<Option<File>> {
        match (&mut self.means, bytes) {
            (Some(Ok(cgroups)), Some(bytes)) => cgroups.limit(slot, bytes).map(Some),
            (Some(Ok(_) | Err(_)) | None, _) => Ok(None),
        }
    }

    /// How often the kernel has killed for lack of memory in the control group of this slot.
    pub fn kills(&self, slot: &str) -> u64 {
        match &self.means {
            Some(Ok(cgroups)) => cgroups.oom_kills(slot),
            Some(Err(_)) | None => 0,
        }
    }
}
