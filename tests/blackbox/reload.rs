//! SIGUSR1 reads the file again: unchanged workers stay, changed ones are replaced one by one.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{self, is_alive};
use crate::support::waiting::{eventually, for_as_long_as};

const BEFORE: &str = "
[pool.POOL-web]
command = ['WORKER', 'env', 'MODE', 'listen', '{port}', 'stay']
ports   = [PORT1, PORT2, PORT3]
env     = { MODE = 'one' }

[pool.POOL-job]
command = ['WORKER', 'stay']
workers = 2
ready   = { after = '0s' }
";

fn started() -> (tempfile::TempDir, Pm) {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 4, BEFORE).start();
    for n in 1..=3 {
        pm.wait_slot_ready(&format!("-web.{n}"), 1);
    }
    (folder, pm)
}

fn pids(pm: &Pm) -> Vec<String> {
    pm.ports[..3].iter().map(|port| ask(*port, "pid")).collect()
}

#[test]
fn a_file_with_the_same_meaning_changes_nothing() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    pm.reload(&format!("# a comment\n{BEFORE}"));
    pm.says.wait_for("reload: kept 5 workers");
    assert_eq!(pids(&pm), before);
    pm.stop();
}

#[test]
fn a_pipe_is_read_at_the_start_and_not_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\n";
    let pool = Pool::of_file(folder.path(), "pipe", 0, text).in_folder(folder.path());
    let pm = pool.after("mv pipe text; mkfifo pipe; (cat text > pipe &)").start();
    pm.wait_slot_ready(".1", 1);
    pm.signal(Signal::SIGUSR1);
    pm.says.wait_for(
        "reload refused: the configuration came through a pipe, which cannot be read again",
    );
    pm.stop();
}

#[test]
fn a_changed_pool_rolls_one_by_one_and_the_others_stay() {
    let (_folder, pm) = started();
    let jobs = [pm.wait_slot_ready("-job.1", 1), pm.wait_slot_ready("-job.2", 1)];
    pm.reload(&BEFORE.replace("'one'", "'two'").replace("'listen'", "'wait', '200', 'listen'"));
    // While one is being replaced, the other two serve.
    for n in 1..=3 {
        pm.says.wait_for(&format!("{}-web.{n}: replacing generation 1", pm.name));
        let mut others = (1..=3).filter(|other| *other != n);
        assert!(others.all(|other| !ask(pm.ports[other - 1], "pid").is_empty()));
        pm.wait_slot_ready(&format!("-web.{n}"), 2);
    }
    assert_eq!(pm.prints.with("MODE=two").len(), 3);
    assert!(jobs.into_iter().all(is_alive));
    assert_eq!(pm.says.with("-job.1 is ready").len(), 1);
    pm.stop();
}

#[test]
fn a_change_that_a_worker_cannot_notice_does_not_replace_it() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    let alive = "alive = { tcp = true, every = '20ms', timeout = '20ms' }";
    let rules = format!("stop = {{ grace = '1s' }}\nbackoff = {{ first = '1s' }}\n{alive}\n");
    pm.reload(&BEFORE.replace("env     =", &format!("{rules}env     =")));
    pm.says.wait_for("reload: kept 5 workers");
    for_as_long_as(Duration::from_millis(200), || assert_eq!(pids(&pm), before));
    pm.signal(Signal::SIGTERM);
    pm.says.wait_for("SIGKILL in 5s");
    pm.wait_stopped();
}

#[test]
fn a_changed_stop_signal_applies_to_the_running_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = \"trap 'echo caught; exit 0' USR2; echo up; while :; do sleep 0.01; done\"
        ready   = { line = 'up' }
        stop    = { signal = 'TERM' }
    ";
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&text.replace("TERM", "USR2"));
    pm.says.wait_for("reload: kept 1 worker");
    pm.signal(Signal::SIGTERM);
    pm.prints.wait_for("caught");
    pm.wait_exit(0);
}

#[test]
fn a_job_that_has_ended_runs_again_once_if_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL-job]
        command = ['WORKER', 'env', 'STEP']
        env     = { STEP = 'one' }
        restart = 'on-failure'
        ready   = { exit = true }

        [pool.POOL-web]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
        after   = ['POOL-job']
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    let web = pm.wait_slot_ready("-web.1", 1);
    let changed = text.replace("'one'", "'two'");
    pm.reload(&changed);
    pm.says.wait_for(&format!("reload: running {}-job.1 again; kept 1 worker", pm.name));
    pm.prints.wait_for("STEP=two");
    eventually("the second end of the job", || {
        (pm.says.with("-job.1 exited 0").len() == 2).then_some(())
    });
    pm.reload(&format!("# a comment\n{changed}"));
    pm.says.wait_for(&format!("reload: kept 1 worker; {}-job.1 has ended", pm.name));
    for_as_long_as(Duration::from_millis(200), || {
        assert_eq!(pm.prints.with("STEP=").len(), 2, "an unchanged job does not run again");
    });
    assert!(is_alive(web), "what comes after the job stays");
    pm.stop();
}

#[test]
fn a_changed_ready_key_applies_to_a_starting_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'say', 'up', 'wait', '600', 'say', 'serving', 'stay']
        ready   = { line = 'nothing of the kind' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.prints.wait_for("up");
    pm.reload(&text.replace("nothing of the kind", "serving"));
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

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

#[test]
fn a_log_file_and_a_probe_can_be_added_to_a_running_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'listen', '{port}', 'answer', 'silent', 'stay']
        ports   = PORT1
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&format!("{text}log = {{ file = '{{slot}}.log' }}\n"));
    pm.says.wait_for("reload: kept 1 worker");
    ask(pm.ports[0], "say written");
    let log = folder.path().join(format!("{}.log", pm.slot(1)));
    eventually("it is in the file", || {
        (std::fs::read_to_string(&log).ok()? == "written\n").then_some(())
    });
    let alive = "alive = { http = '/', every = '50ms', timeout = '50ms' }";
    pm.reload(&format!("{text}{alive}\n"));
    pm.says.wait_for("hangs: no answer within 50ms, 3 times in a row");
    pm.stop();
}

#[test]
fn a_file_with_a_fault_changes_nothing_and_the_fault_is_reported() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    pm.reload(&BEFORE.replace("command", "comand").replace("workers = 2", "workers = 'two'"));
    pm.says.wait_for("pm.toml:3:1: unknown key `comand`; did you mean `command`?");
    pm.says.wait_for("nothing has changed");
    assert_eq!(pids(&pm), before);
    std::fs::remove_file(_folder.path().join("pm.toml")).unwrap();
    pm.signal(Signal::SIGUSR1);
    let refused = pm.says.wait_for("there is no file `");
    assert!(refused.contains("any more; nothing has changed"), "{refused}");
    pm.reload(BEFORE);
    pm.says.wait_for("reload: kept 5 workers");
    assert_eq!(pids(&pm), before);
    pm.stop();
}

#[test]
fn a_roll_pauses_while_the_new_worker_fails_and_continues_once_it_is_ready() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    pm.reload(
        &BEFORE
            .replace("'stay']\nports", "'stay']\nready = { line = 'never' }\nports")
            .replace("'env', 'MODE', 'listen', '{port}'", "'exit', '9'"),
    );
    pm.says.wait_for("-web.1 exited 9");
    pm.says.wait_for("next try in 2");
    let now = [1, 2].map(|n| ask(pm.ports[n], "pid"));
    assert_eq!(now, before[1..], "the others keep the old plan and serve");
    pm.reload(&BEFORE.replace("'one'", "'three'"));
    for n in 1..=3 {
        pm.says.wait_for_all(&[&format!("-web.{n} is ready"), "ms ("]);
    }
    pm.prints.wait_for_many(3, "MODE=three");
    pm.says.wait_for(&format!("{}-web.3: replacing", pm.name));
    pm.stop();
}

#[test]
fn a_reload_during_a_stop_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        BEFORE.replace("['WORKER', 'stay']", "['WORKER', 'drain', '400', 'say', 'up', 'stay']");
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 4, &text).start();
    pm.wait_slot_ready("-web.3", 1);
    pm.prints.wait_for_many(2, "up");
    pm.rewrite(&text.replace("PORT1, PORT2, PORT3", "PORT1, PORT2, PORT3, PORT4"));
    pm.signal(Signal::SIGTERM);
    pm.says.wait_for("SIGTERM: stopping");
    pm.signal(Signal::SIGUSR1);
    pm.says.wait_for("reload refused: pm is stopping; nothing has changed");
    pm.wait_exit(0);
    assert_eq!(pm.says.with("-web.4"), [""; 0]);
}

#[test]
fn a_reload_that_is_refused_for_lack_of_descriptors_leaves_none_open() {
    let folder = tempfile::tempdir().unwrap();
    let text = |workers: usize, ready: &str| {
        format!(
            "[pool.POOL]\ncommand = 'exec WORKER say up stay'\n\
             workers = {workers}\nready = {{ {ready} }}\n"
        )
    };
    let few = text(2, "after = '0s'");
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &few).after("ulimit -n 40");
    let pm = pool.start();
    pm.prints.wait_for_many(2, "up");
    let descriptors = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", pm.reactor())).expect("it lives");
        files.count()
    };
    let before = descriptors();
    for refused in 1..=3 {
        // The two slots that are there would get a socket too.
        pm.reload(&text(60, "notify = true"));
        pm.says.wait_for_many(refused, "reload refused: cannot open a notify socket");
        assert_eq!(descriptors(), before);
    }
    pm.reload(&few);
    pm.says.wait_for("reload: kept 2 workers");
    let worker = pm.wait_members(2).remove(0).pid;
    processes::send(Signal::SIGKILL, worker);
    pm.prints.wait_for_many(3, "up");
    pm.stop();
}
