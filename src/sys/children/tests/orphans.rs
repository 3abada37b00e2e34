//! Whose an orphan is, and what it is sent.

use super::*;

/// A folder in which a script and a test tell each other where they are.
struct Signs(tempfile::TempDir);

impl Signs {
    fn new() -> Self {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        Self(tempfile::tempdir().unwrap())
    }

    fn set(&self, sign: &str) {
        std::fs::write(self.0.path().join(sign), "").unwrap();
    }

    fn wait_for(&self, sign: &str) {
        let path = self.0.path().join(sign);
        until(sign, || path.exists());
    }

    fn launch(&self, script: &str) -> Launch {
        launch(&["sh", "-c", &format!("cd {}; {script}", self.0.path().display())])
    }
}

fn start(children: &mut Children, generation: u64, stop: StopSpec, launch: &Launch) {
    children.spawn(worker(generation), launch, stop, given()).unwrap();
    assert!(matches!(next(children), ChildEvent::Execd(_)));
}

/// Waits until this owner has an orphan.
fn wait_orphan(children: &mut Children, owner: Owner) -> Pid {
    let mut found = None;
    until("an orphan", || {
        children.begin_wakeup();
        children.adopt();
        found = children.groups[&owner].orphans.first().copied();
        found.is_some()
    });
    found.unwrap()
}

fn wait_over(children: &mut Children, generation: u64) {
    until("nothing is left of it", || {
        children.begin_wakeup();
        drop(children.next_event());
        children.take_emptied();
        children.pid(worker(generation)).is_none()
    });
}

fn kill(children: &mut Children, generation: u64) {
    children.kill(worker(generation));
    wait_over(children, generation);
}

const LEADER: StopSpec = StopSpec { signal: libc::SIGTERM, to: StopTarget::Leader };
const STAYS: &str = "while :; do sleep 0.01; done";

/// It says that it was asked to stop, and does not bear to be asked twice. It tells by SIGUSR1 that it lives.
const ONCE: &str = "trap 'trap - TERM; touch asked' TERM; trap 'touch alive' USR1; touch up; \
                    while :; do sleep 0.01; done";

#[test]
fn probes_are_told_apart_and_nothing_is_kept_of_them() {
    let _alone = alone();
    let mut children = Children::open().unwrap();
    let probes =
        [(); 2].map(|()| children.probe(worker(101), &launch(&["true"]), given()).unwrap());
    assert_ne!(probes[0], probes[1]);
    let mut ended = [(); 2].map(|()| match next(&mut children) {
        ChildEvent::ProbeExited { probe, exit: Exit::Code(0) } => probe,
        other => panic!("{other:?}"),
    });
    ended.sort();
    assert_eq!(ended, probes);
    assert!(children.groups.is_empty() && children.leaders.is_empty());
}

#[test]
fn an_orphan_of_a_probe_lives_as_long_as_the_probe() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script = "(setsid sleep 1000 &); until [ -e go ]; do sleep 0.01; done";
    let probe = children.probe(worker(111), &signs.launch(script), given()).unwrap();
    let orphan = wait_orphan(&mut children, Owner::Probe(probe));
    signs.set("go");
    until("the probe has ended", || {
        matches!(children.next_event(), Some(ChildEvent::ProbeExited { .. }))
    });
    until("its orphan has ended", || {
        children.begin_wakeup();
        drop(children.next_event());
        nix::sys::signal::kill(orphan, None) == Err(Errno::ESRCH)
    });
}

#[test]
fn an_orphan_that_has_thrown_its_tag_away_is_known_by_its_group() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script =
        format!("(env -i prlimit --locks=unlimited sh -c 'touch up; exec sleep 1000' &); {STAYS}");
    start(&mut children, 121, StopSpec::default(), &signs.launch(&script));
    signs.wait_for("up");
    let orphan = wait_orphan(&mut children, Owner::Worker(worker(121)));
    assert_eq!(WorkerTag::of(orphan), None);
    kill(&mut children, 121);
}

#[test]
fn an_orphan_outside_the_group_is_a_member_of_its_worker_and_dies_with_it() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script = "(setsid sh -c 'touch up; exec sleep 1000' &); \
                  until [ -e go ]; do sleep 0.01; done; exit 1";
    start(&mut children, 131, StopSpec::default(), &signs.launch(script));
    signs.wait_for("up");
    let orphan = wait_orphan(&mut children, Owner::Worker(worker(131)));
    let members = children.find_members(&[worker(131)]);
    assert!(members[0].iter().any(|member| member.pid == orphan), "{members:?}");
    signs.set("go");
    until("its leader has ended", || {
        matches!(children.next_event(), Some(ChildEvent::Exited { .. }))
    });
    wait_over(&mut children, 131);
}

#[test]
fn an_orphan_in_the_group_is_asked_to_stop_once() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let leader = "trap 'until [ -e asked ]; do :; done; exit' TERM";
    let script = format!("sh -c \"{ONCE}\" & {leader}; touch ready; {STAYS}");
    start(&mut children, 141, StopSpec::default(), &signs.launch(&script));
    signs.wait_for("up");
    signs.wait_for("ready");
    children.terminate(worker(141));
    let ended = next(&mut children);
    assert!(matches!(ended, ChildEvent::Exited { remains: Remains::Members, .. }), "{ended:?}");
    children.signal(worker(141), libc::SIGUSR1);
    signs.wait_for("alive");
    kill(&mut children, 141);
}

#[test]
fn an_orphan_outside_the_group_is_asked_to_stop_once() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script = format!("trap : TERM USR1; (setsid sh -c \"{ONCE}\" &); touch ready; {STAYS}");
    start(&mut children, 151, StopSpec::default(), &signs.launch(&script));
    signs.wait_for("up");
    signs.wait_for("ready");
    wait_orphan(&mut children, Owner::Worker(worker(151)));
    children.terminate(worker(151));
    signs.wait_for("asked");
    children.begin_wakeup();
    children.adopt();
    children.signal(worker(151), libc::SIGUSR1);
    signs.wait_for("alive");
    kill(&mut children, 151);
}

#[test]
fn an_orphan_is_not_sent_what_is_for_the_leader_alone() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let orphan = format!("setsid sh -c \"trap 'touch alive' USR1; touch up; {STAYS}\" &");
    let script = format!(
        "trap : TERM USR1; touch ready; until [ -e go ]; do sleep 0.01; done; ({orphan}); {STAYS}"
    );
    start(&mut children, 161, LEADER, &signs.launch(&script));
    signs.wait_for("ready");
    children.terminate(worker(161));
    signs.set("go");
    signs.wait_for("up");
    wait_orphan(&mut children, Owner::Worker(worker(161)));
    children.signal(worker(161), libc::SIGUSR1);
    signs.wait_for("alive");
    kill(&mut children, 161);
}

#[test]
fn without_a_leader_a_stop_of_the_leader_is_for_its_group() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let member = format!("trap 'n=x$n; touch asked$n' TERM; touch up; {STAYS}");
    let script = format!("sh -c \"{member}\" & {STAYS}").replace('$', "\\$");
    start(&mut children, 171, LEADER, &signs.launch(&script));
    signs.wait_for("up");
    children.terminate(worker(171));
    let ended = next(&mut children);
    assert!(matches!(ended, ChildEvent::Exited { remains: Remains::Members, .. }), "{ended:?}");
    signs.wait_for("askedx");
    assert!(children.group(worker(171)).unwrap().has_members());
    children.set_stop(worker(171), LEADER);
    children.terminate(worker(171));
    signs.wait_for("askedxx");
    kill(&mut children, 171);
}

#[test]
fn what_a_pm_below_a_worker_has_started_can_arrive_before_that_pm() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script = "sleep 1000 & echo $! > maker; touch ready; until [ -s mark ]; do sleep 0.01; done; \
                  (setsid prlimit --locks=$(cat mark): sh -c 'touch up; exec sleep 1000' &); wait";
    start(&mut children, 181, StopSpec::default(), &signs.launch(script));
    signs.wait_for("ready");
    let maker = std::fs::read_to_string(signs.0.path().join("maker")).unwrap();
    let maker = Pid::from_raw(maker.trim().parse().unwrap());
    let tag = WorkerTag { pm: maker, worker: worker(1), probe: None };
    let (_, limit) = tag.limit(libc::RLIM_INFINITY).unwrap();
    std::fs::write(signs.0.path().join("mark"), limit.rlim_cur.to_string()).unwrap();
    signs.wait_for("up");
    let orphan = wait_orphan(&mut children, Owner::Worker(worker(181)));
    assert_eq!(WorkerTag::of(orphan), Some(tag), "it is not known by a tag of this pm");
    kill(&mut children, 181);
}

#[test]
fn a_worker_that_has_execd_is_sent_a_signal_that_dumps_core() {
    let _alone = alone();
    let signs = Signs::new();
    let mut children = Children::open().unwrap();
    let script = format!("trap 'touch dumped' ABRT; touch up; {STAYS}");
    start(&mut children, 191, StopSpec::default(), &signs.launch(&script));
    signs.wait_for("up");
    children.signal(worker(191), libc::SIGABRT);
    signs.wait_for("dumped");
    assert!(children.maybe_empty.is_empty(), "it is not meant to end");
    children.signal(worker(191), libc::SIGKILL);
    assert!(children.maybe_empty.contains(&worker(191)), "all of it may be gone");
    wait_over(&mut children, 191);
}
