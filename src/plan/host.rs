//! What a plan needs to know of the machine, and the file that it is made from. `cli::host` answers.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::Identity;

/// The machine, as far as a plan depends on it.
pub trait Host {
    /// The text of a file, or `None` if there is no such file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable>;

    /// The user with this name, or with this number.
    fn user(&self, name: &str) -> Option<Identity>;

    /// The number of the group with this name, or with this number.
    fn group(&self, name: &str) -> Option<u32>;

    /// True if a worker may run as another user: pm runs as root.
    fn may_change_user(&self) -> bool;

    /// The least nice value that pm may give a worker.
    fn least_nice(&self) -> i32;

    /// What is at the path of a folder that workers run in.
    fn folder(&self, path: &Path) -> FolderState;

    /// What is at the path of a log file.
    fn file(&self, _: &Path) -> FileState {
        FileState::Unknown
    }

    /// The highest value of a limit that pm may give a worker.
    fn limit_most(&self, _: LimitKind) -> u64 {
        u64::MAX
    }

    /// The value of a variable of pm's own environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// What is where a file should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    Regular(FileId),
    Folder,
    /// A pipe, a socket or a device.
    NotRegular,
    /// A part of its path is a file.
    BelowFile,
    /// It is not there, or was not looked for, as in [`FolderState::Unknown`].
    Unknown,
}

/// Identifies a file, by whichever path: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// A limit whose hard limit pm may be unable to raise (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    OpenFiles,
    Processes,
    FileSize,
    Core,
    Stack,
    Memory,
}

/// What is where a folder should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    There,
    Missing,
    NotAFolder,
    /// Not looked for: on a file system that hangs, a running pm would hang too.
    Unknown,
}

/// Why a file cannot be read. Its `Display` is the end of a sentence: ``cannot read `a`: it is a folder``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Folder,
    /// A symbolic link to something that is not there.
    Dangling {
        target: PathBuf,
    },
    /// A pipe, a socket or a device.
    NotRegular,
    NotUtf8 {
        line: usize,
    },
    /// It begins with the byte order mark of UTF-16.
    Utf16,
    Os(Errno),
}

/// A file that says what to keep alive.
#[derive(Clone, Debug)]
pub struct Document {
    /// As messages show it: `pm.toml`, `deploy/Procfile`.
    pub name: String,
    pub text: String,
    /// The folder that the file is in, absolute. Its relative paths start here.
    pub dir: PathBuf,
}

impl Document {
    /// The absolute path of the file that this one calls `path`.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        resolve(&self.dir, path)
    }

    /// The name under which messages show the file that this one calls `path`.
    pub fn name_of(&self, path: &Path) -> String {
        Path::new(&self.name).with_file_name("").join(path).display().to_string()
    }
}

/// The absolute path of `path`, which starts from `dir`. Collecting the components removes `.`: `/srv/.` is `/srv`.
pub(crate) fn resolve(dir: &Path, path: &Path) -> PathBuf {
    dir.join(path).components().collect()
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => out.write_str("it is a folder"),
            Self::Dangling { target } => {
                write!(out, "it is a symlink to `{}`, which is not there", target.display())
            }
            Self::NotRegular => out.write_str("it is not a regular file"),
            Self::Utf16 => out.write_str("it looks like UTF-16; save it as UTF-8"),
            Self::NotUtf8 { line } => write!(out, "line {line} is not UTF-8"),
            // strerror(3) begins with a capital letter, for the beginning of a sentence.
            Self::Os(errno) => out.write_str(&errno.desc().to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_from_the_folder_of_the_file() {
        let dir = PathBuf::from("/srv/app");
        let document = Document { name: "app/pm.toml".into(), text: String::new(), dir };
        assert_eq!(document.resolve(Path::new(".")).as_os_str(), "/srv/app");
        assert_eq!(document.resolve(Path::new("./log/a")).as_os_str(), "/srv/app/log/a");
        assert_eq!(document.resolve(Path::new("/log")).as_os_str(), "/log");
        assert_eq!(document.name_of(Path::new(".env")), "app/.env");
        assert_eq!(document.name_of(Path::new("/etc/env")), "/etc/env");
    }

    #[test]
    fn an_errno_ends_a_sentence() {
        assert_eq!(Unreadable::Os(Errno::EACCES).to_string(), "permission denied");
    }
}
