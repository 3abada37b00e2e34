//! Where the control socket of a plan is: beside its file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::load::{Loaded, PM_TOML, PROCFILE, Source};
use crate::reactor::{Place, PlaceOrigin};
use crate::sys::control_socket::name_for;

/// In place of a path: no control socket.
pub const NO_SOCKET: &str = "none";

/// The place of the control socket of a run; `None` if it has none. `asked` is what the command line or the environment
/// says.
pub fn place(asked: Option<&OsStr>, loaded: &Loaded, here: &Path) -> Option<Place> {
    match asked {
        Some(none) if none == NO_SOCKET => None,
        Some(path) => Some(Place { path: path.into(), origin: PlaceOrigin::Asked }),
        None => {
            let path = match &loaded.path {
                Some(file) => beside(&here.join(file)),
                // A pool of a command line has its name; the lab and a pipe have none.
                None => here.join(match loaded.plan.pools.first() {
                    Some(pool) if loaded.source == Source::CommandLine => {
                        name_for(Some(&pool.name))
                    }
                    _ => name_for(None),
                }),
            };
            Some(Place { path, origin: PlaceOrigin::Default })
        }
    }
}

/// The socket of the plan in this file: `.pm.sock`, or `.STEM.pm.sock` for a file of another name than pm looks for.
pub fn beside(file: &Path) -> PathBuf {
    let is_usual = file.file_name().is_some_and(|name| name == PM_TOML || name == PROCFILE);
    let stem = file.file_stem().map(OsStr::to_string_lossy).filter(|_| !is_usual);
    file.with_file_name(name_for(stem.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_file_is_beside_it() {
        for (file, socket) in [
            ("/app/pm.toml", "/app/.pm.sock"),
            ("/app/Procfile", "/app/.pm.sock"),
            ("/app/staging.toml", "/app/.staging.pm.sock"),
            ("/app/Procfile.dev", "/app/.Procfile.pm.sock"),
        ] {
            assert_eq!(beside(Path::new(file)), Path::new(socket));
        }
    }
}
