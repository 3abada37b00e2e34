//! Each sentence names the worker that it is about.

use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::*;
use crate::reactor::output::LastOutput;
use crate::reactor::report::What;
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::SpawnError;
use crate::sys::port_calls::CannotHold;
use crate::sys::ports::Hidden;

fn worker() -> WorkerFacts {
    WorkerFacts {
        id: WorkerId { slot: SlotId(1), generation: 7 },
        name: "web.2".into(),
        port: Some(8081),
        pid: Some(Pid::from_raw(4711)),
        age: Duration::from_millis(2_100),
        successor: 8,
        is_alone: true,
    }
}

fn said(event: WorkerEvent) -> String {
    super::super::of(&What::Worker(worker(), event))
}

fn holder(address: &str, process: HolderProcess) -> Holder {
    Holder { address: address.parse().unwrap(), process }
}

fn other(program: &str) -> HolderProcess {
    HolderProcess::Other { pid: Pid::from_raw(9), program: program.into() }
}

fn death(exit: Exit, output: &str) -> Death {
    let mut last_output = LastOutput::default();
    last_output.push(output.as_bytes());
    Death { exit, cause: None, last_output }
}

#[test]
fn a_worker_without_its_port_is_told_which_process_holds_it() {
    let holder = Some(holder("127.0.0.1:8081", other("nginx")));
    let last = Some(LastSign::Failure(ProbeFailure::PortHeld { port: 8081, holder }));
    let awaited = ReadyBy::Probe(Probe::Tcp { port: 8081 });
    assert_eq!(
        said(WorkerEvent::NeverReady { awaited, within: Duration::from_secs(30), last }),
        "web.2 did not listen on port 8081 within 30s (last: 127.0.0.1:8081 is held by pid 9 \
         (nginx)); stopping it"
    );
}

fn seen(pid: i32, signal_state: SignalState) -> ProcessInfo {
    ProcessInfo { pid: Pid::from_raw(pid), program: "sh".into(), signal_state }
}

const RETRY: Retry =
    Retry { backoff_max: Duration::from_secs(10), stale_workers: StaleWorkers::Keep };

#[test]
fn a_crash_says_what_happened_and_what_comes_next() {
    let crashed = |exit, next| said(WorkerEvent::Crashed { death: death(exit, "oh\n"), next });
    assert_eq!(
        crashed(Exit::Code(255), Next::Spawn),
        "web.2 exited 255 after 2.1s; starting generation 8"
    );
    assert_eq!(
        crashed(Exit::Signal(11), Next::End),
        "web.2 was killed by SIGSEGV after 2.1s; not restarted"
    );
    let real_time = crashed(Exit::Signal(40), Next::End);
    assert!(real_time.starts_with("web.2 was killed by signal 40"), "{real_time}");
}

#[test]
fn giving_up_quotes_the_last_line() {
    let death = death(Exit::Code(1), "starting\nerror: no such table\n");
    assert_eq!(
        said(WorkerEvent::FailedStart { death, next: Next::GiveUp }),
        "web.2 exited 1 after 2.1s, before it was ready; giving up; \
         its last line: error: no such table"
    );
}

#[test]
fn what_others_chose_begins_no_line_and_acts_on_no_terminal() {
    let death = death(Exit::Code(1), "\u{1b}[31mboom \u{1b}]0;t\u{7}\rpm \u{202e}\n");
    assert_eq!(
        said(WorkerEvent::FailedStart { death, next: Next::GiveUp }),
        r"web.2 exited 1 after 2.1s, before it was ready; giving up; its last line: ".to_owned()
            + r"\u{1b}[31mboom \u{1b}]0;t\u{7}\rpm \u{202e}"
    );
    let holder = Some(holder("[::]:8081", other("x)\npm  | w.9 x")));
    let last = Some(LastSign::Failure(ProbeFailure::PortHeld { port: 8081, holder }));
    let awaited = ReadyBy::Probe(Probe::Tcp { port: 8081 });
    let within = Duration::from_secs(30);
    let sentence = said(WorkerEvent::NeverReady { awaited, within, last });
    assert!(sentence.contains(r"pid 9 (x)\npm  | w.9 x)"), "{sentence}");
}

#[test]
fn a_failed_start_says_when_the_next_try_is() {
    let next = Next::Backoff(Duration::from_millis(200));
    assert_eq!(
        said(WorkerEvent::FailedStart { death: death(Exit::Code(1), "x"), next }),
        "web.2 exited 1 after 2.1s, before it was ready; next try in 200ms"
    );
    let missing = SpawnError::NotFound { program: "deno".into() };
    let failure = Rc::new(SpawnFailure::Spawn(missing));
    let hint = Some(MissingHint::MakeDeno);
    assert_eq!(
        said(WorkerEvent::SpawnFailed { failure, hint, next, retry: RETRY }),
        "web.2 cannot start: deno: not found on PATH; try `make deno`; next try in 200ms"
    );
}

#[test]
fn a_held_port_names_the_holder_and_what_pm_does() {
    let held = |process, stale_workers| {
        let failure = Rc::new(SpawnFailure::PortHeld(holder("[::1]:8081", process)));
        let retry = Retry { stale_workers, ..RETRY };
        said(WorkerEvent::SpawnFailed { failure, hint: None, next: Next::Spawn, retry })
    };
    assert_eq!(
        held(other("nginx"), StaleWorkers::Kill),
        "web.2 cannot start: [::1]:8081 is held by pid 9 (nginx); \
         trying until it is free, at most 10s apart"
    );
    let hidden = holder("0.0.0.0:8081", HolderProcess::Hidden(Hidden::NotRoot));
    let failure = Rc::new(SpawnFailure::PortHeld(hidden));
    let next = Next::GiveUp;
    assert_eq!(
        said(WorkerEvent::SpawnFailed { failure, hint: None, next, retry: RETRY }),
        "web.2 cannot start: 0.0.0.0:8081 is held by a process that only root may see; giving up"
    );
    let stale = || HolderProcess::StaleWorker { pid: Pid::from_raw(9), program: "deno".into() };
    let kept = held(stale(), StaleWorkers::Keep);
    assert!(kept.contains("; `--take-over` would kill it; trying until"), "{kept}");
    let killed = held(stale(), StaleWorkers::Kill);
    assert!(killed.ends_with("; killing it"), "{killed}");
}

#[test]
fn what_delays_a_stop_is_named_up_to_a_few() {
    let mut members = vec![seen(812, SignalState::Ignored(15)), seen(813, SignalState::Delivered)];
    let (left, grace) = (Duration::from_secs(4), Duration::from_secs(5));
    assert_eq!(
        said(WorkerEvent::GraceOver { grace, members: members.clone() }),
        "web.2 did not stop within 5s: pid 812 (sh) ignores SIGTERM, pid 813 (sh); killing it"
    );
    assert_eq!(
        said(WorkerEvent::GraceOver { grace, members: Vec::new() }),
        "web.2 did not stop within 5s; killing it"
    );
    let event = WorkerEvent::GraceOver { grace, members: Vec::new() };
    let one_of_two = What::Worker(WorkerFacts { is_alone: false, ..worker() }, event);
    assert_eq!(
        super::super::of(&one_of_two),
        "web.2 (generation 7) did not stop within 5s; killing it"
    );
    assert_eq!(
        said(WorkerEvent::StillStopping { members: members.clone(), left }),
        "web.2 is still stopping: pid 812 (sh) ignores SIGTERM, pid 813 (sh); SIGKILL in 4s"
    );
    members.extend([seen(814, SignalState::Stopped), seen(815, SignalState::Uninterruptible)]);
    let line = said(WorkerEvent::StillKilling { members, may_leave: false });
    assert!(line.ends_with("pid 814 (sh) is stopped and 1 more"), "{line}");
}

#[test]
fn a_process_that_no_signal_ends_is_named_with_what_keeps_it() {
    let member = |state| {
        let members = vec![seen(812, state)];
        said(WorkerEvent::StillKilling { members, may_leave: false })
    };
    let tracer = Pid::from_raw(99);
    for (state, end) in [
        (SignalState::Traced(tracer), "is stopped, and pid 99 traces it"),
        (
            SignalState::DeadAndTraced(tracer),
            "is dead, and pid 99, which traces it, keeps it: end that process",
        ),
        (SignalState::FirstThreadEnded(2), "has 2 threads besides its first, which has ended"),
        (
            SignalState::NotPermitted(0),
            "belongs to user 0 now, and pm may not signal it: `sudo kill -9 812` ends it",
        ),
    ] {
        let line = member(state);
        assert_eq!(line, format!("web.2 is still there after SIGKILL: pid 812 (sh) {end}"));
    }
    let members = vec![seen(812, SignalState::Delivered)];
    assert_eq!(
        said(WorkerEvent::StillKilling { members, may_leave: true }),
        "web.2 is still there after SIGKILL: pid 812 (sh); Ctrl-C or SIGTERM leaves it behind"
    );
}

/// One report of each kind.
fn all() -> Vec<WorkerEvent> {
    let next = Next::Spawn;
    let died = || death(Exit::Code(1), "");
    let hidden = holder("127.0.0.1:8081", HolderProcess::Hidden(Hidden::NotRoot));
    let failure = Rc::new(SpawnFailure::PortHeld(hidden));
    vec![
        WorkerEvent::Ready,
        WorkerEvent::Crashed { death: died(), next },
        WorkerEvent::FailedStart { death: died(), next },
        WorkerEvent::SpawnFailed { failure, hint: None, next, retry: RETRY },
        WorkerEvent::NeverReady {
            awaited: ReadyBy::Notify,
            within: Duration::from_secs(1),
            last: Some(LastSign::Status("loading".into())),
        },
        WorkerEvent::Hung { failure: Some(ProbeFailure::Triggered), failures: 1 },
        WorkerEvent::Replacing,
        WorkerEvent::Stopped { next },
        WorkerEvent::GraceOver { grace: Duration::from_secs(5), members: Vec::new() },
        WorkerEvent::StillStopping { members: Vec::new(), left: Duration::from_secs(1) },
        WorkerEvent::StillKilling { members: Vec::new(), may_leave: true },
        WorkerEvent::KeptDead(Pid::from_raw(99)),
        WorkerEvent::NotWatched(ProbeFailure::CannotStart("probe: not found on PATH".into())),
        WorkerEvent::NotHeld(CannotHold { call: "pidfd_getfd", errno: Errno::EPERM }),
        WorkerEvent::Rejected(Rejected::Sender(Pid::from_raw(1))),
        WorkerEvent::Rejected(Rejected::MainPid("1".into())),
    ]
}

#[test]
fn every_report_names_its_own_worker_and_no_generation_but_its_own_and_the_next() {
    for event in all() {
        let line = said(event);
        let rest = line.strip_prefix("web.2").unwrap_or_else(|| panic!("{line}"));
        assert!(rest.starts_with([' ', ':']), "{line}");
        assert!(!rest.contains("web."), "another worker in: {line}");
        let generations = rest.split("generation ").skip(1);
        let numbers = generations.map(|text| text.chars().take_while(char::is_ascii_digit));
        for number in numbers.map(String::from_iter) {
            assert!(["7", "8"].contains(&number.as_str()), "generation {number} in: {line}");
        }
        assert!(!line.ends_with('.') && !line.contains('\n'), "{line}");
    }
}
