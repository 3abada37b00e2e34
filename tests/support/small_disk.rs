//! A file system of a few bytes, for tests of a full disk.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Mounted on a folder of its own until it is dropped.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this process may not mount one.
    pub fn mount(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder.path());
        mount.stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
