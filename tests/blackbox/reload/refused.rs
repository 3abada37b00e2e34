//! Reloads that are refused change nothing, and the reason is reported.

use nix::sys::signal::Signal;

use super::{BEFORE, pids, started};
use crate::support::pool::Pool;
use crate::support::processes;

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
