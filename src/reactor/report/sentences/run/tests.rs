use super::*;
use crate::supervisor::StopReason;

#[test]
fn the_first_line_names_ports_in_a_row_as_a_range() {
    let pool = |ports: &[u16]| {
        let slots = (1..).zip(ports).map(|(n, port)| (format!("web.{n}"), Some(*port)));
        PoolFacts { name: "web".into(), slots: slots.collect() }
    };
    assert_eq!(
        started(&[pool(&[8080, 8081, 8082])]),
        "keeping web.1 to web.3 on ports 8080 to 8082; Ctrl-C stops it"
    );
    let job = PoolFacts { name: "job".into(), slots: vec![("job.1".into(), None)] };
    assert_eq!(
        started(&[pool(&[8080, 9000]), job]),
        "keeping web.1 to web.2 on ports 8080, 9000 and job.1; Ctrl-C stops it"
    );
}

#[test]
fn pools_that_wait_in_vain_are_told_which_slot_failed_and_how() {
    let failed = |failure| FailedSlot { name: "migrate.1".into(), failure };
    let waiting = |waiting: &[&str], failure| {
        let waiting: Vec<_> = waiting.iter().map(|name| (*name).to_owned()).collect();
        waiting_in_vain(&waiting, "migrate", &failed(failure))
    };
    assert_eq!(
        waiting(&["web"], SlotFailure::Exit(Exit::Code(4))),
        "web waits for migrate and is not started: migrate.1 exited 4"
    );
    assert_eq!(
        waiting(&["web", "job"], SlotFailure::Exit(Exit::Signal(9))),
        "web and job wait for migrate and are not started: migrate.1 was killed by SIGKILL"
    );
    let over = RunEvent::EndedWithFailure(failed(SlotFailure::GaveUp));
    assert_eq!(sentence(&over), "nothing is left to keep: migrate.1 gave up");
}

#[test]
fn a_reload_says_what_changes_and_what_does_not() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let changes = Changes {
        added: names(&["job.1"]),
        removed: names(&["old.1", "old.2"]),
        replaced: names(&["web.1", "web.2", "web.3"]),
        again: names(&["migrate.1"]),
        kept: 1,
        ..Changes::default()
    };
    assert_eq!(
        changed(Occasion::Reload, &changes),
        "reload: added job.1; removed old.1 and old.2; \
         replacing web.1 to web.3 one by one; running migrate.1 again; kept 1 worker"
    );
}

#[test]
fn a_reload_says_what_does_not_run_and_what_is_tried_again() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let changes = Changes {
        replaced: names(&["a.1", "b.1"]),
        given_up: names(&["web.1"]),
        backing_off: names(&["api.1"]),
        ended: names(&["job.1"]),
        down: names(&["db.1", "db.2"]),
        ..Changes::default()
    };
    let rest = "api.1 still waits for its next try; job.1 has ended; db.1 and db.2 stay down";
    assert_eq!(
        changed(Occasion::Reload, &changes),
        format!("reload: replacing a.1 and b.1; trying web.1 again; {rest}")
    );
    assert_eq!(
        changed(Occasion::Scale, &changes),
        format!("scale: replacing a.1 and b.1; web.1 stays down: it gave up; {rest}")
    );
    assert_eq!(changed(Occasion::Reload, &Changes::default()), "reload: nothing has changed");
}

#[test]
fn slots_of_several_pools_are_replaced_one_by_one_in_each_pool() {
    let names =
        |names: &[&str]| -> Vec<_> { names.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(one_by_one(&names(&["a.1", "b.1"])), "");
    assert_eq!(one_by_one(&names(&["a.1", "a.2"])), " one by one");
    assert_eq!(one_by_one(&names(&["a.1", "a.2", "b.1"])), " one by one in each pool");
}

#[test]
fn workers_that_delay_a_stop_and_are_not_named_are_counted() {
    let more = MoreDelays { stopping: 995, left: Duration::from_secs(4), killing: 0 };
    assert_eq!(more_delays(more), "and 995 more workers are still stopping; SIGKILL in 4s");
    assert_eq!(
        more_delays(MoreDelays { killing: 1, ..more }),
        "and 1 more worker is still there after SIGKILL, \
         and 995 more workers are still stopping; SIGKILL in 4s"
    );
}

#[test]
fn a_stop_says_by_which_signal_how_many_and_how_long() {
    let mut stop = stop_of(3);
    assert_eq!(
        stopping(Wish::Interrupt, &stop),
        "SIGINT: stopping 3 workers; SIGKILL in 5s, or at once if asked again"
    );
    assert_eq!(
        stopping(Wish::Hangup, &stop),
        "SIGHUP: stopping 3 workers; SIGKILL in 5s, or at once on SIGTERM"
    );
    stop.how = StopKind::Kill;
    assert_eq!(stopping(Wish::Quit, &stop), "SIGQUIT: killing 3 workers");
    assert_eq!(stopping(Wish::ShutdownNow, &stop), "`pm shutdown --now`: killing 3 workers");
    stop.workers = 0;
    assert_eq!(stopping(Wish::Hangup, &stop), "SIGHUP: no worker to stop");
}

fn stop_of(workers: usize) -> Stop {
    Stop {
        reason: StopReason::Asked(Wish::Interrupt),
        how: StopKind::Terminate,
        workers,
        longest_grace: Duration::from_secs(5),
        order: StopOrder::AllAtOnce,
    }
}

#[test]
fn a_pool_that_ends_the_run_is_named_with_its_failure_and_what_is_stopped() {
    let failed = FailedSlot { name: "tests.1".into(), failure: SlotFailure::Exit(Exit::Code(2)) };
    let mut stop = stop_of(3);
    assert_eq!(
        pool_ended("tests", Some(&failed), &stop),
        "tests has ended: tests.1 exited 2; stopping 3 workers; \
         SIGKILL in 5s, or at once on Ctrl-C or SIGTERM"
    );
    let (pool, needed) = ("tests".into(), "db".into());
    stop.how = StopKind::Kill;
    assert_eq!(
        sentence(&RunEvent::PoolBlocked { pool, needed, failed, stop }),
        "tests waits for db and cannot start: tests.1 exited 2; killing 3 workers"
    );
    assert_eq!(pool_ended("tests", None, &stop_of(0)), "tests has ended with success");
}
