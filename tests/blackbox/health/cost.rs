//! What probes cost pm, one by one and for many workers, and whether they come on time.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;

use super::{crowd, folder};
use crate::support::pm::{Pm, ask};
use crate::support::run_mode::size;
use crate::support::waiting::{eventually, for_as_long_as};

/// What a probe costs at most, in the cost of a bare connection. Measured: 2 to 6.
const PROBE_MAX: f64 = 10.0;

/// The probes a second of workers that are not ready, of all together, if there are many. There are more in the first
/// second, and a refused connection costs less: measured 2 to 11 in its cost.
const UNREADY_PROBES: f64 = 500.0;
const UNREADY_PROBE_MAX: f64 = 25.0;

/// The CPU time that pm uses during `time`.
fn cost_during(pm: &Pm, time: Duration) -> f64 {
    let (reactor, before) = (pm.reactor(), precise_processor_time(pm.reactor()));
    for_as_long_as(time, || {});
    (precise_processor_time(reactor) - before).as_secs_f64()
}

/// The CPU time of all threads of a process so far. `/proc/PID/stat` counts in ticks of 10 ms.
fn precise_processor_time(pid: Pid) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    threads.map(|thread| of_a_thread(&thread.expect("a thread").path())).sum()
}

/// The CPU time of a thread so far, which `schedstat` has in nanoseconds.
fn of_a_thread(folder: &Path) -> Duration {
    let text = std::fs::read_to_string(folder.join("schedstat")).expect("it lives");
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().expect("a number"))
}

/// What it costs to ask for a connection to this port, and to close it again where it is not refused.
fn cost_of_a_connection(port: u16) -> Duration {
    const CONNECTIONS: u32 = 1_000;
    let this_thread = Path::new("/proc/thread-self");
    let before = of_a_thread(this_thread);
    for _ in 0..CONNECTIONS {
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    }
    (of_a_thread(this_thread) - before) / CONNECTIONS
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
    assert!((0.1..PROBE_MAX).contains(&ratio), "{ratio}");
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
    let cost = cost_during(&pm, Duration::from_millis(5 * every));
    let ratio = cost / (5.0 * slots as f64) / cost_of_a_connection(pm.ports[0]).as_secs_f64();
    let mut worst = 0;
    for port in &pm.ports {
        let answer = ask(*port, &format!("lateness {every}"));
        let (late, probes) = answer.split_once(' ').expect("two numbers");
        let (late, probes): (u64, u64) = (late.parse().unwrap(), probes.parse().unwrap());
        assert!(probes >= 4, "{port} was probed {probes} times");
        worst = worst.max(late);
    }
    println!(
        "proof: {slots} slots probed every {every} ms: {:.2} % of a core, a probe {ratio:.1}x of a \
         connection, none more than {worst} ms late",
        cost * 100_000.0 / (5 * every) as f64
    );
    assert!((0.1..PROBE_MAX).contains(&ratio), "{ratio}");
    assert!(!is_proof || worst <= 50, "{worst}");
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn many_workers_that_are_never_ready_cost_little() {
    let slots = size("PM_TEST_PROBED", 20, 1_000) as usize;
    let folder = folder();
    let pm = crowd(&folder, slots, "stay", "ready = { tcp = true, within = '1h' }");
    pm.wait_members(slots);
    let time = Duration::from_millis(size("PM_TEST_UNREADY_MS", 500, 10_000));
    let share = cost_during(&pm, time) / time.as_secs_f64();
    let ratio = share / UNREADY_PROBES / cost_of_a_connection(pm.ports[0]).as_secs_f64();
    println!(
        "proof: {slots} slots that are not ready: {:.2} % of a core, {ratio:.1}x of \
         {UNREADY_PROBES} refused connections a second",
        share * 100.0
    );
    assert!((0.1..UNREADY_PROBE_MAX).contains(&ratio), "{ratio}");
    pm.stop();
}
