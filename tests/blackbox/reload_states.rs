//! What a reload does with slots that have no worker, with links, and with files that mean the same.

use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;

use crate::support::pool::Pool;
use crate::support::processes::is_alive;

const LATE: &str = "
    [pool.POOL-web]
    command = ['./late']
    backoff = { first = '1ms', give_up_after = 1 }
    ready   = { after = '0s' }

    [pool.POOL-job]
    command = ['WORKER', 'exit', '0']
    restart = 'on-failure'
    ready   = { exit = true }

    [pool.POOL-other]
    command = ['WORKER', 'stay']
    ready   = { after = '0s' }
";

#[test]
fn a_slot_that_gave_up_is_tried_again_at_a_reload_of_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, LATE).start();
    pm.says.wait_for("giving up");
    pm.says.wait_for("-job.1 exited 0");
    let other = pm.wait_slot_ready("-other.1", 1);
    pm.signal(Signal::SIGUSR1);
    pm.says.wait_for(&format!(
        "reload: trying {0}-web.1 again; kept 1 worker; {0}-job.1 has ended",
        pm.name
    ));
    pm.says.wait_for_many(2, "giving up");
    symlink("/bin/cat", folder.path().join("late")).unwrap();
    let changed = LATE.replace("give_up_after = 1", "give_up_after = 2");
    let changed = changed.replacen("ready ", "stdin = 'open'\n    ready ", 1);
    pm.reload(&changed);
    pm.wait_slot_ready("-web.1", 3);
    assert!(is_alive(other));
    pm.stop();
}

#[test]
fn a_program_that_is_repaired_is_started_by_a_reload_of_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = LATE.replacen("ready ", "stdin = 'open'\n    ready ", 1);
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    pm.says.wait_for("giving up");
    pm.wait_slot_ready("-other.1", 1);
    symlink("/bin/cat", folder.path().join("late")).unwrap();
    pm.signal(Signal::SIGUSR1);
    pm.wait_slot_ready("-web.1", 2);
    pm.stop();
}

#[test]
fn variables_in_another_order_replace_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
        env     = { A = '1', B = '2' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&text.replace("A = '1', B = '2'", "B = '2', A = '1'"));
    pm.says.wait_for("reload: kept 1 worker");
    pm.stop();
}

#[test]
fn a_worker_is_replaced_if_the_folder_of_the_file_is_another_one_now() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = 'echo in $(pwd -P); exec WORKER stay'
        ready   = { line_regex = '^in ' }
    ";
    let release = |name: &str| folder.path().join(name);
    let current = release("current");
    for name in ["r1", "r2"] {
        std::fs::create_dir(release(name)).unwrap();
    }
    symlink("r1", &current).unwrap();
    let pool = Pool::of_file(&current, "pm.toml", 0, text);
    std::fs::write(release("r2/pm.toml"), pool.filled_in(text)).unwrap();
    let pm = pool.start();
    pm.prints.wait_for("/r1");
    pm.wait_slot_ready(".1", 1);
    symlink("r2", release("next")).unwrap();
    std::fs::rename(release("next"), &current).unwrap();
    pm.signal(Signal::SIGUSR1);
    pm.says.wait_for(&format!("reload: replacing {}", pm.slot(1)));
    pm.prints.wait_for("/r2");
    pm.stop();
}

#[test]
fn many_changed_workers_are_named_as_a_range() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL-a]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
        workers = 12
        [pool.POOL-b]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready("-a.12", 1);
    pm.wait_slot_ready("-b.1", 1);
    pm.reload(&text.replace("'stay'", "'stay', 'stay'"));
    pm.says.wait_for(&format!(
        "reload: replacing {0}-a.1 to {0}-a.12 and {0}-b.1 one by one in each pool",
        pm.name
    ));
    pm.stop();
}

#[test]
fn the_carriage_return_that_ends_a_line_is_not_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = \"printf 'now ready\\\\r\\\\n'; exec WORKER stay\"
        ready   = { line_regex = 'ready$' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn a_stop_without_a_worker_ends_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = 'exit 3'
        backoff = { first = '1h', max = '1h' }
    ";
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.says.wait_for("next try in");
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
    pm.says.wait_for("SIGTERM: no worker to stop");
    assert_eq!(pm.says.with("all workers stopped"), [""; 0]);
}
