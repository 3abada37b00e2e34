//! The families: their names, and where the facts of each come from. Names are never changed, and buckets neither.
//!
//! The series of a slot are there from its start, most of them at 0. Only times that are not there are left out.

use super::super::super::slots::histogram::Histogram;
use super::super::super::slots::history::phase_of;
use super::super::super::slots::measures::{
    EXIT_REASONS, Measures, PURPOSES, PoolTimes, RESTART_REASONS,
};
use super::super::http::Status;
use super::Source;
use super::text::{Family, Kind, Label, Text};
use crate::supervisor::{self, Slot, SlotId, Wanted};
use crate::sys::tcp_socket::Backlog;
use crate::sys::usage::{Usage, own_usage, usage};
use crate::wire::Phase;

/// How the samples of a family are written.
pub enum Write {
    /// Those of the whole run.
    Run(fn(&Source<'_>, &mut Text<'_>)),
    /// The histogram of a pool.
    Pool(fn(&PoolTimes) -> &Histogram),
    /// The histograms of a pool, by the purpose of a probe.
    Purposes(fn(&PoolTimes) -> &[Histogram; 2]),
    /// Those of a slot.
    Slot(fn(&Source<'_>, SlotId, [Label<'_>; 2], &mut Text<'_>)),
    /// Those of the whole run, and then those of each slot.
    RunAndSlot(
        fn(&Source<'_>, &mut Text<'_>),
        fn(&Source<'_>, SlotId, [Label<'_>; 2], &mut Text<'_>),
    ),
}

use Kind::{Counter, Gauge, Info, StateSet};

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Starting,
    Phase::Ready,
    Phase::Stopping,
    Phase::Killing,
    Phase::Backoff,
    Phase::GivenUp,
];

const fn family(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
) -> Family {
    Family { name, kind, unit, help }
}

const fn times(name: &'static str, help: &'static str) -> Family {
    family(name, Kind::Histogram, SECONDS, help)
}

/// All families, in the order in which they are written.
pub const FAMILIES: &[(Family, Write)] = &[
    (family("pm_build", Info, None, "The version of pm."), Write::Run(build)),
    (family("pm_slot", Info, None, "A slot and its port."), Write::Slot(slot)),
    (family("pm_slot_phase", StateSet, None, "What the slot is at."), Write::Slot(phase)),
    (
        family("pm_slot_wanted", Gauge, None, "1 if a worker is wanted in the slot."),
        Write::Slot(wanted),
    ),
    (
        family("pm_restarts", Counter, None, "Workers that followed another one, by why it ended."),
        Write::Slot(restarts),
    ),
    (family("pm_exits", Counter, None, "Workers that ended, by how."), Write::Slot(exits)),
    (
        family("pm_failed_starts", Counter, None, "Workers that did not become ready."),
        Write::Slot(failed_starts),
    ),
    (
        family(
            "pm_worker_start_time_seconds",
            Gauge,
            SECONDS,
            "When the worker was started, since the Unix epoch. Left out if there is none.",
        ),
        Write::Slot(worker_start),
    ),
    (
        family(
            "pm_next_try_time_seconds",
            Gauge,
            SECONDS,
            "When the next worker is started, since the Unix epoch. Left out outside of a backoff.",
        ),
        Write::Slot(next_try),
    ),
    (
        family(
            "pm_worker_cpu_seconds",
            Counter,
            SECONDS,
            "CPU time of the slot's workers, user and system, with the dead ones.",
        ),
        Write::Slot(worker_cpu),
    ),
    (
        family(
            "pm_worker_resident_memory_bytes",
            Gauge,
            BYTES,
            "Resident memory of the worker's first process.",
        ),
        Write::Slot(worker_memory),
    ),
    (
        times(
            "pm_respawn_seconds",
            "From the end of a worker to the exec of the next, if at once.",
        ),
        Write::Pool(|times| &times.respawn),
    ),
    (
        times("pm_ready_seconds", "From the start of a worker until it is ready."),
        Write::Pool(|times| &times.ready),
    ),
    (
        times("pm_down_seconds", "From the end of a worker until one is ready again."),
        Write::Pool(|times| &times.down),
    ),
    (
        times("pm_stop_seconds", "From the signal to stop until no process is left."),
        Write::Pool(|times| &times.stop),
    ),
    (
        times("pm_probe_seconds", "From the start of a probe until it has passed or failed."),
        Write::Purposes(|times| &times.probes),
    ),
    (
        family("pm_probe_failures", Counter, None, "Probes that have failed."),
        Write::Slot(probe_failures),
    ),
    (
        family("pm_log_lines", Counter, None, "Lines of workers, with a line for each death."),
        Write::Slot(|source, id, labels, text| {
            text.count(&labels, source.output.ring().counts(id).lines)
        }),
    ),
    (
        family("pm_log_bytes", Counter, BYTES, "Bytes of these lines, without newlines."),
        Write::Slot(|source, id, labels, text| {
            text.count(&labels, source.output.ring().counts(id).bytes)
        }),
    ),
    (
        family("pm_log_dropped_lines", Counter, None, "Lines that a sink has not got or not kept."),
        Write::RunAndSlot(dropped_lines, dropped_lines_of_slot),
    ),
    (
        family(
            "pm_port_backlog",
            Gauge,
            None,
            "Connections that wait at the port. Left out where pm holds no socket of it.",
        ),
        Write::Slot(|source, id, labels, text| {
            backlog(source, id, labels, text, |held| held.waiting)
        }),
    ),
    (
        family(
            "pm_port_backlog_limit",
            Gauge,
            None,
            "Connections that may wait at the port. Left out where pm holds no socket of it.",
        ),
        Write::Slot(|source, id, labels, text| {
            backlog(source, id, labels, text, |held| held.limit)
        }),
    ),
    (
        family("pm_control_clients", Gauge, None, "Clients of the control socket."),
        Write::Run(|source, text| text.count(&[], source.clients as u64)),
    ),
    (
        family("pm_control_requests", Counter, None, "Requests that were answered, by the status."),
        Write::Run(requests),
    ),
    (
        family("pm_wakeups", Counter, None, "How often pm has waited for events."),
        Write::Run(|source, text| text.count(&[], source.wakeups)),
    ),
    (
        family("process_cpu_seconds", Counter, SECONDS, "CPU time of pm, user and system."),
        // Not that of the workers that it has reaped.
        Write::Run(|_, text| text.number(&[], own_usage().cpu.as_secs_f64())),
    ),
    (
        family("process_resident_memory_bytes", Gauge, BYTES, "Resident memory of pm."),
        Write::Run(|_, text| text.count(&[], own_usage().resident_bytes)),
    ),
    (
        family("process_open_fds", Gauge, None, "Open file descriptors of pm."),
        Write::Run(|_, text| text.count(&[], own_usage().open_files)),
    ),
    (
        family("process_max_fds", Gauge, None, "The limit on open file descriptors of pm."),
        Write::Run(|_, text| text.count(&[], own_usage().open_files_max)),
    ),
    (
        family("process_threads", Gauge, None, "Threads of pm."),
        Write::Run(|_, text| text.count(&[], own_usage().threads)),
    ),
    (
        family(
            "process_start_time_seconds",
            Gauge,
            SECONDS,
            "When pm was started, since the Unix epoch.",
        ),
        Write::Run(|source, text| text.number(&[], source.view.clock.started_seconds())),
    ),
];

fn build(_: &Source<'_>, text: &mut Text<'_>) {
    let revision = option_env!("PM_REVISION").unwrap_or_default();
    text.count(&[("version", env!("CARGO_PKG_VERSION")), ("revision", revision)], 1);
}

fn slot(source: &Source<'_>, id: SlotId, [pool, slot]: [Label<'_>; 2], text: &mut Text<'_>) {
    let port = source.view.slots.identity(id).and_then(|facts| facts.port);
    let port = port.map(|port| port.to_string()).unwrap_or_default();
    text.count(&[pool, slot, ("port", &port)], 1);
}

fn state<'a>(source: &Source<'a>, id: SlotId) -> Option<&'a Slot> {
    source.view.supervisor.slot(id)
}

fn measures<'a>(source: &Source<'a>, id: SlotId) -> Option<&'a Measures> {
    source.view.slots.measures(id)
}

fn phase(source: &Source<'_>, id: SlotId, [pool, slot]: [Label<'_>; 2], text: &mut Text<'_>) {
    let Some(state) = state(source, id) else { return };
    let own = phase_of(state.phase());
    for phase in PHASES {
        let labels = [pool, slot, ("pm_slot_phase", phase.written())];
        text.count(&labels, u64::from(phase == own));
    }
}

fn wanted(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    let is_wanted = state(source, id).is_some_and(|state| state.wanted() == Wanted::Up);
    text.count(&labels, u64::from(is_wanted));
}

fn restarts(source: &Source<'_>, id: SlotId, [pool, slot]: [Label<'_>; 2], text: &mut Text<'_>) {
    let Some(measures) = measures(source, id) else { return };
    for (reason, count) in RESTART_REASONS.iter().zip(measures.restarts) {
        text.count(&[pool, slot, ("reason", reason)], count);
    }
}

fn exits(source: &Source<'_>, id: SlotId, [pool, slot]: [Label<'_>; 2], text: &mut Text<'_>) {
    let Some(measures) = measures(source, id) else { return };
    for (reason, count) in EXIT_REASONS.iter().zip(measures.exits) {
        text.count(&[pool, slot, ("reason", reason)], count);
    }
}

fn probe_failures(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    let (Some(measures), [pool, slot]) = (measures(source, id), labels) else { return };
    for (purpose, count) in PURPOSES.iter().zip(measures.probe_failures) {
        text.count(&[pool, slot, ("purpose", purpose)], count);
    }
}

fn dropped_lines(source: &Source<'_>, text: &mut Text<'_>) {
    text.count(&[("sink", "stdout")], source.output.lost_on_stdout());
    text.count(&[("sink", "client")], source.missed_lines);
}

fn dropped_lines_of_slot(
    source: &Source<'_>,
    id: SlotId,
    [pool, slot]: [Label<'_>; 2],
    text: &mut Text<'_>,
) {
    let log = source.view.slots.next_spec(id).and_then(|spec| spec.plan.log.as_ref());
    let in_file = source.output.lost_in_file(id, log.map(|log| log.path.as_path()));
    text.count(&[pool, slot, ("sink", "file")], in_file);
    let dropped = source.output.ring().counts(id).dropped;
    text.count(&[pool, slot, ("sink", "ring")], dropped);
}

fn failed_starts(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    text.count(&labels, measures(source, id).map_or(0, |measures| measures.failed_starts));
}

fn backlog(
    source: &Source<'_>,
    id: SlotId,
    labels: [Label<'_>; 2],
    text: &mut Text<'_>,
    number: fn(Backlog) -> u32,
) {
    if let Some(held) = source.view.held_ports.backlog(id) {
        text.count(&labels, number(held).into());
    }
}

fn worker_start(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    if let Some(measures) = measures(source, id).filter(|own| own.spawned_at.is_some()) {
        text.number(&labels, measures.started_at);
    }
}

fn next_try(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    if let Some(supervisor::Phase::Backoff { until }) = state(source, id).map(Slot::phase) {
        text.number(&labels, source.view.clock.seconds_of(until));
    }
}

/// What the leader of the slot's worker uses, if it is not reaped. Until then its number is its own.
fn worker_usage(source: &Source<'_>, id: SlotId) -> Usage {
    let is_there = measures(source, id).is_some_and(|measures| measures.spawned_at.is_some());
    let slot = state(source, id).filter(|_| is_there);
    let pid = slot.and_then(|slot| source.children.pid(slot.worker()));
    pid.and_then(usage).unwrap_or_default()
}

fn worker_cpu(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    let dead = measures(source, id).map(|measures| measures.dead_cpu).unwrap_or_default();
    text.number(&labels, (dead + worker_usage(source, id).cpu).as_secs_f64());
}

fn worker_memory(source: &Source<'_>, id: SlotId, labels: [Label<'_>; 2], text: &mut Text<'_>) {
    text.count(&labels, worker_usage(source, id).resident_bytes);
}

fn requests(source: &Source<'_>, text: &mut Text<'_>) {
    for status in Status::ALL {
        let code = status.code();
        let count = source.requests.get(&code).copied().unwrap_or_default();
        text.count(&[("code", &code.to_string())], count);
    }
}
