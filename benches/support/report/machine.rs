//! On what a benchmark ran. The name of the machine is left out.

use procfs::{CpuInfo, Current, LoadAverage, Meminfo};
use serde::{Deserialize, Serialize};

use crate::support::Anything;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub kernel: String,
    pub architecture: String,
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    /// How many tasks wanted to run in the minute before: figures of a busy machine say little.
    pub load: f32,
}

impl Machine {
    pub fn here() -> Anything<Self> {
        let names = nix::sys::utsname::uname()?;
        let cpu = CpuInfo::current()?;
        Ok(Self {
            kernel: format!("{} {}", names.sysname().display(), names.release().display()),
            architecture: names.machine().display().to_string(),
            processor: cpu.model_name(0).unwrap_or("unknown").into(),
            cores: std::thread::available_parallelism()?.get(),
            memory_mib: Meminfo::current()?.mem_total >> 20,
            load: LoadAverage::current()?.one,
        })
    }
}
