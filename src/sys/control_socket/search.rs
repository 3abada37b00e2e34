//! Finds the control sockets that a command may mean: those in its folder, or else in the nearest folder above. Which
//! of several is meant is not decided here.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::place::file_at;
use super::probe::{Answer, is_trusted};

/// What was found on the way up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those of the first folder with a live one, in order of their names.
    pub live: Vec<PathBuf>,
    /// Those on which no process listens; the nearest first.
    pub stale: Vec<PathBuf>,
    /// Those of other users, with the uid; the nearest first. They do not end the search.
    pub foreign: Vec<(PathBuf, u32)>,
}

/// The control sockets in `start`, or else in its parent, and so on. The search ends at $HOME, at `/`, or where another
/// file system begins.
///
/// A folder that cannot be read is passed over, and so is a socket that cannot be asked.
pub fn find(start: &Path) -> Found {
    find_up_to(start, std::env::var_os("HOME").as_deref().map(Path::new))
}

fn find_up_to(start: &Path, home: Option<&Path>) -> Found {
    let mut found = Found::default();
    // As the folder lies, without symlinks: `..` of a path is not always the folder above.
    let Ok(start) = start.canonicalize() else { return found };
    // $HOME may be a symlink, so it is recognized by its identity.
    let identity = |path: &Path| path.metadata().ok().map(|of| (of.dev(), of.ino()));
    let home = home.and_then(identity);
    let mut device = None;
    for folder in start.ancestors() {
        let Some(here) = identity(folder) else { break };
        if *device.get_or_insert(here.0) != here.0 {
            break;
        }
        for path in sockets_in(folder) {
            match file_at(&path).and_then(|file| file.probe()) {
                Ok(Answer::Live { uid, .. }) if is_trusted(uid) => found.live.push(path),
                Ok(Answer::Live { uid, .. } | Answer::Forbidden { uid }) => {
                    found.foreign.push((path, uid));
                }
                Ok(Answer::Stale) => found.stale.push(path),
                Ok(Answer::NotASocket) | Err(_) => {}
            }
        }
        if !found.live.is_empty() || Some(here) == home {
            break;
        }
    }
    found
}

/// What has the name of a control socket ([`super::name_for`]), in order.
fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name();
        name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(b".pm.sock")
    });
    let mut paths: Vec<_> = named.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
