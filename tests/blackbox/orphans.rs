//! Whose process is it: each process belongs to one worker, wherever it has gone and whatever it has thrown away.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send, state};
use crate::support::programs::{pm_binary, shell, worker, worker_text};
use crate::support::run_mode::size;
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_daemon_without_an_environment_lives_as_long_as_its_own_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL-db]\ncommand = \"WORKER daemon introduce+stay stay\"\nworkers = 1\n\
                ready = { after = \"0s\" }\n\
                [pool.POOL-web]\ncommand = \"WORKER stay\"\nworkers = 1\nready = { after = \"0s\" }\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    let db = pm.wait_slot_ready("-db.1", 1);
    let daemon = pm.wait_introduced(1);
    for generation in 1..=3 {
        send(Signal::SIGKILL, pm.wait_slot_ready("-web.1", generation));
    }
    pm.wait_slot_ready("-web.1", 4);
    for_as_long_as(Duration::from_millis(200), || {
        assert!(is_alive(daemon), "its worker lives");
    });
    send(Signal::SIGKILL, db);
    pm.wait_slot_ready("-db.1", 2);
    eventually("it has ended with its worker", || (!is_alive(daemon)).then_some(()));
    assert!(is_alive(pm.wait_introduced(2)), "the next worker has its own");
    pm.stop();
}

#[test]
fn a_leader_that_has_gone_to_another_group_is_stopped() {
    let pm = Pool::of(worker("join parent introduce stay")).of_size(1).start();
    let leader = pm.wait_introduced(1);
    pm.signal(Signal::SIGTERM);
    eventually("the leader has ended", || (!is_alive(leader)).then_some(()));
    pm.wait_stopped();
}

#[test]
fn a_leader_that_has_gone_to_the_group_of_another_worker_does_not_keep_that_one_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let (other, join) = (other.display(), worker_text("join $(cat"));
    // Only the first generation of the first slot moves.
    let script = format!(
        "if [ {{n}}.$PM_GENERATION = 1.1 ]; then \
         until [ -s {other} ]; do :; done; exec {join} {other}) introduce stay; \
         elif [ $PM_GENERATION = 1 ]; then echo $$ > {other}.new; mv {other}.new {other}; fi; \
         exec sleep 1000"
    );
    let pm = Pool::of(shell(&script)).of_size(2).start();
    let second = pm.wait_ready(2, 1);
    pm.wait_introduced(1);
    send(Signal::SIGKILL, second);
    pm.wait_ready(2, 2);
    pm.wait_ready(1, 2);
    pm.stop();
}

/// The text of a file with two pools: `o`, and `f`, which waits for the pid of the first and carries out these orders.
fn with_the_group_of_another(folder: &Path, orders: &str, [o, f]: [&str; 2]) -> String {
    let other = folder.join("other");
    let (other, orders) = (other.display(), worker_text(orders));
    let orders = orders.replace("OTHER", &format!("$(cat {other})"));
    let write = format!("echo $$ > {other}.new && mv {other}.new {other}");
    let pool = |name: &str, script: &str, keys: &str| {
        format!(
            "[pool.POOL-{name}]\ncommand = \"{script}\"\nworkers = 1\n\
             ready = {{ after = '0s' }}\n{keys}\n"
        )
    };
    let o = pool("o", &format!("if [ $PM_GENERATION = 1 ]; then {write}; fi; exec sleep 1000"), o);
    let f = pool("f", &format!("until [ -s {other} ]; do :; done; exec {orders}"), f);
    o + &f
}

#[test]
fn a_zombie_that_another_worker_keeps_in_the_group_of_a_dead_one_does_not_keep_its_slot() {
    let folder = tempfile::tempdir().unwrap();
    let orders = "child join+OTHER+introduce+exit+0 stay";
    let text = with_the_group_of_another(folder.path(), orders, ["", ""]);
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    let dead = pm.wait_slot_ready("-o.1", 1);
    let zombie = pm.wait_introduced(1);
    eventually("it is dead and not reaped", || (state(zombie) == Some('Z')).then_some(()));
    send(Signal::SIGKILL, dead);
    pm.wait_slot_ready("-o.1", 2);
    assert_eq!(state(zombie), Some('Z'));
    pm.stop();
}

#[test]
fn a_worker_is_gone_when_the_last_member_of_its_group_has_gone_to_another_group() {
    let folder = tempfile::tempdir().unwrap();
    let orders = "ignore TERM return USR1 join OTHER introduce stay";
    let graces = ["stop = { grace = '60s' }", "stop = { grace = '1500ms' }"];
    let text = with_the_group_of_another(folder.path(), orders, graces);
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    let leader = pm.wait_slot_ready("-o.1", 1);
    let member = pm.wait_introduced(1);
    pm.signal(Signal::SIGTERM);
    eventually("the leader is reaped", || state(leader).is_none().then_some(()));
    send(Signal::SIGUSR1, member);
    pm.wait_stopped();
}

#[test]
fn what_a_killed_pm_below_pm_leaves_ends_with_the_worker_that_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let inner = "setsid sleep 1000 & exec sleep 1000";
    let text = format!(
        "[pool.POOL]\ncommand = [{:?}, 'run', '--workers', '2', '--name', 'POOL-inner', '--', \
         'sh', '-c', '{inner}']\nworkers = 1\nready = {{ after = '0s' }}\n",
        pm_binary()
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    for generation in 1..=10 {
        let guard = pm.wait_slot_ready(".1", generation);
        let old = pm.wait_members(6);
        let reactor = old.iter().find(|member| member.parent == guard).unwrap().pid;
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            send(signal, reactor);
            send(signal, guard);
        }
        eventually("all of it ends", || {
            old.iter().all(|member| !is_alive(member.pid)).then_some(())
        });
    }
    pm.stop();
}

#[test]
fn a_worker_that_a_signal_stops_for_its_tracer_has_not_exited() {
    let orders = worker("traceme introduce raise USR1");
    let pm = Pool::of(orders).of_size(1).option("--grace", "100ms").start();
    let leader = pm.wait_ready(1, 1);
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("exited"), [""; 0]);
        assert_eq!(pm.members().len(), 1);
    });
    assert!(is_alive(leader));
    pm.stop();
}

/// `PM_TEST_KILLS` is the number of kills, `PM_TEST_ORPHANS` the number of short daemons a second.
#[test]
fn no_daemon_of_a_living_worker_is_touched_and_none_of_a_dead_one_is_left() {
    let mut rng = Rng::with_seed(7);
    let mut left = size("PM_TEST_KILLS", 60, 10_000);
    while left > 0 {
        // A pm for every thousand: each wait reads all that its pm has said.
        let kills = left.min(1_000);
        kill_at_random(kills, &mut rng);
        left -= kills;
    }
}

fn kill_at_random(kills: u64, rng: &mut Rng) {
    let folder = tempfile::tempdir().unwrap();
    let serve = "daemon introduce+stay stay";
    let pool = |name: &str, orders: &str, workers: usize| {
        format!(
            "[pool.POOL-{name}]\ncommand = \"WORKER {orders}\"\nworkers = {workers}\n\
             ready = {{ after = \"0s\" }}\n"
        )
    };
    let rate = size("PM_TEST_ORPHANS", 100, 1_000);
    let text = pool("a", serve, 2)
        + &pool("b", serve, 2)
        + &pool("c", serve, 2)
        + &pool("noise", &format!("orphans {rate}"), 1);
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    let slots: Vec<String> =
        ["-a.1", "-a.2", "-b.1", "-b.2", "-c.1", "-c.2"].map(Into::into).into();
    let first = slots.iter().map(|slot| (slot.as_str(), (1, leader_and_daemon(&pm, slot, 1))));
    let mut alive: BTreeMap<&str, (u64, (Pid, Pid))> = first.collect();
    for _ in 0..kills {
        let victim = slots[rng.usize(..slots.len())].as_str();
        let (generation, (leader, daemon)) = alive[victim];
        send(Signal::SIGKILL, leader);
        let next = generation + 1;
        alive.insert(victim, (next, leader_and_daemon(&pm, victim, next)));
        eventually("its daemon has ended", || (!is_alive(daemon)).then_some(()));
        for (slot, (_, (leader, daemon))) in &alive {
            assert!(is_alive(*leader) && is_alive(*daemon), "{slot} is not touched");
        }
    }
    pm.stop();
}

/// The worker of this slot, and its daemon, which has introduced itself.
fn leader_and_daemon(pm: &Pm, slot: &str, generation: u64) -> (Pid, Pid) {
    let leader = pm.wait_slot_ready(slot, generation);
    let label = format!("{slot} ");
    let daemon = eventually("its daemon", || {
        let lines = pm.prints.with(&label).into_iter();
        let pids = lines.filter_map(|line| line.split_once("| pid ")?.1.parse().ok());
        pids.map(Pid::from_raw).nth(generation as usize - 1)
    });
    (leader, daemon)
}
