//! `pm status`: a line for each slot, once or whenever something changes.
//!
//! [`table`] lays it out, [`row`] has the words of one slot, [`rates`] how much CPU each uses between two looks.

mod rates;
pub mod row;
mod table;

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::rates::Rates;
use super::args::StatusArgs;
use super::failure::Failure;
use super::print::{Paint, Printer, stderr_line, terminal_width};
use super::session::Session;
use crate::cli::exit_status::{NOT_SO, STOPPED};
use crate::client::{ClientError, Lines};
use crate::sys::pty;
use crate::wire::{SlotStatus, Status};

/// What has changed is shown at most this often. On a terminal it is shown this often even if nothing has: the times go
/// on.
const PAUSE_MILLIS: u16 = 200;
const TICK_MILLIS: u16 = 1_000;

/// The cursor to the upper left corner, and nothing below it (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows the status.
///
/// # Errors
/// If there is no pm, or no such slot.
pub fn status(args: &StatusArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.target.place)?;
    if args.watch {
        return watch(args, &session);
    }
    let (status, text) = ask(args, &session)?;
    let mut printer = Printer::new();
    show(args, &status, &text, &mut printer)?;
    printer.flush()?;
    let is_healthy = status.slots.iter().all(row::is_as_wanted);
    Ok(if args.check && !is_healthy { NOT_SO } else { STOPPED })
}

fn ask(args: &StatusArgs, session: &Session) -> Result<(Status, String), Failure> {
    // Names alone cost pm no look at the workers.
    if args.quiet { session.status(&args.slots) } else { session.status_with_stats(&args.slots) }
}

fn show(
    args: &StatusArgs,
    status: &Status,
    text: &str,
    printer: &mut Printer,
) -> Result<(), Failure> {
    if args.target.json && args.phase.is_empty() && !args.terminal {
        return printer.line(text.trim_end());
    }
    let slots: Vec<_> = status.slots.iter().filter(|slot| is_meant(args, slot)).cloned().collect();
    if args.target.json {
        return printer.json(&Status { slots, ..status.clone() });
    }
    if args.quiet {
        return slots.iter().try_for_each(|slot| printer.line(&slot.slot));
    }
    let paint = Paint::of(args.target.colour);
    let lines = table::lines(status, &slots, terminal_width(), paint);
    let lines = if args.watch { on_screen(lines) } else { lines };
    lines.iter().try_for_each(|line| printer.line(line))
}

fn is_meant(args: &StatusArgs, slot: &SlotStatus) -> bool {
    let is_of_phase = args.phase.is_empty() || args.phase.contains(&slot.phase);
    is_of_phase && (slot.terminal || !args.terminal)
}

/// What fits the height of the terminal, and how much does not.
fn on_screen(mut lines: Vec<String>) -> Vec<String> {
    if terminal_width().is_none() {
        return lines;
    }
    let rows = usize::from(pty::size_within(std::io::stdout().as_fd(), 0).ws_row).max(3) - 1;
    if lines.len() > rows {
        let more = lines.len() - (rows - 1);
        lines.truncate(rows - 1);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// Shows it again after each change, until pm ends.
fn watch(args: &StatusArgs, session: &Session) -> Result<u8, Failure> {
    let is_terminal = terminal_width().is_some() && !args.target.json;
    let mut printer = Printer::new();
    let mut rates = Rates::default();
    let (mut status, mut text) = ask(args, session)?;
    let mut events = session.events_after(status.seq)?;
    let tick = if is_terminal { PollTimeout::from(TICK_MILLIS) } else { PollTimeout::NONE };
    loop {
        if is_terminal {
            printer.bytes(CLEAR.as_bytes())?;
        }
        if !args.target.json {
            rates.take_in(&mut status);
        }
        show(args, &status, &text, &mut printer)?;
        if !is_terminal && !args.target.json && !args.quiet {
            printer.line("")?;
        }
        printer.flush()?;
        if printer.is_closed() || has_ended(&mut events, tick)? {
            break;
        }
        // What happens at the same time is shown at once.
        let _ = poll(&mut [], PollTimeout::from(PAUSE_MILLIS));
        (status, text) = match ask(args, session) {
            Err(Failure::Client(ClientError::Ended | ClientError::Connect(_))) => break,
            other => other?,
        };
    }
    if !printer.is_closed() {
        stderr_line("pm has ended");
    }
    Ok(STOPPED)
}

/// Waits for an event, at most until the next tick, and takes all that there are. True if pm has ended.
fn has_ended(events: &mut Lines, tick: PollTimeout) -> Result<bool, Failure> {
    while events.arrived().is_some() {}
    if events.has_ended() {
        return Ok(true);
    }
    match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], tick) {
        Ok(0) | Err(Errno::EINTR) => return Ok(false),
        Ok(_) | Err(_) => {}
    }
    match events.read() {
        Ok(()) => {}
        Err(ClientError::Ended) => return Ok(true),
        Err(other) => return Err(other.into()),
    }
    while events.arrived().is_some() {}
    Ok(events.has_ended())
}
