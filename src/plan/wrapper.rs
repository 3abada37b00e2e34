//! Programs that package managers wrap in a script which pm must not run.

use std::ffi::OsStr;

/// True if a script of this name on `PATH` only wraps the program.
///
/// The npm package of Deno puts a Node script named `deno` on `PATH`. The script runs the real Deno as a child and,
/// when it is told to stop, ends without it: the server stays and keeps the port.
pub fn is_wrapped(program: &OsStr) -> bool {
    program == "deno"
}
