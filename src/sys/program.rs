//! Finding the file that a command names, the way a shell does.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::spawn::SpawnError;

/// What execvp(3) searches when there is no `PATH`.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// The file to execute for `program`: itself if it has a slash, else the first executable file of that name in the
/// folders of `path`. What is relative starts from `folder`, where the program is to run, or else from pm's own.
///
/// # Errors
/// [`SpawnError::NotFound`], or [`SpawnError::Wrapper`] if all there is is the Node wrapper around Deno.
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
    let mut wrapper = None;
    for entry in std::env::split_paths(path.unwrap_or(OsStr::new(PATH_DEFAULT))) {
        let file = here(entry.join(program));
        if !file.is_file() || access(&file, AccessFlags::X_OK).is_err() {
            continue;
        }
        if program == "deno" && is_script(&file) {
            wrapper.get_or_insert(file);
            continue;
        }
        return Ok(file);
    }
    match wrapper {
        Some(path) => Err(SpawnError::Wrapper { path }),
        None => Err(SpawnError::NotFound { program: program.to_os_string() }),
    }
}

/// The npm package of Deno puts a Node script of that name on `PATH`. It runs the real Deno as a child and, when it
/// is told to stop, ends without it, so that the server stays and keeps the port.
fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

/// The value of `PATH` among these variables.
pub fn path_of(variables: &[(OsString, OsString)]) -> Option<OsString> {
    variables.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone())
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
    fn the_node_wrapper_around_deno_is_passed_over() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        executable(a.path(), "deno", b"#!/usr/bin/env node");
        let path = std::env::join_paths([a.path(), b.path()]).unwrap();
        let refused = find("deno".as_ref(), Some(&path), None).unwrap_err();
        assert!(refused.to_string().contains("Node script"), "{refused}");
        let native = executable(b.path(), "deno", b"\x7fELF");
        assert_eq!(find("deno".as_ref(), Some(&path), None).unwrap(), native);
    }
}
