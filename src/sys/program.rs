//! Finding the file of a program on PATH, as a shell does. It executes nothing: that is [`super::spawn`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::spawn::SpawnError;
use crate::plan::environment::PATH;
use crate::plan::wrapper;

/// What execvp(3) searches when there is no `PATH`.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// The file to execute for `program`: itself if it has a slash, else the first executable file of that name in the
/// folders of `path`. A relative path starts in `folder`, where the program will run, or else in pm's own folder.
///
/// # Errors
/// [`SpawnError::NotFound`], or [`SpawnError::Script`] if only a wrapper script was found ([`wrapper::is_wrapped`]).
pub fn find(
    program: &OsStr,
    path: Option<&OsStr>,
    folder: Option<&Path>,
) -> Result<PathBuf, SpawnError> {
    let here = |file: PathBuf| match folder {
        Some(folder) => folder.join(file),
        None => file,
    };
    if program.as_bytes().contains(&b'/') {
        return Ok(here(program.into()));
    }
    let mut script = None;
    for entry in std::env::split_paths(path.unwrap_or(OsStr::new(PATH_DEFAULT))) {
        let file = here(entry.join(program));
        if !file.is_file() || access(&file, AccessFlags::X_OK).is_err() {
            continue;
        }
        if wrapper::is_wrapped(program) && is_script(&file) {
            script.get_or_insert(file);
            continue;
        }
        return Ok(file);
    }
    match script {
        Some(path) => Err(SpawnError::Script { path }),
        None => Err(SpawnError::NotFound { program: program.to_os_string() }),
    }
}

/// Fails if this program could not be executed now, as far as can be known without executing it. The arguments are
/// those of [`find`].
///
/// # Errors
/// As [`find`], and [`SpawnError::Exec`] if the file is not there or is not executable.
pub fn check(
    program: &OsStr,
    path: Option<&OsStr>,
    folder: Option<&Path>,
) -> Result<(), SpawnError> {
    let file = find(program, path, folder)?;
    let allowed = access(&file, AccessFlags::X_OK);
    // A folder is executable too.
    let allowed = allowed.and(if file.is_dir() { Err(Errno::EACCES) } else { Ok(()) });
    allowed.map_err(|errno| SpawnError::Exec { path: file, errno })
}

/// True if the kernel would start an interpreter for this file (execve(2), "Interpreter scripts").
fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

/// The value of `PATH` among these variables.
pub fn path_of(variables: &[(OsString, OsString)]) -> Option<OsString> {
    variables.iter().find(|(name, _)| name == PATH).map(|(_, path)| path.clone())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn executable(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let file = folder.join(name);
        write(&file, content).unwrap();
        set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        file
    }

    #[test]
    fn the_first_executable_file_on_path_is_taken() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(a.path().join("job"), "not executable").unwrap();
        std::fs::create_dir(a.path().join("tool")).unwrap();
        let job = executable(b.path(), "job", b"\x7fELF");
        let tool = executable(b.path(), "tool", b"#!/bin/sh");
        let path = std::env::join_paths([a.path(), b.path()]).unwrap();
        assert_eq!(find("job".as_ref(), Some(&path), None).unwrap(), job);
        assert_eq!(find("tool".as_ref(), Some(&path), None).unwrap(), tool);
        assert_eq!(find("./x".as_ref(), Some(&path), None).unwrap(), Path::new("./x"));
        let there = find("./x".as_ref(), Some(&path), Some(a.path())).unwrap();
        assert_eq!(there, a.path().join("./x"));
        let missing = find("nothing".as_ref(), Some(&path), None).unwrap_err();
        assert_eq!(missing.to_string(), "nothing: not found on PATH");
    }

    #[test]
    fn a_wrapper_script_is_passed_over_for_the_binary_of_the_same_name() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = executable(a.path(), "deno", b"#!/usr/bin/env node");
        let path = std::env::join_paths([a.path(), b.path()]).unwrap();
        let refused = find("deno".as_ref(), Some(&path), None).unwrap_err();
        assert!(matches!(refused, SpawnError::Script { path } if path == script));
        let binary = executable(b.path(), "deno", b"\x7fELF");
        assert_eq!(find("deno".as_ref(), Some(&path), None).unwrap(), binary);
    }
}
