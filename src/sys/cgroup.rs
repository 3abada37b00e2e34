//! A limit on memory that counts what is used, not what is reserved: memory.max of a control group (cgroups(7), v2).
//!
//! It takes a part of the tree that is pm's to divide (systemd's Delegate=yes, or a container's own root). Where there
//! is none, [`Cgroups::find`] says why, and RLIMIT_AS has to do.

use std::fs::{File, OpenOptions, create_dir, read_to_string, remove_dir, write};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{getpid, getppid};
use procfs::process::Process;

/// pm's own processes move there: a group with members of its own may not limit those below (cgroups(7), "no internal
/// processes").
const OWN_LEAF: &str = "pm";

/// Why there is no part of the tree to divide, as the end of a sentence.
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

/// The part of the tree that is pm's. Dropped, it is empty again.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
    made: Vec<PathBuf>,
}

impl Cgroups {
    /// Takes hold of the group that pm was started in.
    ///
    /// # Errors
    /// If nobody delegated it.
    pub fn find() -> Result<Self, NoCgroup> {
        Self::take(own_group().ok_or(NoCgroup::NoTree)?)
    }

    fn take(base: PathBuf) -> Result<Self, NoCgroup> {
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

    /// Makes a group for the workers of one slot, or finds it, and limits it to so many bytes. Who writes to the file
    /// that comes back joins it.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn limit(&mut self, slot: &str, bytes: u64) -> io::Result<File> {
        let path = self.make(slot)?;
        write(path.join("memory.max"), bytes.to_string())?;
        // Swap would only make the end slower. It is no controller's own everywhere.
        let _ = write(path.join("memory.swap.max"), "0");
        // When it is too much, the whole worker goes, not its largest process.
        write(path.join("memory.oom.group"), "1")?;
        OpenOptions::new().write(true).open(path.join("cgroup.procs"))
    }

    /// How often the kernel has killed for want of memory in the group of this slot.
    pub fn kills(&self, slot: &str) -> u64 {
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
        // pm's own leaf has pm in it, and stays for whoever made the base to remove with it.
        for path in self.made.iter().rev() {
            let _ = remove_dir(path);
        }
    }
}

/// The folder of the v2 group that this process is in.
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
    fn a_group_without_the_controller_or_with_others_in_it_is_left_alone() {
        let none = base("cpu io\n", "");
        assert!(matches!(Cgroups::take(none.path().into()), Err(NoCgroup::NoController(_))));
        let shared = base("cpu memory\n", "1\n");
        let error = Cgroups::take(shared.path().into()).unwrap_err().to_string();
        assert!(error.ends_with("has other processes too"), "{error}");
        assert!(!shared.path().join(OWN_LEAF).exists());
    }

    #[test]
    fn a_delegated_group_is_divided_and_its_workers_are_limited() {
        let own = getpid().to_string();
        let base = base("memory\n", &own);
        let mut cgroups = Cgroups::take(base.path().into()).unwrap();
        let read = |path: &str| read_to_string(base.path().join(path)).unwrap();
        assert_eq!(read("pm/cgroup.procs"), own);
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        // The kernel would have made the files of the group.
        create_dir(base.path().join("web.1")).unwrap();
        write(base.path().join("web.1/cgroup.procs"), "").unwrap();
        cgroups.limit("web.1", 1 << 20).unwrap();
        assert_eq!(read("web.1/memory.max"), "1048576");
        write(base.path().join("web.1/memory.events"), "low 0\noom_kill 2\n").unwrap();
        assert_eq!((cgroups.kills("web.1"), cgroups.kills("web.2")), (2, 0));
    }

    #[test]
    fn the_group_of_this_process_is_a_folder_of_the_tree() {
        if let Some(own) = own_group() {
            assert!(own.join("cgroup.procs").exists(), "{own:?}");
        }
    }
}
