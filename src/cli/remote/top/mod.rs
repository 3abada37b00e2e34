//! `pm top`: the slots and the lines of their workers on the whole terminal, as they change. It is a client of the
//! control socket like any other: it knows what the API says, and its end stops nothing.
//!
//! [`state`] is all that is shown, [`frame`] draws it, and neither knows a clock, a terminal or a socket. [`layout`]
//! and [`columns`] say what fits, [`line`] makes cells of a worker's line, [`keys`] makes keys of bytes, [`order`]
//! reads what is typed after `:`, [`totals`] the metrics. [`live`] brings them together with [`link`], the connections
//! to pm, [`screen`], the terminal, and [`usage`], a look at the workers. [`trial`] is for the benchmark.

mod columns;
mod frame;
mod keys;
mod layout;
mod line;
mod link;
mod live;
mod order;
mod screen;
mod state;
mod totals;
pub mod trial;
mod usage;

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;

use super::args::TopArgs;
use super::failure::Failure;
use super::print::Paint;
use super::session::Session;
use super::target;
use crate::cli::exit_status::STOPPED;

use self::state::{Colours, Glyphs, Look};

/// Shows pm until `q`.
///
/// # Errors
/// If there is no pm, no such slot, or no terminal.
pub fn top(args: &TopArgs) -> Result<u8, Failure> {
    let socket = target::socket(&args.place)?;
    let session = Session::at(&socket);
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(Failure::Usage(
            "`pm top` needs a terminal; `pm status` prints the slots once".into(),
        ));
    }
    if std::env::var_os("TERM").is_some_and(|name| name == "dumb") {
        return Err(Failure::Usage(
            "`pm top` needs a terminal that moves its cursor, and TERM=dumb is none; `pm status` prints the slots once"
                .into(),
        ));
    }
    let look = Look {
        glyphs: if args.ascii || !has_unicode() { Glyphs::Ascii } else { Glyphs::Unicode },
        colours: match Paint::of(args.colour) {
            Paint::Colour => Colours::Some,
            Paint::Plain => Colours::None,
        },
    };
    live::show(&session, &socket, &args.slots, look)?;
    Ok(STOPPED)
}

/// Whether the characters of the locale are Unicode's, by the variables that name it (locale(7)).
fn has_unicode() -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut set = names.iter().filter_map(std::env::var_os).filter(|value| !value.is_empty());
    set.next().is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The file that pm runs, as it is shown: below the home folder with a `~`.
fn title(plan: Option<&str>, socket: &Path) -> String {
    let Some(plan) = plan else { return String::new() };
    // pm names it as it was told to: relative to its folder, which the default socket is in.
    let folder = socket.parent().unwrap_or(Path::new(""));
    let beside = folder.join(plan);
    let path = if beside.is_file() { beside.canonicalize().unwrap_or(beside) } else { plan.into() };
    let home = std::env::home_dir().filter(|home| home.as_os_str().len() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}
