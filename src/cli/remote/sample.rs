//! A status for tests: slots in every state.

use crate::wire::{
    Death, Phase, PmStatus, Reason, SlotStatus, Stats, Status, Time, Wanted, Worker,
};

pub fn time(text: &str) -> Time {
    Time(format!("2026-11-25T{text}.000Z").parse().unwrap())
}

/// A slot without a worker that is wanted, at this phase since a minute before the status.
pub fn slot(name: &str, phase: Phase) -> SlotStatus {
    let (pool, number) = name.split_once('.').unwrap();
    SlotStatus {
        slot: name.into(),
        pool: pool.into(),
        number: number.parse().unwrap(),
        port: None,
        backlog: None,
        terminal: false,
        wanted: Wanted::Up,
        phase,
        phase_since: time("11:59:00"),
        phase_until: None,
        worker: None,
        spare: None,
        retiring: None,
        restarts: 0,
        failed_starts: 0,
        next_try_at: None,
        waits_for: Vec::new(),
        last_death: None,
        stats: None,
    }
}

/// A ready slot with a worker that is up for this long.
pub fn ready(name: &str, port: u16, uptime_seconds: f64) -> SlotStatus {
    let started_at = time("11:59:00");
    let worker = Worker {
        generation: 8,
        pid: Some(4711),
        ready_at: Some(started_at),
        started_at,
        uptime_seconds,
    };
    SlotStatus { port: Some(port), worker: Some(worker), ..slot(name, Phase::Ready) }
}

pub fn death(name: &str, exit_status: Option<u8>, signal: Option<&str>) -> Death {
    Death {
        generation: 7,
        pid: Some(4700),
        at: time("11:58:00"),
        reason: Reason::Crash,
        exit_status,
        signal: signal.map(str::to_owned),
        out_of_memory: None,
        uptime_seconds: 2.1,
        words: format!("{name} ended; starting generation 8"),
        last_lines: Vec::new(),
    }
}

/// web.1 is ready, web.2 starts, jobs.1 is in backoff, jobs.2 has given up, setup.1 has ended well, web.3 is stopped.
pub fn status() -> Status {
    let mut web_1 = ready("web.1", 8080, 123.0);
    web_1.restarts = 41;
    web_1.stats = Some(Stats {
        sampled_at: time("12:00:00"),
        cpu_seconds: 1.5,
        cpu_cores: 0.0122,
        memory_bytes: 63 << 20,
        processes: 1,
    });
    web_1.last_death = Some(death("web.1", Some(255), None));
    let mut web_2 = SlotStatus { phase: Phase::Starting, ..ready("web.2", 8081, 28.0) };
    web_2.phase_since = time("11:59:32");
    web_2.last_death = Some(death("web.2", None, Some("SIGKILL")));
    let mut jobs_1 = slot("jobs.1", Phase::Backoff);
    jobs_1.failed_starts = 4;
    jobs_1.next_try_at = Some(time("12:00:03"));
    jobs_1.last_death = Some(death("jobs.1", None, None));
    let mut jobs_2 = slot("jobs.2", Phase::GivenUp);
    jobs_2.failed_starts = 10;
    jobs_2.last_death = Some(death("jobs.2", Some(1), None));
    let mut setup_1 = slot("setup.1", Phase::Idle);
    setup_1.wanted = Wanted::Ended;
    setup_1.last_death = Some(death("setup.1", Some(0), None));
    let mut web_3 = SlotStatus { port: Some(8082), ..slot("web.3", Phase::Idle) };
    web_3.wanted = Wanted::Down;
    let pm = PmStatus {
        version: "0.1.0".into(),
        pid: 4000,
        started_at: Time("2026-11-23T09:00:00.000Z".parse().unwrap()),
        plan: Some("pm.toml".into()),
        draining: false,
        chaos: false,
        page: None,
    };
    let slots = vec![web_1, web_2, web_3, jobs_1, jobs_2, setup_1];
    Status { seq: 1042, now: time("12:00:00"), pm, slots }
}
