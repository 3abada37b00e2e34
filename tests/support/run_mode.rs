//! What the environment asks of a test run: the size of the tests, and whether a test may be skipped.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use super::programs::project;

/// True under `make proof`: full numbers, and claims about time and memory are asserted.
pub fn is_proof() -> bool {
    std::env::var_os("PM_PROOF").is_some()
}

/// The size of a test: the value of `variable`, or `proof` under `make proof`, or `usual`.
pub fn size(variable: &str, usual: u64, proof: u64) -> u64 {
    let default = if is_proof() { proof } else { usual };
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Prints what was measured. cargo shows it with `--nocapture`.
pub fn proof(what: &str, figure: &str) {
    println!("proof: {what:<26} {}", figure.trim().replace('\n', "; "));
}

/// Reports on stderr that the running test is skipped, and why. The test returns after this.
///
/// With `PM_SKIP_NOTHING` set, as in continuous integration, the test fails instead.
#[track_caller]
pub fn skip(reason: impl Display) {
    let test = std::thread::current();
    let skipped = format!("skipped: {}: {reason}\n", test.name().unwrap_or("a test"));
    assert!(std::env::var_os("PM_SKIP_NOTHING").is_none(), "{skipped}");
    // Not with `eprint!`: cargo captures that, and does not show it for a test that passes.
    std::io::stderr().write_all(skipped.as_bytes()).expect("stderr");
}

/// Skips the running test if one of these programs is neither on PATH nor a file. True if it is skipped.
#[track_caller]
pub fn skip_without(programs: &[PathBuf]) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    // Joined to a folder, an absolute path stays as it is.
    let is_missing = |program: &&PathBuf| !folders.iter().any(|path| path.join(program).is_file());
    let missing = programs.iter().find(is_missing);
    if let Some(missing) = missing {
        skip(format!("there is no {}", missing.display()));
    }
    missing.is_some()
}

/// Skips the running test if Deno is neither in the project's `.deno` nor on PATH. True if it is skipped.
#[track_caller]
pub fn skip_without_deno() -> bool {
    !project().join(".deno/bin/deno").is_file() && skip_without(&["deno".into()])
}
