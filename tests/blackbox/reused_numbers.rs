//! The kernel gives the number of a dead process, or of a process group without members, to another process: that one
//! is not taken for it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal::{SIGKILL, SIGQUIT, SIGTERM, SIGUSR1};
use nix::unistd::{Pid, getpgid};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send, state};
use crate::support::programs::{shell, worker, worker_text};
use crate::support::run_mode::skip;
use crate::support::waiting::eventually;

/// The number that the kernel has given last. Whoever may write it chooses the next one (proc(5)).
const LAST: &str = "/proc/sys/kernel/ns_last_pid";

/// Set for a test that runs in a pid namespace of its own.
const INSIDE: &str = "PM_TEST_INSIDE";

/// Carries out the test that calls this in a pid namespace of its own, so that no number of another test is chosen.
#[track_caller]
fn in_a_namespace<Test: FnOnce()>(test: Test) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let mut tried = namespace();
    tried.args(["sh", "-c", &format!("echo $(cat {LAST}) > {LAST}")]);
    if !tried.output().is_ok_and(|tried| tried.status.success()) {
        return skip("only root may make a pid namespace and choose numbers in it");
    }
    // `blackbox::reused_numbers::NAME::{{closure}}`
    let path: Vec<_> = std::any::type_name::<Test>().split("::").collect();
    let name = path[1..path.len() - 1].join("::");
    let inside = namespace()
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("the test inside");
    let said =
        [inside.stdout, inside.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(inside.status.success() && said[0].contains("1 passed"), "{}", said.concat());
}

/// A command that runs in a pid namespace of its own, once its program and arguments are added.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).stdin(Stdio::null());
    command
}

/// The next process is given this number, unless another comes first or the number is in use.
fn choose_next(number: Pid) {
    fs::write(LAST, (number.as_raw() - 1).to_string()).expect("root may write it");
}

/// A process that is no worker's, and leads a group of its own.
struct Stranger(Child);

impl Stranger {
    fn with_number(number: Pid) -> Self {
        eventually("it has the number", || {
            choose_next(number);
            let mut command = Command::new("sleep");
            command.arg("1000").stdin(Stdio::null()).process_group(0);
            let stranger = Self(command.spawn().expect("a process"));
            (stranger.pid() == number).then_some(stranger)
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("a pid"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It is not reaped yet, so its number is still its own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The worker leaves a member of its group behind when it is terminated.
const LEAVES_ONE: &str = "child ignore+TERM+return+USR1+introduce+stay stay";

/// The last member of the group of a dead leader leaves it, and pm is not told.
fn leave(number: Pid, member: Pid) {
    eventually("the leader is reaped", || state(number).is_none().then_some(()));
    assert_eq!(getpgid(Some(member)), Ok(number));
    send(SIGUSR1, member);
    let has_left = || (getpgid(Some(member)) == Ok(member)).then_some(());
    eventually("the member has left the group", has_left);
}

/// A pm in the grace of a worker whose last process has left its group, and the number of that group.
fn with_a_group_that_is_left() -> (Pm, Pid) {
    let pm = Pool::of(worker(LEAVES_ONE)).of_size(1).option("--grace", "1h").start();
    let member = pm.wait_introduced(1);
    let number = getpgid(Some(member)).unwrap();
    pm.signal(SIGTERM);
    leave(number, member);
    (pm, number)
}

#[test]
fn a_process_that_has_the_number_of_a_former_group_is_neither_killed_nor_waited_for() {
    in_a_namespace(|| {
        let (pm, number) = with_a_group_that_is_left();
        let stranger = Stranger::with_number(number);
        pm.signal(SIGQUIT);
        pm.wait_stopped();
        assert!(is_alive(stranger.pid()));
    });
}

#[test]
fn a_process_in_a_group_with_the_number_of_a_former_one_is_neither_killed_nor_waited_for() {
    in_a_namespace(|| {
        let (pm, number) = with_a_group_that_is_left();
        let leader = Stranger::with_number(number);
        let mut other = Command::new("sleep");
        other.arg("1000").stdin(Stdio::null()).process_group(number.as_raw());
        let other = Stranger(other.spawn().expect("a process"));
        drop(leader);
        assert_eq!(getpgid(Some(other.pid())), Ok(number));
        pm.signal(SIGQUIT);
        pm.wait_stopped();
        assert!(is_alive(other.pid()));
    });
}

/// A pm that has stopped the slot `POOL-o.1`, of which a process outside of its group is left.
struct Run {
    _folder: TempDir,
    pm: Pm,
    api: Api,
    /// The number of its group.
    former: Pid,
}

impl Run {
    /// The pool `POOL-f` has one worker, which this command starts.
    fn beside(f: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join(".pm.sock");
        let pool = |name: &str, command: &str| {
            format!(
                "[pool.POOL-{name}]\ncommand = '''{command}'''\nworkers = 1\n\
                 ready = {{ after = '0s' }}\nstop = {{ grace = '1h' }}\n"
            )
        };
        let text = pool("o", &worker_text(LEAVES_ONE)) + &pool("f", f);
        let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text);
        let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
        let former = pm.wait_slot_ready("-o.1", 1);
        let run = Self { _folder: folder, api: Api::at(&socket), former, pm };
        let member = run.pm.wait_introduced(1);
        run.stop_former(json!({ "wait": "nothing" }));
        leave(former, member);
        run
    }

    fn stop_former(&self, mut how: Value) {
        how["slots"] = json!([format!("{}-o.1", self.pm.name)]);
        assert_eq!(self.api.post("/v1/stop", &how).status, 200);
    }
}

/// Waits until a worker of the slot `POOL-f.1` has this number. Returns its generation.
fn restart_until_it_has(number: Pid, pm: &Pm) -> u64 {
    for generation in 1..200 {
        let leader = pm.wait_slot_ready("-f.1", generation);
        if leader == number {
            return generation;
        }
        choose_next(number);
        send(SIGKILL, leader);
    }
    panic!("other processes were given {number} each time");
}

#[test]
fn a_worker_that_has_the_number_of_a_former_one_lives_on_and_is_kept() {
    in_a_namespace(|| {
        let run = Run::beside(&worker_text("stay"));
        let generation = restart_until_it_has(run.former, &run.pm);
        run.stop_former(json!({ "now": true }));
        assert!(is_alive(run.former), "the worker of the other slot");
        send(SIGKILL, run.former);
        run.pm.wait_slot_ready("-f.1", generation + 1);
        run.pm.stop();
    });
}

/// A command that waits for a number, and leaves an orphan with it, which pm adopts.
struct Maker {
    _folder: TempDir,
    number: PathBuf,
}

impl Maker {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { number: folder.path().join("number"), _folder: folder }
    }

    fn script(&self) -> String {
        format!(
            "until [ -s {0} ]; do sleep 0.01; done; n=$(cat {0}); \
             (while [ \"$orphan\" != $n ]; do kill -9 $orphan; echo $((n - 1)) > {LAST}; \
             sleep 1000 & orphan=$!; done 2> /dev/null; echo adopted); exec sleep 1000",
            self.number.display()
        )
    }

    fn make(&self, number: Pid, pm: &Pm) {
        let new = self.number.with_extension("new");
        fs::write(&new, number.to_string()).unwrap();
        fs::rename(new, &self.number).unwrap();
        pm.prints.wait_for("adopted");
    }
}

#[test]
fn an_orphan_that_has_the_number_of_a_former_group_is_reaped() {
    in_a_namespace(|| {
        let maker = Maker::new();
        let run = Run::beside(&maker.script());
        maker.make(run.former, &run.pm);
        send(SIGKILL, run.former);
        eventually("it is reaped", || state(run.former).is_none().then_some(()));
        run.stop_former(json!({ "now": true }));
        run.pm.stop();
    });
}

#[test]
fn what_has_the_number_of_a_child_from_before_pm_does_not_outlive_pm() {
    in_a_namespace(|| {
        let maker = Maker::new();
        let pool = Pool::of(shell(&maker.script())).of_size(1);
        let pool = pool.after("sleep 1000 < /dev/null > /dev/null 2>&1 & echo child $!");
        let mut pm = pool.start();
        let said = pm.prints.wait_for("child ");
        let child = Pid::from_raw(said.split_once("child ").unwrap().1.parse().unwrap());
        // The guard is there.
        pm.says.wait_for("keeping");
        send(SIGKILL, child);
        eventually("it is reaped", || state(child).is_none().then_some(()));
        maker.make(child, &pm);
        send(SIGKILL, pm.reactor());
        pm.wait_end();
        assert!(!is_alive(child), "it is not that child");
    });
}
