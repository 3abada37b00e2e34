//! Workers that a reload replaces: one by one, and a job once.

use std::time::Duration;

use super::{BEFORE, pids, started};
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::processes::is_alive;
use crate::support::waiting::{eventually, for_as_long_as};

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
