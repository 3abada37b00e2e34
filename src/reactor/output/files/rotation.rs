//! The names of a log file: `web.1.log` becomes `web.1.log.1`, that becomes `web.1.log.2`, and so on; the oldest is
//! removed. What is written to them is decided in [`super::writer`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::plan::LogFile;
use crate::sys::folder::{Folder, FolderError};

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

/// Opens the file for appending, or creates it.
///
/// # Errors
/// What the file system answered, or that there is no regular file.
pub fn open(path: &Path) -> Result<File, FolderError> {
    let (folder, name) = folder_and_name(path)?;
    folder.append(name)
}

/// Frees the file's name and opens a new file: the former becomes number 1, and the number of each older one grows by
/// one, up to a number that is free.
///
/// # Errors
/// As [`open`], and as renameat(2).
pub fn rotate(plan: &LogFile, renames: &mut Renames) -> Result<File, FolderError> {
    let (folder, name) = folder_and_name(&plan.path)?;
    let keep = plan.keep;
    if keep == 0 {
        absent(folder.remove(name))?;
    } else {
        let last = (1..keep).find(|n| !folder.has(&numbered(name, *n))).unwrap_or(keep);
        for n in (1..last).rev() {
            absent(folder.rename(&numbered(name, n), &numbered(name, n + 1)))?;
        }
        absent(folder.rename(name, &numbered(name, 1)))?;
        renames.0 = renames.0.saturating_sub(last as usize);
    }
    folder.append(name)
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
