//! A limit on the memory that is used, not reserved: memory.max of a control group (cgroups(7), v2).
//!
//! It needs a part of the tree that is delegated to pm (systemd's Delegate=yes, or the root of a container). Without
//! one [`Cgroups::find`] returns why, and the reactor limits memory by RLIMIT_AS. A process is moved into its group by
//! [`super::child`], never here.

use std::fs::{File, OpenOptions, create_dir, read_to_string, remove_dir, write};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{getpid, getppid};
use procfs::process::Process;

/// The group for pm's own processes: a group that has processes may not limit the groups below it (cgroups(7), "no
/// internal processes").
const OWN_LEAF: &str = "pm";

/// Why control groups cannot limit memory, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum NoCgroup {
    #[error("there is no cgroup v2 here")]
    NoTree,
    #[error("the memory controller is not in {0}")]
    NoController(PathBuf),
    #[error("{0} has other processes too")]
    Shared(PathBuf),
    #[error("{path} is not delegated: {source}")]
    Refused { path: PathBuf, source: io::Error },
}

/// The part of the tree that is delegated to pm. Dropping it removes the groups of workers.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
    made: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the group that pm was started in, and prepares it for groups of workers.
    ///
    /// # Errors
    /// If it is not delegated to pm.
    pub fn find() -> Result<Self, NoCgroup> {
        Self::prepare(own_group().ok_or(NoCgroup::NoTree)?)
    }

    fn prepare(base: PathBuf) -> Result<Self, NoCgroup> {
        let has_memory = |file: &str| {
            let names = read_to_string(base.join(file)).unwrap_or_default();
            names.split_whitespace().any(|name| name == "memory")
        };
        if !has_memory("cgroup.controllers") {
            return Err(NoCgroup::NoController(base));
        }
        let refused = |path: PathBuf| move |source| NoCgroup::Refused { path, source };
        let mut cgroups = Self { base: base.clone(), made: Vec::new() };
        if !has_memory("cgroup.subtree_control") {
            let own = [getpid(), getppid()].map(|pid| pid.to_string());
            let members = read_to_string(base.join("cgroup.procs")).unwrap_or_default();
            if members.lines().any(|pid| !own.iter().any(|mine| mine == pid)) {
                return Err(NoCgroup::Shared(base));
            }
            let leaf = cgroups.make(OWN_LEAF).map_err(refused(base.clone()))?;
            for pid in members.lines() {
                write(leaf.join("cgroup.procs"), pid).map_err(refused(leaf.clone()))?;
            }
            write(base.join("cgroup.subtree_control"), "+memory").map_err(refused(base))?;
        }
        Ok(cgroups)
    }

    /// Creates the group of a slot unless it exists, limits its memory to `bytes`, and opens its cgroup.procs. A
    /// process that writes to this file joins the group.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn limit(&mut self, slot: &str, bytes: u64) -> io::Result<File> {
        let path = self.make(slot)?;
        write(path.join("memory.max"), bytes.to_string())?;
        // Swap would only delay the kill. Not every kernel counts it (CONFIG_SWAP).
        let _ = write(path.join("memory.swap.max"), "0");
        // Above the limit the kernel kills the whole worker, not only its largest process.
        write(path.join("memory.oom.group"), "1")?;
        OpenOptions::new().write(true).open(path.join("cgroup.procs"))
    }

    /// How many processes of this slot the kernel has killed because the group was above its limit.
    pub fn oom_kills(&self, slot: &str) -> u64 {
        let events = read_to_string(self.base.join(slot).join("memory.events"));
        let events = events.unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn make(&mut self, name: &str) -> io::Result<PathBuf> {
        let path = self.base.join(name);
        match create_dir(&path) {
            Ok(()) => self.made.push(path.clone()),
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {}
            Err(error) => return Err(error),
        }
        Ok(path)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // pm's own group still has pm in it. It stays until the base is removed.
        for path in self.made.iter().rev() {
            let _ = remove_dir(path);
        }
    }
}

/// The folder of the group (v2) that this process is in.
pub(super) fn own_group() -> Option<PathBuf> {
    let me = Process::myself().ok()?;
    let groups = me.cgroups().ok()?;
    let own = groups.into_iter().find(|group| group.hierarchy == 0)?.pathname;
    let mounts = me.mountinfo().ok()?;
    let mount = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2")?.mount_point;
    Some(mount.join(Path::new(&own).strip_prefix("/").ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(controllers: &str, members: &str) -> tempfile::TempDir {
        let base = tempfile::tempdir().unwrap();
        write(base.path().join("cgroup.controllers"), controllers).unwrap();
        write(base.path().join("cgroup.subtree_control"), "").unwrap();
        write(base.path().join("cgroup.procs"), members).unwrap();
        base
    }

    #[test]
    fn a_group_without_the_controller_or_with_other_processes_is_left_unchanged() {
        let none = base("cpu io\n", "");
        assert!(matches!(Cgroups::prepare(none.path().into()), Err(NoCgroup::NoController(_))));
        let shared = base("cpu memory\n", "1\n");
        let error = Cgroups::prepare(shared.path().into()).unwrap_err().to_string();
        assert!(error.ends_with("has other processes too"), "{error}");
        assert!(!shared.path().join(OWN_LEAF).exists());
    }

    #[test]
    fn a_delegated_group_gets_a_limited_group_for_each_slot() {
        let own = getpid().to_string();
        let base = base("memory\n", &own);
        let mut cgroups = Cgroups::prepare(base.path().into()).unwrap();
        let read = |path: &str| read_to_string(base.path().join(path)).unwrap();
        assert_eq!(read("pm/cgroup.procs"), own);
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        // The kernel would have made the files of the group.
        create_dir(base.path().join("web.1")).unwrap();
        write(base.path().join("web.1/cgroup.procs"), "").unwrap();
        cgroups.limit("web.1", 1 << 20).unwrap();
        assert_eq!(read("web.1/memory.max"), "1048576");
        write(base.path().join("web.1/memory.events"), "low 0\noom_kill 2\n").unwrap();
        assert_eq!((cgroups.oom_kills("web.1"), cgroups.oom_kills("web.2")), (2, 0));
    }

    #[test]
    fn the_group_of_this_process_is_a_folder_of_the_tree() {
        if let Some(own) = own_group() {
            assert!(own.join("cgroup.procs").exists(), "{own:?}");
        }
    }
}
