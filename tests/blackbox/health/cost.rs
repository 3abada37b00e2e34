//! What probes cost pm, one by one and for many workers, and whether they come on time.

use std::fmt::Display;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::{crowd, folder};
use crate::support::pm::{Pm, ask};
use crate::support::processes::processor_time;
use crate::support::run_mode::size;
use crate::support::waiting::{eventually, for_as_long_as};

/// What a probe costs at most, in the cost of a bare connection. Measured: 2 to 6.
const PROBE_MAX: f64 = 10.0;

/// The share of a core at most, where 20 workers are probed and never ready.
const UNREADY_MAX: f64 = 0.2;

/// The share of a core that pm uses during `time`.
fn share_of_a_core(pm: &Pm, time: Duration) -> f64 {
    let (reactor, before) = (pm.reactor(), processor_time(pm.reactor()));
    for_as_long_as(time, || {});
    (processor_time(reactor) - before).as_secs_f64() / time.as_secs_f64()
}

/// The CPU time of a thread so far, which `/proc/PID/schedstat` has in nanoseconds.
fn precise_processor_time(of: impl Display) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{of}/schedstat")).expect("it lives");
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().expect("a number"))
}

/// What it costs to connect to this port and to close the connection again.
fn cost_of_a_connection(port: u16) -> Duration {
    const CONNECTIONS: u32 = 1_000;
    let before = precise_processor_time("thread-self");
    for _ in 0..CONNECTIONS {
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a worker that serves"));
    }
    (precise_processor_time("thread-self") - before) / CONNECTIONS
}

#[test]
fn a_probe_costs_little_more_than_a_connection() {
    let folder = folder();
    let probe = "tcp = true, every = '20ms', timeout = '20ms', failures = 1000";
    let lines = format!("alive = {{ {probe} }}");
    let pm = crowd(&folder, 10, "listen {port} stay", &lines);
    pm.says.wait_for_many(10, "is ready");
    let reactor = pm.reactor();
    let asked =
        || ask(pm.ports[0], "lateness 20").split_once(' ').unwrap().1.parse::<u32>().unwrap();
    let (before, cost) = (asked(), precise_processor_time(reactor));
    let probes = eventually("a hundred probes of each", || {
        Some(asked() - before).filter(|probes| *probes >= 100)
    });
    let of_a_probe = (precise_processor_time(reactor) - cost) / (10 * probes);
    let of_a_connection = cost_of_a_connection(pm.ports[1]);
    let ratio = of_a_probe.as_secs_f64() / of_a_connection.as_secs_f64();
    println!("a probe costs {of_a_probe:?}, a connection {of_a_connection:?}: {ratio:.1}x");
    assert!(ratio < PROBE_MAX, "{ratio}");
    pm.stop();
}

#[test]
fn many_workers_are_probed_on_time_at_little_cost() {
    let is_proof = std::env::var_os("PM_PROOF").is_some();
    let slots = size("PM_TEST_PROBED", 20, 1_000) as usize;
    let every = size("PM_TEST_PROBE_EVERY_MS", 200, 5_000);
    let folder = folder();
    let lines = format!("alive = {{ tcp = true, every = '{every}ms', timeout = '{every}ms' }}");
    let pm = crowd(&folder, slots, "listen {port} stay", &lines);
    pm.says.wait_for_many(slots, "is ready");
    let share = share_of_a_core(&pm, Duration::from_millis(5 * every));
    let mut worst = 0;
    for port in &pm.ports {
        let answer = ask(*port, &format!("lateness {every}"));
        let (late, probes) = answer.split_once(' ').expect("two numbers");
        let (late, probes): (u64, u64) = (late.parse().unwrap(), probes.parse().unwrap());
        assert!(probes >= 4, "{port} was probed {probes} times");
        worst = worst.max(late);
    }
    println!(
        "proof: {slots} slots probed every {every} ms: {:.2} % of a core, none more than {worst} ms late",
        share * 100.0
    );
    assert!(!is_proof || (share < 0.02 && worst <= 50), "{share} {worst}");
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn many_workers_that_are_never_ready_cost_little() {
    let is_proof = std::env::var_os("PM_PROOF").is_some();
    let slots = size("PM_TEST_PROBED", 20, 1_000) as usize;
    let folder = folder();
    let pm = crowd(&folder, slots, "stay", "ready = { tcp = true, within = '1h' }");
    pm.wait_members(slots);
    let time = Duration::from_millis(size("PM_TEST_UNREADY_MS", 500, 10_000));
    let share = share_of_a_core(&pm, time);
    println!("proof: {slots} slots that are not ready: {:.2} % of a core", share * 100.0);
    assert!(share < if is_proof { 0.02 } else { UNREADY_MAX }, "{share}");
    pm.stop();
}
