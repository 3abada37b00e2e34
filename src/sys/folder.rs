//! The folder of a file that pm writes. On the way to it no symlink is followed that another user could have made, so
//! that pm, run as root, creates and renames files only where the path leads and not where that user points.
//!
//! A symlink is followed if it belongs to root or to pm's own user, and no other user may change the folder that it is
//! in: `/var/log` may be a link. The kernel cannot be asked for this (RESOLVE_NO_SYMLINKS of openat2(2) refuses every
//! link), so the path is walked name by name, each from the folder before. What is done in the folder then goes by its
//! descriptor, wherever its path may lead by then.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, getegid, geteuid, unlinkat};

use super::strerror;

/// As many links as the kernel follows in one path (path_resolution(7)).
const DETOURS_MAX: usize = 40;

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// Why a folder or a file in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{} is a symlink that another user could change", .0.display())]
    ForeignLink(PathBuf),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is a hard link in a folder that another user could change")]
    ForeignHardLink,
    #[error("{}", strerror(.0))]
    Io(#[from] io::Error),
}

impl From<Errno> for FolderError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Folder {
    /// Opens the folder at this absolute path, and creates what is missing of it.
    ///
    /// # Errors
    /// If a symlink on the way may not be followed, and as mkdirat(2) and openat(2).
    pub fn create(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::root()?;
        let mut names = Vec::new();
        push_names(&mut names, path);
        let mut walked = PathBuf::from("/");
        let mut detours = 0;
        while let Some(name) = names.pop() {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            match openat(&folder.0, name.as_os_str(), flags, Mode::empty()) {
                Ok(next) => {
                    folder = Self(next);
                    walked.push(name);
                    continue;
                }
                Err(Errno::ENOENT) => {
                    let mode = Mode::S_IRWXU | Mode::S_IRWXG | Mode::S_IRWXO;
                    match mkdirat(&folder.0, name.as_os_str(), mode) {
                        // Another process may have created it, of whatever kind it is.
                        Ok(()) | Err(Errno::EEXIST) => names.push(name),
                        Err(errno) => return Err(errno.into()),
                    }
                }
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let target = folder.read_link(&name, &walked)?;
                    if target.is_absolute() {
                        (folder, walked) = (Self::root()?, PathBuf::from("/"));
                    }
                    push_names(&mut names, &target);
                }
                Err(errno) => return Err(errno.into()),
            }
            detours += 1;
            if detours > DETOURS_MAX {
                return Err(Errno::ELOOP.into());
            }
        }
        Ok(folder)
    }

    fn root() -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open("/", flags, Mode::empty())?))
    }

    /// Where this symlink leads, if it may be followed. `walked` is the path of the folder, for messages.
    fn read_link(&self, name: &OsStr, walked: &Path) -> Result<PathBuf, FolderError> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let link = openat(&self.0, name, flags, Mode::empty())?;
        let stat = fstat(&link)?;
        if kind(&stat) != SFlag::S_IFLNK {
            return Err(Errno::ENOTDIR.into());
        }
        if !is_trusted(stat.st_uid) || !self.is_private()? {
            return Err(FolderError::ForeignLink(walked.join(name)));
        }
        // The link that was asked about, not another one that has its name by now.
        Ok(PathBuf::from(readlinkat(&link, "")?))
    }

    /// Opens a regular file for appending, or creates it. A pipe is not even opened, because its reader would notice.
    ///
    /// # Errors
    /// If there is something else under that name, and as openat(2).
    pub fn append(&self, name: &OsStr) -> Result<File, FolderError> {
        let before = match fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if kind(&stat) == SFlag::S_IFREG => Some(stat),
            Ok(_) => return Err(FolderError::NotRegular),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno.into()),
        };
        // What is put there meanwhile must not block.
        let mut flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CLOEXEC;
        flags |= OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        if before.is_none() {
            flags |= OFlag::O_CREAT | OFlag::O_EXCL;
        }
        let mode = Mode::from_bits_truncate(0o666);
        let file = openat(&self.0, name, flags, mode)?;
        let stat = fstat(&file)?;
        let identity = |stat: &FileStat| (stat.st_dev, stat.st_ino);
        if before.is_some_and(|before| identity(&before) != identity(&stat)) {
            return Err(FolderError::NotRegular);
        }
        if stat.st_nlink > 1 && !self.is_private()? {
            return Err(FolderError::ForeignHardLink);
        }
        Ok(file.into())
    }

    /// Another descriptor of this folder: while it is there, dropping it makes room for that of a file.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn spare(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// True if there is something under this name.
    pub fn has(&self, name: &OsStr) -> bool {
        fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Renames a file in this folder.
    ///
    /// # Errors
    /// As renameat(2).
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file from this folder.
    ///
    /// # Errors
    /// As unlinkat(2).
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// True if no user but root and pm's own may exchange what is in it. In a folder with the sticky bit each may
    /// exchange only what is their own (inode(7)).
    fn is_private(&self) -> Result<bool, Errno> {
        let stat = fstat(&self.0)?;
        let mode = Mode::from_bits_truncate(stat.st_mode);
        let is_own_group = stat.st_gid == 0 || stat.st_gid == getegid().as_raw();
        let is_shared =
            mode.contains(Mode::S_IWOTH) || mode.contains(Mode::S_IWGRP) && !is_own_group;
        Ok(is_trusted(stat.st_uid) && (!is_shared || mode.contains(Mode::S_ISVTX)))
    }
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Puts the names of a path on the stack, the first one on top.
fn push_names(names: &mut Vec<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(_) | Component::ParentDir => {
                names.push(component.as_os_str().to_owned());
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    const OTHER_USER: Option<u32> = Some(65_534);

    /// Writes a line to `file` below this folder, as a log file is written.
    fn write(path: &Path) -> Result<(), FolderError> {
        let folder = Folder::create(path.parent().unwrap())?;
        Ok(folder.append(path.file_name().unwrap())?.write_all(b"line\n")?)
    }

    #[test]
    fn missing_folders_are_created_and_own_links_are_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path();
        std::fs::create_dir_all(top.join("elsewhere/deep")).unwrap();
        symlink("elsewhere", top.join("relative")).unwrap();
        symlink(top.join("relative/deep"), top.join("absolute")).unwrap();
        write(&top.join("a/b/../c/./x.log")).unwrap();
        write(&top.join("absolute/new/x.log")).unwrap();
        assert!(top.join("a/c/x.log").is_file() && top.join("a/b").is_dir());
        assert!(top.join("elsewhere/deep/new/x.log").is_file());
    }

    #[test]
    fn what_is_no_folder_and_links_in_a_circle_are_errors() {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path();
        std::fs::write(top.join("file"), "").unwrap();
        symlink("circle", top.join("circle")).unwrap();
        for (folder, errno) in [("file", libc::ENOTDIR), ("circle", libc::ELOOP)] {
            let error = write(&top.join(folder).join("x.log")).unwrap_err();
            let is_this = |error: &io::Error| error.raw_os_error() == Some(errno);
            assert!(matches!(&error, FolderError::Io(error) if is_this(error)), "{error}");
        }
    }

    #[test]
    fn a_link_that_another_user_could_have_made_is_not_followed() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can make a link of another user");
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path();
        std::fs::create_dir_all(top.join("target")).unwrap();
        let link = |folder: &str| {
            std::fs::create_dir(top.join(folder)).unwrap();
            let link = top.join(folder).join("log");
            symlink(top.join("target"), &link).unwrap();
            link
        };
        let refused = |link: &Path| {
            let error = write(&link.join("x.log")).unwrap_err();
            assert!(matches!(&error, FolderError::ForeignLink(at) if at == link), "{error}");
        };
        let theirs = link("their-link");
        lchown(&theirs, OTHER_USER, None).unwrap();
        refused(&theirs);
        let in_theirs = link("their-folder");
        chown(top.join("their-folder"), OTHER_USER, None).unwrap();
        refused(&in_theirs);
        let in_shared = link("shared-folder");
        let shared = top.join("shared-folder");
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
        refused(&in_shared);
        assert_eq!(std::fs::read_dir(top.join("target")).unwrap().count(), 0);
        // As in /tmp: only the owner of a link may exchange it.
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o1777)).unwrap();
        write(&in_shared.join("x.log")).unwrap();
    }

    #[test]
    fn a_hard_link_in_a_folder_of_another_user_is_not_written() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can make a folder of another user");
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path();
        std::fs::write(top.join("target"), "").unwrap();
        std::fs::create_dir(top.join("log")).unwrap();
        std::fs::hard_link(top.join("target"), top.join("log/x.log")).unwrap();
        write(&top.join("log/x.log")).unwrap();
        chown(top.join("log"), OTHER_USER, None).unwrap();
        let error = write(&top.join("log/x.log")).unwrap_err();
        assert!(matches!(error, FolderError::ForeignHardLink), "{error}");
        assert_eq!(std::fs::read(top.join("target")).unwrap(), b"line\n");
    }
}
