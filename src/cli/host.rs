//! This machine, as plans depend on it: its files, its users, pm's environment.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::Resource;

use crate::plan::host::{FileId, FileState, FolderState, Host, LimitKind, Unreadable};
use crate::plan::text::lines;
use crate::plan::{FILE_BYTES_MAX, Identity};
use crate::sys::{privileges, users};

/// This machine, as a run sees it.
pub struct RealHost;

/// This machine, as `pm check` sees it: folders are looked for too.
pub struct HostToCheck;

impl Host for HostToCheck {
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        RealHost.read(path)
    }

    fn user(&self, name: &str) -> Option<Identity> {
        RealHost.user(name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        RealHost.group(name)
    }

    fn may_change_user(&self) -> bool {
        RealHost.may_change_user()
    }

    fn least_nice(&self) -> i32 {
        RealHost.least_nice()
    }

    fn folder(&self, path: &Path) -> FolderState {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => FolderState::There,
            Ok(_) => FolderState::NotAFolder,
            Err(error) if error.kind() == ErrorKind::NotFound => FolderState::Missing,
            // Of another user's folder nothing is known.
            Err(_) => FolderState::Unknown,
        }
    }

    fn file(&self, path: &Path) -> FileState {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => FileState::Folder,
            Ok(metadata) if metadata.is_file() => {
                FileState::Regular(FileId { device: metadata.dev(), inode: metadata.ino() })
            }
            Ok(_) => FileState::NotRegular,
            Err(error) if error.kind() == ErrorKind::NotADirectory => FileState::BelowFile,
            Err(_) => FileState::Unknown,
        }
    }

    fn limit_most(&self, limit: LimitKind) -> u64 {
        RealHost.limit_most(limit)
    }

    fn variable(&self, name: &str) -> Option<String> {
        RealHost.variable(name)
    }
}

impl Host for RealHost {
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        // Without O_NONBLOCK the open of a pipe waits for a writer, and a running pm reads its files again.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = match opened {
            Ok(file) => file,
            // A link that leads nowhere is there: what it was made for is not to be passed over.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match path.read_link() {
                    Ok(target) => Err(Unreadable::Dangling { target }),
                    Err(_) => Ok(None),
                };
            }
            Err(error) => return Err(unreadable(&error)),
        };
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(Unreadable::Folder),
            Ok(metadata) if !metadata.is_file() => return Err(Unreadable::NotRegular),
            Ok(_) => {}
            Err(error) => return Err(unreadable(&error)),
        }
        read_text(file).map(Some)
    }

    fn user(&self, name: &str) -> Option<Identity> {
        users::identity(name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        users::group(name)
    }

    fn may_change_user(&self) -> bool {
        users::may_change_user()
    }

    fn least_nice(&self) -> i32 {
        privileges::least_nice()
    }

    fn folder(&self, _: &Path) -> FolderState {
        FolderState::Unknown
    }

    fn limit_most(&self, limit: LimitKind) -> u64 {
        match limit {
            LimitKind::OpenFiles => privileges::open_files_most(),
            LimitKind::Processes => privileges::limit_most(Resource::RLIMIT_NPROC),
            LimitKind::FileSize => privileges::limit_most(Resource::RLIMIT_FSIZE),
            LimitKind::Core => privileges::limit_most(Resource::RLIMIT_CORE),
            LimitKind::Stack => privileges::limit_most(Resource::RLIMIT_STACK),
            LimitKind::Memory => privileges::limit_most(Resource::RLIMIT_AS),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl RealHost {
    /// Reads all that a pipe brings. It waits for the writers, so that a running pm must not call it.
    pub fn read_pipe(&self, path: &Path) -> Result<String, Unreadable> {
        read_text(File::open(path).map_err(|error| unreadable(&error))?)
    }
}

/// The text of a file, or its first part, long enough that it is refused, if it is too long.
fn read_text(file: File) -> Result<String, Unreadable> {
    let bytes_max = u64::try_from(FILE_BYTES_MAX).expect("a MiB fits") + 1;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let is_cut = bytes.len() > FILE_BYTES_MAX;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // It may be cut within a character.
        Err(error) if is_cut => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(error) if matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) => {
            Err(Unreadable::Utf16)
        }
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            Err(Unreadable::NotUtf8 { line: lines::number(before) })
        }
    }
}

/// The errno of an error of open(2), fstat(2) or read(2).
pub fn unreadable(error: &io::Error) -> Unreadable {
    Unreadable::Os(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_or_is_not_there_or_cannot_be_read_for_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("text"), "A=ü\n").unwrap();
        fs::write(at("bytes"), b"A=1\nB=\xff\n").unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(RealHost.read(&at("text")), Ok(Some("A=ü\n".into())));
        assert_eq!(RealHost.read(&at("nothing")), Ok(None));
        std::os::unix::fs::symlink("nothing", at("link")).unwrap();
        let dangling = Unreadable::Dangling { target: "nothing".into() };
        assert_eq!(RealHost.read(&at("link")), Err(dangling));
        assert_eq!(RealHost.read(&at("bytes")), Err(Unreadable::NotUtf8 { line: 2 }));
        fs::write(at("utf-16"), b"\xff\xfea\0").unwrap();
        assert_eq!(RealHost.read(&at("utf-16")), Err(Unreadable::Utf16));
        assert_eq!(RealHost.read(folder.path()), Err(Unreadable::Folder));
        assert_eq!(RealHost.read(&at("pipe")), Err(Unreadable::NotRegular));
        assert_eq!(RealHost.read(&at("text/more")), Err(Unreadable::Os(Errno::ENOTDIR)));
    }

    #[test]
    fn of_a_file_that_is_too_long_little_more_than_the_limit_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, "ü".repeat(FILE_BYTES_MAX)).unwrap();
        let text = RealHost.read(&path).unwrap().unwrap();
        assert!(text.len() > FILE_BYTES_MAX && text.len() < FILE_BYTES_MAX + 8);
    }
}
