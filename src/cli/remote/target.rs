//! Which socket a command means: `--socket` or PM_SOCKET, else that of `-f FILE`, else the one that is found here or in
//! the nearest folder above.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::args::PlaceArgs;
use super::failure::{Failure, NoPm};
use crate::cli::load::{PM_TOML, here};
use crate::cli::socket::{NO_SOCKET, beside};
use crate::plan::text::phrase;
use crate::sys::control_socket::search::{Found, find};

/// The variable that names a socket.
pub const VARIABLE: &str = "PM_SOCKET";

/// The name of every socket ends so.
const SUFFIX: &str = ".pm.sock";

/// The socket that is meant. Whether a pm listens there is not known yet, unless it was searched.
///
/// # Errors
/// If none is found, or more than one.
pub fn socket(target: &PlaceArgs) -> Result<PathBuf, Failure> {
    if let Some(path) = named(target) {
        return Ok(path);
    }
    let here = here().map_err(|error| Failure::Usage(error.to_string()))?;
    of_search(&here, find(&here))
}

/// The socket that the command line or the environment names.
pub fn named(target: &PlaceArgs) -> Option<PathBuf> {
    // What tells `pm run` to make none names none.
    let is_path = |path: &OsString| !path.is_empty() && path != NO_SOCKET;
    let of_environment = || std::env::var_os(VARIABLE).filter(is_path);
    match (&target.socket, &target.file) {
        (Some(path), _) => Some(path.clone()),
        // The name of a pool from the command line is as good as that of a file.
        (None, Some(file)) => Some(beside(file)),
        (None, None) => of_environment().map(PathBuf::from),
    }
}

/// The one that is meant of those that were found.
fn of_search(here: &Path, found: Found) -> Result<PathBuf, Failure> {
    let Found { mut live, stale, foreign } = found;
    match live.len() {
        1 => Ok(live.remove(0)),
        0 => Err(Failure::NoPm(match (stale.into_iter().next(), foreign.into_iter().next()) {
            (Some(path), _) => NoPm::Stale(path),
            (None, Some((path, uid))) => NoPm::NotYours { path, uid },
            (None, None) => NoPm::Nowhere { here: here.to_path_buf() },
        })),
        count => Err(Failure::Usage(several(&live, count))),
    }
}

/// A line for each socket, with the option that means it.
fn several(live: &[PathBuf], count: usize) -> String {
    let mut text = format!("{} run here; name one with `-f`:", phrase::count(count, "pm"));
    for path in live {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(SUFFIX).unwrap_or(&name).trim_start_matches('.');
        let option = if stem.is_empty() { PM_TOML } else { stem };
        let _ = write!(text, "\n  -f {option:<16}  {}", path.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_live_socket_is_meant_and_of_several_one_has_to_be_named() {
        let here = Path::new("/app");
        let live = |names: &[&str]| Found {
            live: names.iter().map(|name| here.join(name)).collect(),
            ..Found::default()
        };
        assert_eq!(of_search(here, live(&[".pm.sock"])).unwrap(), Path::new("/app/.pm.sock"));
        let several = of_search(here, live(&[".dev.pm.sock", ".pm.sock"])).unwrap_err();
        assert_eq!(several.status(), 2);
        let words = several.to_string();
        assert!(words.starts_with("2 pms run here; name one with `-f`:\n  -f dev "), "{words}");
        assert!(words.contains("\n  -f pm.toml "), "{words}");
    }

    #[test]
    fn none_a_stale_one_and_that_of_another_user_are_three_sentences() {
        let here = Path::new("/app");
        let stale = Found { stale: vec![here.join(".pm.sock")], ..Found::default() };
        let foreign = Found { foreign: vec![(here.join(".pm.sock"), 4711)], ..Found::default() };
        let sentences: Vec<_> = [Found::default(), stale, foreign]
            .into_iter()
            .map(|found| {
                let failure = of_search(here, found).unwrap_err();
                assert_eq!(failure.status(), 4);
                failure.to_string()
            })
            .collect();
        assert_eq!(
            sentences,
            [
                "no pm runs in /app or above; start one with `pm`, or name its socket with `--socket`",
                "/app/.pm.sock: no pm listens on it: the pm that made it was killed; start one with `pm`",
                "/app/.pm.sock: it belongs to the pm of uid 4711; try `sudo -u '#4711' pm ...`",
            ]
        );
    }
}
