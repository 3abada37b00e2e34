//! `pm wait`: for a pm, for workers that are ready or stopped, for the end of one.

use std::thread;

use super::{Said, pm, settled, started};
use crate::support::pool::Pool;

const JOB: &str = "
[pool.POOL]
command = ['WORKER', 'await', 'PORT1', 'exit', '7']
ready   = { after = '0s' }
";

#[test]
fn it_waits_for_a_pm_that_is_not_started_yet() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = [PORT1]\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 1, text);
    let (said, _run) = thread::scope(|scope| {
        let waits = scope.spawn(|| pm(folder.path(), &["wait", "all", "--timeout", "15s"]));
        let run = pool.without("PM_SOCKET").start();
        (waits.join().unwrap(), run)
    });
    said.ends(0).prints(" is ready\n");
}

#[test]
fn without_a_pm_in_time_it_is_4() {
    let folder = tempfile::tempdir().unwrap();
    let said = pm(folder.path(), &["wait", "all", "--timeout", "50ms"]).ends(4).without_result();
    said.notes("waiting for pm: no pm runs in ").notes("pm: no pm runs in ");
    let words = ["wait", "all", "--timeout", "50ms", "--socket", "x.sock"];
    pm(folder.path(), &words).ends(4).notes("x.sock: there is no such socket");
}

#[test]
fn a_slot_that_has_given_up_fails_at_once() {
    let run = settled();
    run.pm(&["wait", "@-bad", "--timeout", "1h"])
        .ends(1)
        .without_result()
        .notes("@-bad.1 exited 3");
    run.pm(&["wait", "@-web", "@-setup"])
        .ends(0)
        .prints("@-web.1, @-web.2 and @-web.3 are ready\n");
    run.pm(&["wait", "@-web", "--stopped", "--timeout", "50ms"])
        .ends(1)
        .notes("not stopped in time");
    run.pm(&["stop", "@-web"]).ends(0);
    run.pm(&["wait", "@-web", "--stopped"]).ends(0).prints(" are stopped\n");
    run.pm(&["wait", "@-web", "--stopped", "--exit"]).ends(2).notes("cannot be used with");
}

#[test]
fn exit_is_the_status_of_the_worker() {
    let run = started(1, JOB);
    run.pm(&["wait", "@"]).ends(0);
    run.pm(&["wait", "@", "--exit", "--timeout", "50ms"]).ends(1).notes("not gone in time");
    let said: Said = thread::scope(|scope| {
        let waits = scope.spawn(|| run.pm(&["wait", "@", "--exit"]));
        // Until one of its workers has ended while the command waited.
        while !waits.is_finished() {
            drop(std::net::TcpStream::connect(("127.0.0.1", run.pm.ports[0])));
            run.pm(&["wait", "@"]);
        }
        waits.join().unwrap()
    });
    said.ends(7).prints("@.1 exited 7 after ");
}

#[test]
fn a_worker_that_a_signal_has_killed_is_128_and_the_signal() {
    let run = settled();
    let said: Said = thread::scope(|scope| {
        let waits = scope.spawn(|| run.pm(&["wait", "@-web.1", "--exit"]));
        // Until one of its workers has died while the command waited.
        while !waits.is_finished() {
            run.pm(&["kill", "-s", "HUP", "@-web.1"]);
            run.pm(&["wait", "@-web.1"]);
        }
        waits.join().unwrap()
    });
    said.ends(129).prints("@-web.1 killed by SIGHUP after ");
}
