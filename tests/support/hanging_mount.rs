//! A file system that never answers: FUSE without a program behind it. It needs root.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// Each look into its folder waits until this is dropped, or until SIGKILL.
pub struct HangingMount {
    folder: TempDir,
    _connection: File,
}

impl HangingMount {
    /// `None` where it cannot be mounted.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let connection = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let number = connection.as_raw_fd();
        let options = format!("fd={number},rootmode=40000,user_id=0,group_id=0,allow_other");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("hangs"), folder.path(), Some("fuse"), flags, Some(options.as_str())).ok()?;
        Some(Self { folder, _connection: connection })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for HangingMount {
    fn drop(&mut self) {
        // What hangs in it goes on hanging until the connection is closed, after this.
        let _ = umount2(self.folder.path(), MntFlags::MNT_DETACH);
    }
}
