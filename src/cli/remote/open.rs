//! `pm open`: prints where the page is, and becomes the program that shows it.

use std::ffi::OsString;

use super::args::OpenArgs;
use super::failure::Failure;
use super::print::Printer;
use super::session::Session;
use crate::cli::exit_status::STOPPED;
use crate::plan::ExecSpec;
use crate::sys::{Launch, SpawnError, Texts};

/// The program that knows which browser this user has.
const OPENER: &str = "xdg-open";

/// Returns only if there is no program to become.
///
/// # Errors
/// If no pm runs here, or if it has no page.
pub fn open(args: &OpenArgs) -> Result<u8, Failure> {
    let (status, _) = Session::of(&args.place)?.status(&[])?;
    let page = status.pm.page.ok_or(Failure::NoPage)?;
    let mut printer = Printer::new();
    printer.line(&page)?;
    printer.flush()?;
    let browser = std::env::var_os("BROWSER").filter(|name| !name.is_empty());
    for program in browser.into_iter().chain([OPENER.into()]) {
        match become_opener(program, &page) {
            // A browser of another machine, as a rule: there is the address.
            SpawnError::NotFound { .. } => {}
            error => return Err(Failure::Opener(error)),
        }
    }
    Ok(STOPPED)
}

/// Returns only if this process cannot become the program.
fn become_opener(program: OsString, page: &str) -> SpawnError {
    let exec = ExecSpec { argv: vec![program, page.into()], ..ExecSpec::default() };
    let inherited: Vec<_> = std::env::vars_os().collect();
    Launch::new(&exec, &inherited, [], &mut Texts::default()).become_program()
}
