//! Sentences about one worker.

mod spare;

use super::signal_name;
use crate::plan::text::duration::words;
use crate::plan::text::phrase;
use crate::plan::{MissingHint, Probe, ReadyBy};
use crate::reactor::report::{
    Cause, Death, LastSign, ProbeFailure, Rejected, Retry, SpawnFailure, StaleWorkers, WorkerEvent,
    WorkerFacts,
};
use crate::supervisor::{Exit, Next};
use crate::sys::Awaiting;
use crate::sys::ports::{Holder, HolderProcess};
use crate::sys::proc::{ProcessInfo, SignalState};

/// One line names at most this many processes.
const NAMED_MAX: usize = 3;

/// `web.2`, or `web.2 (generation 4)` if its slot has another worker too.
fn one_of(WorkerFacts { id, name, is_alone, .. }: &WorkerFacts) -> String {
    if *is_alone { name.clone() } else { format!("{name} (generation {})", id.generation) }
}

/// What happened to a worker. Its slot's name comes first.
pub fn sentence(worker: &WorkerFacts, event: &WorkerEvent) -> String {
    let name = &worker.name;
    match event {
        WorkerEvent::Ready => ready(worker),
        WorkerEvent::Crashed { death, next } => {
            format!("{name} {}; {}", ended(worker, death), after_death(worker, death, *next))
        }
        WorkerEvent::FailedStart { death, next } => failed_start(worker, death, *next),
        WorkerEvent::SpawnFailed { failure, hint, next, retry } => {
            format!("{name} cannot start: {}", spawn_failed(worker, failure, *hint, *next, *retry))
        }
        WorkerEvent::SlowStart { awaiting } => {
            let awaited = match awaiting {
                Awaiting::Folder(path) => format!("to enter its folder {}", path.display()),
                Awaiting::Program(path) => format!("to read its program {}", path.display()),
                Awaiting::Other => "for the kernel".to_owned(),
            };
            let age = words(worker.age);
            format!(
                "{name} has not started yet: it has been waiting for {age} {awaited}; does a file system hang?"
            )
        }
        WorkerEvent::NeverReady { awaited, within, last } => {
            let (awaited, within) = (never(awaited, last.as_ref()), words(*within));
            format!("{name} {} within {within}{}; stopping it", awaited.what, awaited.last)
        }
        WorkerEvent::Hung { failure, failures } => {
            format!("{name} hangs{}; stopping it", hung(failure.as_ref(), *failures))
        }
        WorkerEvent::Replacing => format!("{name}: replacing generation {}", worker.id.generation),
        WorkerEvent::SpareWaits => spare::waits(worker),
        WorkerEvent::SpareFailed { how, wait } => spare::failed(worker, how, *wait),
        WorkerEvent::SpareStopped => spare::stopped(worker),
        WorkerEvent::Stopped { next } => match next {
            Next::Down | Next::End => format!("{name} stopped"),
            Next::Replaced => format!("{name}: generation {} stopped", worker.id.generation),
            Next::Spawn | Next::TakeOver => format!("{name} stopped; {}", then(worker, *next)),
            Next::Backoff(_) | Next::GiveUp | Next::TooManyRestarts => {
                format!("{name} stopped; {}", then(worker, *next))
            }
        },
        WorkerEvent::GraceOver { grace, members } => {
            let members =
                if members.is_empty() { String::new() } else { format!(": {}", list(members)) };
            let one = one_of(worker);
            format!("{one} did not stop within {}{members}; killing it", words(*grace))
        }
        WorkerEvent::StillStopping { members, left } => {
            let one = one_of(worker);
            format!("{one} is still stopping: {}; SIGKILL in {}", list(members), words(*left))
        }
        WorkerEvent::StillKilling { members, may_leave } => {
            let leave = if *may_leave { "; Ctrl-C or SIGTERM leaves it behind" } else { "" };
            format!("{} is still there after SIGKILL: {}{leave}", one_of(worker), list(members))
        }
        WorkerEvent::KeptDead(tracer) => {
            let own = worker.pid.map(|pid| format!("its pid {pid}")).unwrap_or("it".into());
            format!(
                "{name} is dead, and pid {tracer}, which traces {own}, keeps it: end that process; \
                 until then the slot has no worker"
            )
        }
        WorkerEvent::NotWatched(failure) => format!("{name} is not watched: {failure}"),
        WorkerEvent::NotHeld(why) => format!("{name}: {why}"),
        WorkerEvent::Rejected(Rejected::Sender(pid)) => {
            format!("{name}: ignored a notification of pid {pid}, which is not a process of it")
        }
        WorkerEvent::Rejected(Rejected::MainPid(pid)) => {
            format!("{name}: ignored MAINPID={pid}: pm waits for the process that it started")
        }
    }
}

fn ready(worker: &WorkerFacts) -> String {
    let WorkerFacts { id, name, port, pid, age, .. } = worker;
    let on = port.map(|port| format!(" on {}", phrase::ports(&[port]))).unwrap_or_default();
    let pid = pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
    format!("{name} is ready{on} after {} ({pid}generation {})", words(*age), id.generation)
}

fn failed_start(worker: &WorkerFacts, death: &Death, next: Next) -> String {
    let (name, ended) = (&worker.name, ended(worker, death));
    match next {
        // A job that has done its work.
        Next::End if death.exit.is_success() => {
            format!("{name} {ended}; {}", then(worker, next))
        }
        Next::Spawn
        | Next::TakeOver
        | Next::Replaced
        | Next::Backoff(_)
        | Next::GiveUp
        | Next::TooManyRestarts
        | Next::End
        | Next::Down => {
            format!("{name} {ended}, before it was ready; {}", after_death(worker, death, next))
        }
    }
}

/// `exited 255 after 2.1s`.
fn ended(worker: &WorkerFacts, death: &Death) -> String {
    let age = words(worker.age);
    match (death.exit, death.cause) {
        (Exit::Code(code), _) => format!("exited {code} after {age}"),
        (Exit::Signal(9), Some(Cause::MemoryLimit(bytes))) => {
            let limit = phrase::bytes(bytes);
            format!("was killed by SIGKILL after {age} (it used more than its {limit} of memory)")
        }
        (Exit::Signal(9), None) => format!(
            "was killed by SIGKILL after {age} (by another process, or by the kernel for lack of \
             memory)"
        ),
        (Exit::Signal(number), _) => {
            format!("was killed by {} after {age}", signal_name(i32::from(number)))
        }
    }
}

/// What comes next; and if nothing does, the last line of the output, which may say why.
fn after_death(worker: &WorkerFacts, death: &Death, next: Next) -> String {
    let then = then(worker, next);
    match next {
        Next::GiveUp | Next::TooManyRestarts => match death.last_output.last_line() {
            Some(line) => format!("{then}; its last line: {line}"),
            None => then,
        },
        Next::Spawn | Next::TakeOver | Next::Replaced => then,
        Next::Backoff(_) | Next::End | Next::Down => then,
    }
}

fn then(worker: &WorkerFacts, next: Next) -> String {
    match next {
        Next::Spawn => format!("starting generation {}", worker.successor),
        Next::TakeOver => "its spare takes over".into(),
        Next::Replaced => format!("generation {} has taken over", worker.successor),
        Next::Backoff(wait) => format!("next try in {}", words(wait)),
        Next::GiveUp => "giving up".into(),
        Next::TooManyRestarts => "giving up: more restarts than `max_restarts` allows".into(),
        Next::End => "not restarted".into(),
        Next::Down => "not restarted, because it is being stopped".into(),
    }
}

fn spawn_failed(
    worker: &WorkerFacts,
    failure: &SpawnFailure,
    hint: Option<MissingHint>,
    next: Next,
    retry: Retry,
) -> String {
    if let SpawnFailure::PortHeld(holder) = failure {
        let next = match next {
            Next::Spawn | Next::Backoff(_) => port_held(holder, retry),
            Next::TakeOver | Next::Replaced => then(worker, next),
            Next::GiveUp | Next::TooManyRestarts | Next::End | Next::Down => then(worker, next),
        };
        return format!("{failure}; {next}");
    }
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    let next = match next {
        Next::Spawn => "trying again".into(),
        Next::TakeOver | Next::Replaced => then(worker, next),
        Next::Backoff(_) | Next::GiveUp | Next::TooManyRestarts | Next::End | Next::Down => {
            then(worker, next)
        }
    };
    format!("{failure}{hint}; {next}")
}

/// Reported once for as long as the same process holds the port.
fn port_held(holder: &Holder, retry: Retry) -> String {
    let apart = words(retry.backoff_max);
    let trying = format!("trying until it is free, at most {apart} apart");
    match (&holder.process, retry.stale_workers) {
        (HolderProcess::StaleWorker { .. }, StaleWorkers::Kill) => "killing it".into(),
        (HolderProcess::StaleWorker { .. }, StaleWorkers::Keep) => {
            format!("`--take-over` would kill it; {trying}")
        }
        (HolderProcess::Other { .. } | HolderProcess::Hidden(_), _) => trying,
    }
}

/// What a worker did not do, and its last sign.
struct Never {
    what: String,
    last: String,
}

fn never(awaited: &ReadyBy, last: Option<&LastSign>) -> Never {
    let is_held = matches!(last, Some(LastSign::Failure(ProbeFailure::PortHeld { .. })));
    let last = match last {
        Some(LastSign::Failure(failure)) => format!(" (last: {failure})"),
        Some(LastSign::Status(status)) => format!(" (last: {status})"),
        None => String::new(),
    };
    let what = match awaited {
        ReadyBy::Probe(Probe::Tcp { port }) if is_held => format!("did not listen on port {port}"),
        ReadyBy::Probe(Probe::Tcp { port }) => {
            // The last failure would say the same again.
            let what = format!("did not accept a connection on port {port}");
            return Never { what, last: String::new() };
        }
        ReadyBy::Probe(Probe::Http { target, port, .. }) => {
            format!("did not answer GET {target} on port {port} as it should")
        }
        ReadyBy::Probe(Probe::Exec { .. }) => "did not pass its probe".into(),
        ReadyBy::Notify => "did not send READY=1".into(),
        ReadyBy::Line(line) => format!("did not write a line with {line}"),
        ReadyBy::Exit => "did not exit".into(),
        ReadyBy::Listen => "did not listen on its port".into(),
        ReadyBy::Lived => "was not ready".into(),
    };
    Never { what, last }
}

fn hung(failure: Option<&ProbeFailure>, failures: u32) -> String {
    match failure {
        Some(told @ (ProbeFailure::Silent(_) | ProbeFailure::Triggered)) => format!(": {told}"),
        Some(failure) if failures > 1 => format!(": {failure}, {failures} times in a row"),
        Some(failure) => format!(": {failure}"),
        None => String::new(),
    }
}

fn list(members: &[ProcessInfo]) -> String {
    let named: Vec<_> = members.iter().take(NAMED_MAX).map(describe).collect();
    let more = members.len().saturating_sub(NAMED_MAX);
    match (named.is_empty(), more) {
        (true, _) => "no process of it is visible".into(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

fn describe(member: &ProcessInfo) -> String {
    let ProcessInfo { pid, program, signal_state } = member;
    let state = match signal_state {
        SignalState::Delivered => String::new(),
        SignalState::Ignored(signal) => format!(" ignores {}", signal_name(*signal)),
        SignalState::Blocked(signal) => format!(" blocks {}", signal_name(*signal)),
        SignalState::Dead => " is dead and not reaped".into(),
        SignalState::Stopped => " is stopped".into(),
        SignalState::Traced(tracer) => format!(" is stopped, and pid {tracer} traces it"),
        SignalState::DeadAndTraced(tracer) => {
            format!(" is dead, and pid {tracer}, which traces it, keeps it: end that process")
        }
        SignalState::FirstThreadEnded(others) => {
            format!(
                " has {} besides its first, which has ended",
                phrase::count(*others as usize, "thread")
            )
        }
        SignalState::NotPermitted(uid) => {
            let end = format!("`sudo kill -9 {pid}` ends it");
            format!(" belongs to user {uid} now, and pm may not signal it: {end}")
        }
        SignalState::Uninterruptible => {
            " is in uninterruptible sleep, where no signal reaches it".into()
        }
    };
    format!("pid {pid} ({program}){state}")
}

#[cfg(test)]
mod tests;
