//! The commands that change something: start, stop, restart, kill, scale, reload, shutdown.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::Pid;

use super::args::{
    KillArgs, PatienceArgs, ReloadArgs, RestartArgs, ScaleArgs, ShutdownArgs, StartArgs, StopArgs,
    TargetArgs,
};
use super::failure::Failure;
use super::print::{Printer, printable, stderr_line};
use super::progress::{Progress, Shown};
use super::session::Session;
use crate::cli::exit_status::{NOT_SO, STOPPED};
use crate::cli::host::RealHost;
use crate::cli::load::{FileKind, of_file};
use crate::cli::warnings;
use crate::client::Request;
use crate::plan::procfile::Options;
use crate::plan::text::phrase;
use crate::sys::proc;
use crate::wire::{
    Command, Done, Kill, Outcome, Phase, PmStatus, Reload, Scale, Shutdown, SlotStatus, WaitFor,
    Wanted,
};

/// A grace is not longer, so pm has done everything by then.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a command that changes something sends to pm; `None` for the other commands.
#[cfg(feature = "top")]
pub fn request(command: &super::args::RemoteCommand) -> Option<Request> {
    use super::args::RemoteCommand as Remote;
    let of_command = |path: &str, command: &Command, patience: &PatienceArgs| {
        Request::post(path, command).within(patience.timeout())
    };
    Some(match command {
        Remote::Start(args) => of_command("/v1/start", &start_body(args), &args.patience),
        Remote::Stop(args) => of_command("/v1/stop", &stop_body(args), &args.patience),
        Remote::Restart(args) => of_command("/v1/restart", &restart_body(args), &args.patience),
        Remote::Kill(args) => Request::post("/v1/kill", &kill_body(args)),
        Remote::Scale(args) => {
            Request::post("/v1/scale", &scale_body(args)).within(args.patience.timeout())
        }
        Remote::Reload(args) => Request::post("/v1/reload", &Reload { dry_run: args.dry_run }),
        Remote::Shutdown(args) => shutdown_request(args),
        Remote::Status(_)
        | Remote::Why(_)
        | Remote::Logs(_)
        | Remote::Attach(_)
        | Remote::Wait(_)
        | Remote::Events(_)
        | Remote::Top(_)
        | Remote::Chaos(_)
        | Remote::Open(_)
        | Remote::Ls(_) => return None,
    })
}

/// # Errors
/// If the slots are not ready in time.
pub fn start(args: &StartArgs) -> Result<u8, Failure> {
    command("/v1/start", &args.target, &args.patience, &start_body(args))
}

fn start_body(args: &StartArgs) -> Command {
    of_slots(&args.slots.slots, &args.patience)
}

/// # Errors
/// If the slots are not stopped in time.
pub fn stop(args: &StopArgs) -> Result<u8, Failure> {
    command("/v1/stop", &args.target, &args.patience, &stop_body(args))
}

fn stop_body(args: &StopArgs) -> Command {
    Command { now: args.now, ..of_slots(&args.slots.slots, &args.patience) }
}

/// # Errors
/// If the new workers are not ready in time.
pub fn restart(args: &RestartArgs) -> Result<u8, Failure> {
    command("/v1/restart", &args.target, &args.patience, &restart_body(args))
}

fn restart_body(args: &RestartArgs) -> Command {
    Command { roll: args.roll, ..of_slots(&args.slots.slots, &args.patience) }
}

fn of_slots(slots: &[String], patience: &PatienceArgs) -> Command {
    Command {
        slots: slots.to_vec(),
        wait: patience.wait(),
        timeout_seconds: patience.timeout().as_secs_f64(),
        roll: false,
        now: false,
    }
}

fn command(
    path: &str,
    target: &TargetArgs,
    patience: &PatienceArgs,
    command: &Command,
) -> Result<u8, Failure> {
    let session = Session::of(&target.place)?;
    let request = Request::post(path, command).within(patience.timeout());
    if patience.no_wait {
        return without_wait(&session, &request, target);
    }
    let (status, _) = session.status(&command.slots)?;
    let mut progress = Progress::after(&session, &status, Shown::slots(&status.slots))?;
    let (done, text) = progress.until_answer(&session, &request)?;
    print(&done, &text, target)
}

/// # Errors
/// If there is no such slot or signal, or no worker.
pub fn kill(args: &KillArgs) -> Result<u8, Failure> {
    let kill = kill_body(args);
    let session = Session::of(&args.target.place)?;
    let (done, text) = session.ask::<Done>(&Request::post("/v1/kill", &kill))?;
    let (sent, not_sent): (Vec<_>, Vec<_>) =
        done.slots.iter().partition(|slot| slot.worker.is_some());
    for slot in not_sent {
        stderr_line(&format!("{} has no worker", slot.slot));
    }
    let mut printer = Printer::new();
    if args.target.json {
        printer.line(text.trim_end())?;
    } else if !sent.is_empty() {
        printer.line(&format!("sent {} to {}", printable(&kill.signal), names(&sent)))?;
    }
    printer.flush()?;
    Ok(if sent.is_empty() { NOT_SO } else { STOPPED })
}

fn kill_body(args: &KillArgs) -> Kill {
    Kill { slots: args.slots.slots.clone(), signal: args.signal.clone() }
}

/// # Errors
/// If the pools do not have that many ready workers in time, or cannot have them.
pub fn scale(args: &ScaleArgs) -> Result<u8, Failure> {
    let scale = scale_body(args);
    let names = scale.pools.keys().cloned().collect();
    let session = Session::of(&args.target.place)?;
    let request = Request::post("/v1/scale", &scale).within(args.patience.timeout());
    if scale.wait == WaitFor::Nothing {
        return without_wait(&session, &request, &args.target);
    }
    let (status, _) = session.status(&[])?;
    let mut progress = Progress::after(&session, &status, Shown::Pools(names))?;
    let (done, text) = progress.until_answer(&session, &request)?;
    print(&done, &text, &args.target)
}

fn scale_body(args: &ScaleArgs) -> Scale {
    Scale {
        pools: BTreeMap::from_iter(args.pools.iter().cloned()),
        wait: args.patience.wait(),
        timeout_seconds: args.patience.timeout().as_secs_f64(),
    }
}

/// # Errors
/// If the file has a fault.
pub fn reload(args: &ReloadArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.target.place)?;
    let (status, _) = session.status(&[])?;
    let request = Request::post("/v1/reload", &Reload { dry_run: args.dry_run });
    let ended = without_wait(&session, &request, &args.target)?;
    // At the end, since a file system may hang.
    warn(&status.pm);
    Ok(ended)
}

/// Prints what would fail if that pm started it now.
fn warn(pm: &PmStatus) {
    let Some(file) = &pm.plan else { return };
    let Some((folder, variables)) = proc::surroundings(Pid::from_raw(pm.pid)) else { return };
    let file = folder.join(file);
    // pm has just read it, so a fault is one for this process only, or newer than the answer.
    let Ok(loaded) = of_file(Some(&file), FileKind::File, &Options::default(), &RealHost) else {
        return;
    };
    for warning in warnings::of(&loaded.plan, &variables) {
        stderr_line(&warning.to_string());
    }
}

/// # Errors
/// If pm refuses it.
pub fn shutdown(args: &ShutdownArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.target.place)?;
    let request = shutdown_request(args);
    let (status, _) = session.status(&[])?;
    let mut progress = Progress::after(&session, &status, Shown::All)?;
    let is_shown = progress.is_shown();
    let answer = progress.until_answer_or_end(&session, &request)?;
    let mut printer = Printer::new();
    // Without events its end cannot be seen.
    if args.no_wait || !is_shown {
        printer.line("pm is stopping")?;
    } else {
        progress.until_end()?;
        match answer.filter(|_| args.target.json) {
            Some(answer) => printer.line(answer.text().trim_end())?,
            None => printer.line("pm has ended")?,
        }
    }
    printer.flush()?;
    Ok(STOPPED)
}

fn shutdown_request(args: &ShutdownArgs) -> Request {
    Request::post("/v1/shutdown", &Shutdown { now: args.now }).within(DAY)
}

fn without_wait(session: &Session, request: &Request, target: &TargetArgs) -> Result<u8, Failure> {
    let (done, text) = session.ask::<Done>(request)?;
    print(&done, &text, target)
}

/// Prints what has become so: in words, or a line for each slot.
pub fn print(done: &Done, text: &str, target: &TargetArgs) -> Result<u8, Failure> {
    let mut printer = Printer::new();
    if target.json {
        printer.line(text.trim_end())?;
    } else {
        match done.outcome {
            Outcome::Done => {}
            Outcome::Already => stderr_line("it was so already"),
            Outcome::Accepted => stderr_line("accepted; `pm status` shows how far it is"),
        }
        match &done.words {
            Some(words) => printer.line(&printable_lines(words))?,
            None => sentences(&done.slots).iter().try_for_each(|line| printer.line(line))?,
        }
    }
    printer.flush()?;
    Ok(STOPPED)
}

/// `web.1, web.2 and web.3 are ready`: what the slots are at, those that are at the same together.
pub fn sentences(slots: &[SlotStatus]) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&SlotStatus>)> = Vec::new();
    for slot in slots {
        let state = state(slot);
        match groups.iter_mut().find(|(other, _)| *other == state) {
            Some((_, slots)) => slots.push(slot),
            None => groups.push((state, vec![slot])),
        }
    }
    let sentence = |(state, slots): (&str, Vec<&SlotStatus>)| {
        let verb = if slots.len() == 1 { "is" } else { "are" };
        format!("{} {verb} {state}", names(&slots))
    };
    groups.into_iter().map(sentence).collect()
}

fn state(slot: &SlotStatus) -> &'static str {
    match (slot.phase, slot.wanted) {
        (Phase::Idle, Wanted::Down | Wanted::Gone) => "stopped",
        (Phase::Idle, Wanted::Ended) => "at its end",
        (phase, _) => phase.written(),
    }
}

fn names(slots: &[&SlotStatus]) -> String {
    phrase::list_and(&slots.iter().map(|slot| slot.slot.as_str()).collect::<Vec<_>>())
}

/// Without control characters but line feeds.
fn printable_lines(text: &str) -> String {
    text.trim_end().split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
