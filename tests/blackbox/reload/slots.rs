//! Slots that come, go, or change their number, pool or name, and which worker is whose meanwhile.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{BEFORE, pids, started};
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::processes::{self, is_alive};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_slot_that_is_removed_and_added_again_is_a_new_one() {
    let (_folder, pm) = started();
    let more = BEFORE.replace("workers = 2", "workers = 3");
    for generation in 1..=3 {
        pm.reload(&more);
        pm.says.wait_for_many(generation, "-job.3 is ready");
        pm.reload(BEFORE);
        pm.says.wait_for_many(generation, "-job.3 stopped");
    }
    pm.stop();
}

#[test]
fn pools_and_slots_are_added_and_removed() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    let text = "
        [pool.POOL-web]
        command = ['WORKER', 'env', 'MODE', 'listen', '{port}', 'stay']
        ports   = [PORT1, PORT2, PORT3, PORT4]
        env     = { MODE = 'one' }
        [pool.POOL-new]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
    ";
    pm.reload(text);
    pm.wait_slot_ready("-web.4", 1);
    pm.wait_slot_ready("-new.1", 1);
    for n in [1, 2] {
        pm.says.wait_for(&format!("{}-job.{n} stopped", pm.name));
    }
    assert_eq!(pids(&pm), before);
    pm.wait_members(5);
    // And back again.
    pm.reload(BEFORE);
    pm.says.wait_for("-web.4 stopped");
    pm.says.wait_for("-new.1 stopped");
    pm.wait_members(5);
    assert_eq!(pids(&pm), before);
    pm.stop();
}

#[test]
fn a_slot_keeps_its_port_when_its_number_changes() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    pm.reload(&BEFORE.replace("PORT1, PORT2, PORT3", "PORT2, PORT3"));
    pm.says.wait_for_all(&["-web.1", "stopped"]);
    // web.2 is web.1 now. Its environment has the name, so the worker was replaced, on the same port.
    pm.wait_slot_ready("-web.2", 2);
    pm.wait_members(4);
    let after = [1, 2].map(|n| ask(pm.ports[n], "pid"));
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert_eq!(pm.says.with("cannot start"), [""; 0]);
    assert_eq!(pm.says.with("before it was ready"), [""; 0]);
    pm.stop();
}

#[test]
fn two_workers_with_the_same_name_are_not_confused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = '''case $PORT in PORT1) deaf='ignore TERM';; esac
                     exec WORKER $deaf child setsid+stay listen {port} stay'''
        ports   = [PORT1, PORT2]
        stop    = { grace = '1500ms' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 2, text).start();
    processes::send(Signal::SIGKILL, pm.wait_slot_ready(".1", 1));
    let old = pm.wait_slot_ready(".1", 2);
    pm.wait_slot_ready(".2", 1);
    // The worker on the other port is generation 2 of its slot, so it is generation 2 of this name too.
    pm.reload(&text.replace("[PORT1, PORT2]", "[PORT2]"));
    pm.says.wait_for(&format!("{} is ready on port {}", pm.slot(1), pm.ports[1]));
    let new = ask(pm.ports[1], "pid");
    let helper = eventually("the daemon of the new one", || {
        let members = pm.members().into_iter();
        let mut daemons = members.filter(|member| member.pid == member.group);
        daemons.find(|member| {
            let is_leader = member.pid == old || member.pid.to_string() == new;
            !is_leader && worker_of(member.pid) == worker_of(pid_of(&new))
        })
    });
    eventually("the old one is gone", || (!is_alive(old)).then_some(()));
    pm.says.wait_for("did not stop within 1.5s");
    pm.wait_members(2);
    for_as_long_as(Duration::from_millis(100), || assert!(is_alive(helper.pid)));
    pm.stop();
}

fn pid_of(text: &str) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(text.parse().unwrap())
}

/// The tag of the worker that this process belongs to.
fn worker_of(pid: nix::unistd::Pid) -> String {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let own = environment.split('\0').find(|variable| variable.starts_with("PM_WORKER="));
    own.unwrap().to_owned()
}

#[test]
fn every_message_about_a_worker_has_the_name_that_the_worker_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL-web]
        command = ['WORKER', 'ignore', 'TERM', 'listen', '{port}', 'stay']
        ports   = PORT1
        stop    = { grace = '1500ms' }
    ";
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    pm.wait_slot_ready("-web.1", 1);
    let before = pm.says.all().len();
    pm.reload(&text.replace("POOL-web", "POOL-api"));
    let new = pm.wait_slot_ready("-api.1", 2);
    processes::send(Signal::SIGKILL, new);
    pm.says.wait_for("was killed by SIGKILL");
    pm.wait_slot_ready("-api.1", 3);
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);

    let says = pm.says.all().split_off(before);
    let of = |pool: &str| {
        let slot = format!("{}-{pool}.1", pm.name);
        let says = says.iter().enumerate();
        // What a reload does with the slots is not about one worker.
        says.filter(move |(_, line)| line.contains(&slot) && !line.contains("reload: "))
    };
    let ready = says.iter().position(|line| line.contains("is ready")).expect("a ready worker");
    // Until the new worker is ready, it has no message of its own: all are about the old one.
    let early: Vec<_> = of("api").filter(|(n, _)| *n < ready).collect();
    assert!(early.is_empty(), "the old worker is web.1: {early:?} in {says:#?}");
    let late: Vec<_> = of("web").filter(|(n, _)| *n > ready).collect();
    assert!(late.is_empty(), "the new worker is api.1: {late:?} in {says:#?}");
    for part in ["still stopping", "did not stop within"] {
        let (_, line) = of("web").find(|(_, line)| line.contains(part)).expect(part);
        assert!(line.contains("ignores SIGTERM"), "{line}");
    }
    assert!(of("web").count() >= 4, "replaced, still stopping, killed, gone: {says:#?}");
    assert!(of("api").any(|(_, line)| line.contains("was killed by SIGKILL")), "{says:#?}");
}

#[test]
fn a_port_that_goes_to_another_pool_is_free_before_it_is_used_there() {
    let (_folder, pm) = started();
    let other = "
        [pool.POOL-other]
        command = ['WORKER', 'listen', '{port}', 'say', 'other', 'stay']
        ports   = [PORT2]
    ";
    pm.reload(&format!("{}{other}", BEFORE.replace("PORT1, PORT2, PORT3", "PORT1, PORT3")));
    pm.wait_slot_ready("-other.1", 2);
    pm.wait_members(5);
    assert_eq!(pm.says.with("cannot start"), [""; 0]);
    assert_eq!(pm.says.with("before it was ready"), [""; 0]);
    pm.stop();
}
