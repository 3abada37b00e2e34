//! The names of a log file: `web.1.log` becomes `web.1.log.1`, that becomes `web.1.log.2`, and so on; the oldest is
//! removed. What is written to them is decided in [`super::writer`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::plan::LogFile;
use crate::sys::folder::{Folder, FolderError};
use crate::sys::strerror;

/// At most this many files are renamed in one wakeup, and the rest of a rotation that has begun. Each takes 5 to 20 µs.
const RENAMES_PER_WAKEUP: usize = 1_000;

/// How many files may still be renamed.
#[derive(Debug)]
pub struct Renames(usize);

impl Renames {
    pub fn of_wakeup() -> Self {
        Self(RENAMES_PER_WAKEUP)
    }

    pub fn unlimited() -> Self {
        Self(usize::MAX)
    }

    pub fn are_used_up(&self) -> bool {
        self.0 == 0
    }
}

/// Why a file is not rotated.
#[derive(Debug)]
pub enum RotateError {
    /// This file keeps its name, and so does every younger one: a folder may stand at the other name, or no descriptor
    /// is left for a new file.
    NotRenamed(NotRenamed),
    /// The new file cannot be opened.
    NotOpened(FolderError),
}

/// A file that keeps its name. As text, it is what could not be done to it.
#[derive(Debug, thiserror::Error)]
#[error("cannot {}: {}", attempt(.file, .to.as_deref()), strerror(.error))]
pub struct NotRenamed {
    pub file: PathBuf,
    /// `None`: it was to be removed.
    pub to: Option<PathBuf>,
    pub error: io::Error,
}

fn attempt(file: &Path, to: Option<&Path>) -> String {
    match to {
        Some(to) => format!("rename {} to {}", file.display(), to.display()),
        None => format!("remove {}", file.display()),
    }
}

impl NotRenamed {
    /// The folder that is in the way, if it is one (rename(2)).
    pub fn folder_in_the_way(&self) -> Option<&Path> {
        match self.error.raw_os_error().map(Errno::from_raw)? {
            Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST => self.to.as_deref(),
            Errno::ENOTDIR => Some(&self.file),
            _ => None,
        }
    }
}

impl<E: Into<FolderError>> From<E> for RotateError {
    fn from(error: E) -> Self {
        Self::NotOpened(error.into())
    }
}

/// Opens the file for appending, or creates it.
///
/// # Errors
/// What the file system answered, or that there is no regular file.
pub fn open(path: &Path) -> Result<File, FolderError> {
    let (folder, name) = folder_and_name(path)?;
    folder.append(name)
}

/// Frees the file's name and opens a new file: the former becomes number 1, and the number of each older one grows by
/// one, up to a number that is free. Where too many files are open for a new one, nothing is renamed.
///
/// # Errors
/// As [`open`], and as renameat(2).
pub fn rotate(plan: &LogFile, renames: &mut Renames) -> Result<File, RotateError> {
    let (folder, name) = folder_and_name(&plan.path).map_err(|error| not_begun(plan, error))?;
    let room = folder.spare().map_err(|error| not_begun(plan, error.into()))?;
    let keep = plan.keep;
    if keep == 0 {
        absent(folder.remove(name)).map_err(|error| not_renamed(plan, name, None, error))?;
    } else {
        let last = (1..keep).find(|n| !folder.has(&numbered(name, *n))).unwrap_or(keep);
        renames.0 = renames.0.saturating_sub(last as usize);
        let rename = |from: &OsStr, to: OsString| {
            let renamed = absent(folder.rename(from, &to));
            renamed.map_err(|error| not_renamed(plan, from, Some(&to), error))
        };
        for n in (1..last).rev() {
            rename(&numbered(name, n), numbered(name, n + 1))?;
        }
        rename(name, numbered(name, 1))?;
    }
    drop(room);
    Ok(folder.append(name)?)
}

/// Why nothing was renamed yet.
fn not_begun(plan: &LogFile, error: FolderError) -> RotateError {
    match (error, plan.path.file_name()) {
        (FolderError::Io(error), Some(name)) if is_lack_of_descriptors(&error) => {
            let to = (plan.keep > 0).then(|| numbered(name, 1));
            not_renamed(plan, name, to.as_deref(), error)
        }
        (error, _) => RotateError::NotOpened(error),
    }
}

fn is_lack_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

fn not_renamed(plan: &LogFile, file: &OsStr, to: Option<&OsStr>, error: io::Error) -> RotateError {
    let path = |name| plan.path.with_file_name(name);
    RotateError::NotRenamed(NotRenamed { file: path(file), to: to.map(path), error })
}

fn folder_and_name(path: &Path) -> Result<(Folder, &OsStr), FolderError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(FolderError::NotRegular);
    };
    Ok((Folder::create(folder)?, name))
}

fn numbered(name: &OsStr, n: u32) -> OsString {
    let mut numbered = name.to_owned();
    numbered.push(format!(".{n}"));
    numbered
}

/// Another process may have moved the file away.
fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
