//! By which means the memory of workers is limited: by control groups where they are pm's to make, else by RLIMIT_AS.

use std::fs::File;
use std::io;

use crate::plan::Plan;
use crate::sys::cgroup::{Cgroups, NoCgroup};

/// The limits on memory. Nothing is looked for before somebody asks.
#[derive(Debug, Default)]
pub struct Memory {
    means: Option<Result<Cgroups, NoCgroup>>,
}

impl Memory {
    /// Finds out by which means, if this plan limits anybody's memory.
    pub fn prepare(&mut self, plan: &Plan) {
        let is_asked = plan.slots().any(|(_, slot)| slot.exec.limits.memory_bytes.is_some());
        if is_asked && self.means.is_none() {
            self.means = Some(Cgroups::find());
        }
    }

    /// True if control groups do it, so that RLIMIT_AS is not to.
    pub fn is_by_cgroups(&self) -> bool {
        matches!(self.means, Some(Ok(_)))
    }

    /// Why control groups do not do it.
    pub fn why_not_by_cgroups(&self) -> Option<&NoCgroup> {
        self.means.as_ref()?.as_ref().err()
    }

    /// The file by which a worker of this slot joins its control group, if there is one for it.
    ///
    /// # Errors
    /// If the kernel refuses the group or the limit.
    pub fn group(&mut self, slot: &str, bytes: Option<u64>) -> io::Result<Option<File>> {
        match (&mut self.means, bytes) {
            (Some(Ok(cgroups)), Some(bytes)) => cgroups.limit(slot, bytes).map(Some),
            (Some(Ok(_) | Err(_)) | None, _) => Ok(None),
        }
    }

    /// How often the kernel has killed for want of memory in this slot.
    pub fn kills(&self, slot: &str) -> u64 {
        match &self.means {
            Some(Ok(cgroups)) => cgroups.oom_kills(slot),
            Some(Err(_)) | None => 0,
        }
    }
}
