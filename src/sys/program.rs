//! Which files a program may be, as a shell searches PATH. A run looks at none of them: a file system may hang. Which
//! one is there, [`super::child`] finds out; only [`check`] and [`check_folder`] look, for `pm check` and `pm reload`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::stat;
use nix::unistd::{AccessFlags, access};

use super::spawn::{Preparation, SpawnError};
use crate::plan::environment::{PATH, Variable};
use crate::plan::wrapper;

/// What execvp(3) searches when there is no `PATH`.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// The files that a program may be, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidates {
    /// A relative path starts in the folder where the program will run.
    pub paths: Vec<PathBuf>,
    /// They are on PATH, and the first that is there is taken.
    pub is_searched: bool,
    /// A script among them is passed over ([`wrapper::is_wrapped`]).
    pub is_wrapped: bool,
}

/// The files that `program` may be: itself if it has a slash, else one of that name in each folder of `path`.
pub fn candidates(program: &OsStr, path: Option<&OsStr>) -> Candidates {
    if program.as_bytes().contains(&b'/') {
        let paths = vec![program.into()];
        return Candidates { paths, is_searched: false, is_wrapped: false };
    }
    let folders = std::env::split_paths(path.unwrap_or(OsStr::new(PATH_DEFAULT)));
    let paths = folders.map(|folder| folder.join(program)).collect();
    Candidates { paths, is_searched: true, is_wrapped: wrapper::is_wrapped(program) }
}

/// Fails if this program could not be executed now in `folder`, or else in pm's own, as far as can be known without
/// executing it. It looks at files, and so may hang: never call it in a run.
///
/// # Errors
/// Those of a start: [`SpawnError::NotFound`], [`SpawnError::Script`] or [`SpawnError::Exec`].
pub fn check(
    program: &OsStr,
    path: Option<&OsStr>,
    folder: Option<&Path>,
) -> Result<(), SpawnError> {
    let Candidates { paths, is_searched, is_wrapped } = candidates(program, path);
    let mut failure = None;
    for path in paths {
        let path = folder.map_or_else(|| path.clone(), |folder| located(folder, &path));
        if is_wrapped && is_script(&path) {
            failure.get_or_insert(SpawnError::Script { path });
            continue;
        }
        match executable(&path) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOENT | Errno::ENOTDIR) if is_searched => {}
            Err(errno @ Errno::EACCES) if is_searched => {
                failure.get_or_insert(SpawnError::Exec { path, errno });
            }
            Err(errno) => return Err(SpawnError::Exec { path, errno }),
        }
    }
    Err(failure.unwrap_or_else(|| SpawnError::NotFound { program: program.to_os_string() }))
}

/// Fails if this folder is not there. It may hang as [`check`].
///
/// # Errors
/// That of a start, [`Preparation::Folder`]; of a folder that pm may not see nothing is known.
pub fn check_folder(folder: &Path) -> Result<(), SpawnError> {
    let errno = match stat(folder) {
        Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => return Ok(()),
        Ok(_) => Errno::ENOTDIR,
        Err(errno @ (Errno::ENOENT | Errno::ENOTDIR)) => errno,
        Err(_) => return Ok(()),
    };
    Err(SpawnError::Prepare { preparation: Preparation::Folder(folder.to_owned()), errno })
}

/// The path from a folder, without the `.` that a path like `./run` begins with.
pub fn located(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().collect()
}

fn executable(file: &Path) -> Result<(), Errno> {
    access(file, AccessFlags::X_OK)?;
    // A folder is executable too.
    if file.is_dir() { Err(Errno::EACCES) } else { Ok(()) }
}

/// True if the kernel would start an interpreter for this file (execve(2), "Interpreter scripts").
fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    // Opening a FIFO would wait for a writer.
    file.is_file()
        && File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *b"#!"
}

/// The value of `PATH` among these variables.
pub fn path_of<'a>(variables: &'a [Variable<'_>]) -> Option<&'a OsStr> {
    variables.iter().find(|(name, _)| *name == PATH).map(|(_, path)| path.as_ref())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_with_a_slash_is_one_file_and_any_other_is_searched() {
        let one = candidates("./x".as_ref(), Some("/a:/b".as_ref()));
        assert_eq!(
            one,
            Candidates { paths: vec!["./x".into()], is_searched: false, is_wrapped: false }
        );
        let searched = candidates("job".as_ref(), Some("/a:b".as_ref()));
        assert_eq!(searched.paths, [PathBuf::from("/a/job"), "b/job".into()]);
        assert!(searched.is_searched && !searched.is_wrapped);
        assert_eq!(candidates("job".as_ref(), None).paths.len(), 2);
        assert!(candidates("deno".as_ref(), None).is_wrapped);
    }

    fn write_executable(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let file = folder.join(name);
        write(&file, content).unwrap();
        set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn refused(program: &str, path: &OsStr, folder: Option<&Path>) -> String {
        check(program.as_ref(), Some(path), folder).unwrap_err().to_string()
    }

    #[test]
    fn a_check_passes_over_what_could_not_be_executed() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = std::env::join_paths([a.path(), b.path()]).unwrap();
        write(a.path().join("job"), "not executable").unwrap();
        std::fs::create_dir(a.path().join("tool")).unwrap();
        let denied =
            |name| format!("{}: not executable: permission denied", a.path().join(name).display());
        assert_eq!(refused("job", &path, None), denied("job"));
        assert_eq!(refused("tool", &path, None), denied("tool"));
        assert_eq!(refused("nothing", &path, None), "nothing: not found on PATH");
        for name in ["job", "tool"] {
            write_executable(b.path(), name, b"#!/bin/sh");
            assert!(check(name.as_ref(), Some(&path), None).is_ok());
        }
        assert!(check("./job".as_ref(), None, Some(b.path())).is_ok());
        assert_eq!(refused("./job", &path, Some(a.path())), denied("job"));
    }

    #[test]
    fn a_check_passes_over_a_wrapper_script_for_the_binary_of_the_same_name() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = write_executable(a.path(), "deno", b"#!/usr/bin/env node");
        let path = std::env::join_paths([a.path(), b.path()]).unwrap();
        let refused = check("deno".as_ref(), Some(&path), None).unwrap_err();
        assert!(matches!(refused, SpawnError::Script { path } if path == script));
        write_executable(b.path(), "deno", b"\x7fELF");
        assert!(check("deno".as_ref(), Some(&path), None).is_ok());
    }
}
