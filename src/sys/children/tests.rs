//! Real processes, told apart by what is told of them.

use std::ffi::OsString;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

mod orphans;

use super::*;
use crate::plan::ExecSpec;
use crate::supervisor::{Exit, Remains, SlotId};
use crate::sys::{OwnProcess, Texts};

/// All of them see the orphans of this process, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn launch(argv: &[&str]) -> Launch {
    let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
    let env = vec![("PATH".into(), "/bin:/usr/bin".into())];
    Launch::new(&ExecSpec { argv, env, ..ExecSpec::default() }, &[], [], &mut Texts::default())
}

fn worker(generation: u64) -> WorkerId {
    WorkerId { slot: SlotId(0), generation }
}

fn given() -> Inheritance<'static> {
    let open_files = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    let own = OwnProcess { open_files, file_locks: libc::RLIM_INFINITY };
    let (stdin, output, cgroup) = (None, None, None);
    Inheritance { stdin, output, own, altered_signals: &[], cgroup, socket: None }
}

fn spawn(children: &mut Children, generation: u64, argv: &[&str]) {
    children.spawn(worker(generation), &launch(argv), StopSpec::default(), given()).unwrap();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

fn next(children: &mut Children) -> ChildEvent {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match children.next_event() {
            Some(event) => return event,
            None => assert!(Instant::now() < until, "nothing is told"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_child_that_cannot_exec_is_told_once_and_is_gone() {
    let _alone = alone();
    let mut children = Children::open().unwrap();
    spawn(&mut children, 1, &["/dev/null"]);
    assert!(!children.has_execd(worker(1)), "it is not reaped yet");
    assert!(
        matches!(next(&mut children), ChildEvent::NotExecd { worker, .. } if worker == self::worker(1))
    );
    assert!(children.next_event().is_none());
    assert_eq!(children.pid(worker(1)), None);
    let mut left = Vec::new();
    ChildList::open().for_each(|pid| left.push(pid));
    assert_eq!(left, [], "no worker can adopt it");
}

#[test]
fn that_a_worker_has_execd_is_told_before_its_exit_however_short_its_life_is() {
    let _alone = alone();
    let mut children = Children::open().unwrap();
    for generation in 1..=50 {
        spawn(&mut children, generation, &["true"]);
        let expected = worker(generation);
        assert!(matches!(next(&mut children), ChildEvent::Execd(worker) if worker == expected));
        let ended = next(&mut children);
        let ChildEvent::Exited { worker, exit: Exit::Code(0), remains: Remains::Nothing, .. } =
            ended
        else {
            panic!("{ended:?}");
        };
        assert_eq!(worker, expected);
    }
}

#[test]
fn the_number_of_a_group_is_not_used_once_nothing_is_left_of_the_group() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let _alone = alone();
    let mut children = Children::open().unwrap();
    // The orphan has a session of its own when its parent ends.
    let script = "setsid sleep 1000 & \
                  until [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $! ]; do :; done; exit 0";
    spawn(&mut children, 1, &["sh", "-c", script]);
    let pid = children.pid(worker(1)).unwrap();
    assert!(matches!(next(&mut children), ChildEvent::Execd(_)));
    let ended = next(&mut children);
    assert!(matches!(ended, ChildEvent::Exited { remains: Remains::Members, .. }), "{ended:?}");
    assert!(!children.leaders.contains_key(&pid), "the kernel may give it to another process");
    assert!(!children.group(worker(1)).unwrap().has_members());
    let until = Instant::now() + Duration::from_secs(20);
    while children.take_emptied() != [worker(1)] {
        assert!(Instant::now() < until, "the orphan is killed and reaped");
        children.begin_wakeup();
        drop(children.next_event());
    }
}

#[test]
fn the_workers_that_have_execd_can_be_taken_at_once() {
    let _alone = alone();
    let mut children = Children::open().unwrap();
    spawn(&mut children, 91, &["sleep", "1000"]);
    until("it has exec'd", || children.take_execd() == [worker(91)]);
    assert!(children.has_execd(worker(91)));
    assert!(!children.has_news(), "it is told once");
    children.kill(worker(91));
    assert!(matches!(next(&mut children), ChildEvent::Exited { .. }));
}

#[test]
fn a_reactor_that_fails_leaves_no_worker() {
    let _alone = alone();
    let mut children = Children::open().unwrap();
    spawn(&mut children, 92, &["sleep", "1000"]);
    let pid = children.pid(worker(92)).unwrap();
    drop(children);
    until("it is killed", || wait::is_dead(pid));
    assert!(matches!(wait::reap_dead(pid), Ok(Some((Exit::Signal(9), _)))));
}
