//! `pm wait`: waits for the socket, then until the slots are what they should be.
//!
//! The socket is waited for with inotify(7) on the folder where it will be: nothing is asked again and again.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::args::{PlaceArgs, WaitArgs, default_timeout};
use super::commands::print;
use super::deadline::Deadline;
use super::failure::Failure;
use super::print::{Printer, stderr_line};
use super::progress::{Progress, Shown};
use super::session::{Session, with_slots};
use super::status::row::ended;
use super::target;
use crate::cli::exit_status::STOPPED;
use crate::cli::load::here;
use crate::client::{ClientError, Request};
use crate::sys::control_socket::client::{ConnectError, connect};
use crate::wire::{Death, Done};

/// The longest that pm waits for one request.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits.
///
/// # Errors
/// If it is not so in time, or will not be so.
pub fn wait(args: &WaitArgs) -> Result<u8, Failure> {
    let timeout = args.timeout.or_else(|| (!args.exit).then(default_timeout));
    let deadline = Deadline::after(timeout);
    let session = Session::at(&appeared(&args.target.place, deadline)?);
    let goal = match (args.stopped, args.exit) {
        (true, _) => "stopped",
        (false, true) => "exit",
        (false, false) => "ready",
    };
    let (status, _) = session.status(&args.slots.slots)?;
    let mut progress = Progress::after(&session, &status, Shown::slots(&status.slots))?;
    loop {
        let left = deadline.left().unwrap_or(DAY);
        let request = Request::get("/v1/wait").query("for", goal);
        let request = request.query("timeout_seconds", &left.as_secs_f64().to_string());
        let request = with_slots(request, &args.slots.slots).within(left);
        match progress.until_answer(&session, &request) {
            // A day is over.
            Err(Failure::Problem(problem)) if problem.status == 504 && timeout.is_none() => {}
            // When pm has ended, nothing is left of its workers.
            Err(Failure::Client(ClientError::Ended)) if args.stopped => {
                let mut printer = Printer::new();
                printer.line("pm has ended")?;
                printer.flush()?;
                return Ok(STOPPED);
            }
            Err(other) => return Err(other),
            Ok((done, text)) => {
                if !args.exit || args.target.json {
                    print(&done, &text, &args.target)?;
                } else {
                    print_ends(&done)?;
                }
                return Ok(if args.exit { exit_status(&done) } else { STOPPED });
            }
        }
    }
}

/// `web.2 exited 3 after 2.1s`
fn print_ends(done: &Done) -> Result<(), Failure> {
    let mut printer = Printer::new();
    for slot in &done.slots {
        match &slot.last_death {
            Some(death) => printer.line(&format!("{} {}", slot.slot, ended(death)))?,
            None => printer.line(&format!("{} has no worker", slot.slot))?,
        }
    }
    printer.flush()
}

/// The first status that is not 0 of the workers that have ended.
fn exit_status(done: &Done) -> u8 {
    let deaths = done.slots.iter().filter_map(|slot| slot.last_death.as_ref());
    deaths.map(status_of).find(|status| *status != 0).unwrap_or(0)
}

/// As a shell has it: 128+n for signal n.
fn status_of(death: &Death) -> u8 {
    let of_signal = |name: &String| {
        let signal: Option<nix::sys::signal::Signal> = name.parse().ok();
        signal.and_then(|signal| u8::try_from(128 + signal as i32).ok())
    };
    death.exit_status.or_else(|| death.signal.as_ref().and_then(of_signal)).unwrap_or(1)
}

/// The socket that is meant, once a pm listens on it.
fn appeared(target: &PlaceArgs, deadline: Deadline) -> Result<PathBuf, Failure> {
    let mut is_told = false;
    let mut pause = PAUSE_MAX;
    loop {
        // The watch begins before the look, so that no socket appears between the two.
        let named = target::named(target);
        let folder = match &named {
            Some(path) => {
                path.parent().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned)
            }
            None => here().ok(),
        };
        let watch = Watch::of(&folder.unwrap_or_else(|| ".".into()))?;
        let missing = match &named {
            Some(path) => match connect(path) {
                Ok(_) => return Ok(path.clone()),
                Err(error @ (ConnectError::Missing(_) | ConnectError::Stale(_))) => {
                    Failure::Client(error.into())
                }
                Err(other) => return Err(Failure::Client(other.into())),
            },
            None => match target::socket(target) {
                Ok(path) => return Ok(path),
                Err(error @ Failure::NoPm(_)) => error,
                Err(other) => return Err(other),
            },
        };
        if !is_told {
            stderr_line(&format!("waiting for pm: {missing}"));
            is_told = true;
        }
        if deadline.left().is_some_and(|left| left.is_zero()) {
            return Err(missing);
        }
        // A socket that has just been made may not listen yet.
        pause = if watch.changed(deadline.left().unwrap_or(pause).min(pause)) {
            PAUSE_MIN
        } else {
            PAUSE_MAX
        };
    }
}

/// What is made in a folder.
struct Watch(Inotify);

impl Watch {
    fn of(folder: &Path) -> Result<Self, Failure> {
        let failed = |errno: Errno| {
            Failure::Usage(format!("{}: cannot be watched: {}", folder.display(), errno.desc()))
        };
        let inotify =
            Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        match inotify.add_watch(folder, flags) {
            // The folder may be made too; until then it is looked for.
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        Ok(Self(inotify))
    }

    /// Waits until something has changed. False if nothing has in this time.
    fn changed(&self, time: Duration) -> bool {
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        // A signal that ends the wait is followed by the next look.
        poll(&mut polled, timeout).is_ok_and(|count| count > 0)
    }
}

/// A socket may also be made in a folder above, so it is looked for again at least this often.
const PAUSE_MAX: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_millis(20);
