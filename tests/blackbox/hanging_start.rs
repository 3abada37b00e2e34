//! Starts that hang in the kernel: only the slot of such a worker waits.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::hanging_mount::HangingMount;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{children_of, name, send};
use crate::support::run_mode::skip;
use crate::support::waiting::{DEADLINE, eventually};

const GRACE: &str = "\nstop = { grace = \"300ms\" }\n";

fn beside_a_working_pool(folder: &TempDir, hanging: &str) -> Pm {
    let works = "[pool.POOL-web]\ncommand = \"exec WORKER listen {port} stay\"\nports = \"PORT1\"";
    let text = format!("{works}{GRACE}[pool.POOL-hung]\n{hanging}\nworkers = 2{GRACE}");
    Pool::of_file(folder.path(), "pm.toml", 1, &text).start()
}

/// A child that has not exec'd still has the name of the thread that has made it.
fn has_execd(child: Pid) -> bool {
    name(child).as_deref() != Some("pm-reactor")
}

/// Other slots are replaced, and a stop ends all.
fn only_its_own_slots_wait(pm: Pm) {
    for generation in 1..=3 {
        send(Signal::SIGKILL, pm.wait_slot_ready("-web.1", generation));
    }
    pm.wait_slot_ready("-web.1", 4);
    assert_eq!(pm.says.with("-hung.1 is ready"), [""; 0]);
    let asked = Instant::now();
    pm.stop();
    let lasted = asked.elapsed();
    assert!(lasted < Duration::from_secs(5), "{lasted:?}");
}

#[test]
fn a_folder_that_hangs_holds_up_only_its_own_slots() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let folder = hangs.folder().display();
    let pm =
        beside_a_working_pool(&own, &format!("command = \"exec sleep 1000\"\ncwd = \"{folder}\""));
    let line = pm.says.wait_for("-hung.2 has not started yet");
    assert!(line.contains(&format!("to enter its folder {folder}")), "{line}");
    only_its_own_slots_wait(pm);
}

#[test]
fn a_hundred_starts_that_hang_do_not_add_up() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let text = format!(
        "[pool.POOL-hung]\ncommand = \"exec sleep 1000\"\ncwd = {:?}\nworkers = 100{GRACE}\
         [pool.POOL-web]\ncommand = \"exec WORKER stay\"\nready = {{ after = \"0s\" }}\n",
        hangs.folder()
    );
    let begun = Instant::now();
    let pm = Pool::of_file(own.path(), "pm.toml", 0, &text).start();
    let _ = pm.wait_slot_ready("-web.1", 1);
    let lasted = begun.elapsed();
    assert!(lasted < Duration::from_secs(4), "{lasted:?}");
    pm.stop();
}

#[test]
fn a_program_that_hangs_holds_up_only_its_own_slots() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let program = hangs.folder().join("serve");
    let pm = beside_a_working_pool(&own, &format!("command = [{program:?}]"));
    let line = pm.says.wait_for("-hung.1 has not started yet");
    assert!(line.contains(&format!("to read its program {}", program.display())), "{line}");
    only_its_own_slots_wait(pm);
}

#[test]
fn a_folder_that_hangs_for_another_user_holds_up_only_its_own_slots() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root may change the user");
    }
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let folder = hangs.folder().display();
    let pm = beside_a_working_pool(
        &own,
        &format!("command = \"exec sleep 1000\"\nuser = \"nobody\"\ncwd = \"{folder}\""),
    );
    pm.says.wait_for("-hung.2 has not started yet");
    only_its_own_slots_wait(pm);
}

#[test]
fn a_folder_on_path_that_hangs_holds_up_only_its_own_slots() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let folder = hangs.folder().display();
    let pm = beside_a_working_pool(&own, &format!("command = [\"serve\"]\npath = [\"{folder}\"]"));
    pm.says.wait_for("-hung.1 has not started yet");
    only_its_own_slots_wait(pm);
}

#[test]
fn a_start_that_hangs_goes_on_when_the_file_system_answers_at_last() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let folder = hangs.folder().display();
    let pm =
        beside_a_working_pool(&own, &format!("command = \"exec sleep 1000\"\ncwd = \"{folder}\""));
    pm.says.wait_for("-hung.1 has not started yet");
    // What waits gets an error now, and what comes later finds an empty folder.
    drop(hangs);
    pm.says.wait_for("-hung.1 cannot start: cannot change to its folder");
    eventually("the other pool goes on", || {
        (!pm.says.with("-web.1 is ready").is_empty()).then_some(())
    });
    pm.stop();
}

#[test]
fn a_worker_that_is_killed_before_its_exec_is_a_failed_start() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let folder = hangs.folder();
    for hanging in [
        format!("command = 'exec sleep 1000'\ncwd = {folder:?}"),
        format!("command = [{:?}]", folder.join("serve")),
    ] {
        let own = tempfile::tempdir().unwrap();
        let text = format!("[pool.POOL]\n{hanging}\nready = {{ after = '0s' }}{GRACE}");
        let pm = Pool::of_file(own.path(), "pm.toml", 0, &text).start();
        let reactor = pm.reactor();
        let mut killed = Vec::new();
        for generation in 1..=3 {
            let child = eventually("the next one is on its way", || {
                let on_its_way = |pid: &Pid| !killed.contains(pid) && !has_execd(*pid);
                children_of(reactor).into_iter().find(on_its_way)
            });
            killed.push(child);
            // pm does not wait for its exec any more.
            pm.says.wait_for_many(generation, "has not started yet");
            send(Signal::SIGKILL, child);
            pm.says.wait_for_many(generation, "was killed by SIGKILL");
        }
        // The first one is tried again at once.
        let line = pm.says.wait_for("next try in 2");
        assert!(line.contains("before it was ready"), "{line}");
        assert_eq!(pm.says.with(" is ready"), [""; 0]);
        pm.stop();
    }
}

#[test]
fn a_start_that_hangs_does_not_take_the_grace_to_stop() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let own = tempfile::tempdir().unwrap();
    let folder = hangs.folder().display();
    let text = format!(
        "[pool.POOL]\ncommand = \"exec sleep 1000\"\ncwd = \"{folder}\"\nworkers = 2\n\
         stop = {{ grace = \"60s\" }}\n"
    );
    let pm = Pool::of_file(own.path(), "pm.toml", 0, &text).start();
    pm.says.wait_for(".1 has not started yet");
    // Long before the grace is over.
    pm.stop();
}

#[test]
fn a_worker_that_is_stopped_on_its_way_to_exec_does_not_stop_pm() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text =
        "[pool.POOL]\ncommand = ['WORKER', 'exit', '1']\nworkers = 10\nready = { after = '0s' }\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for("keeping");
    let reactor = pm.reactor();
    let threads = std::fs::read_dir(format!("/proc/{reactor}/task")).unwrap();
    let open = |thread: std::fs::DirEntry| File::open(thread.path().join("children")).unwrap();
    let lists: Vec<_> = threads.map(|thread| open(thread.unwrap())).collect();
    // A look at all processes would take longer than a start.
    let children = || {
        let mut text = [0; 4096];
        let read = |list: &File| {
            let count = list.read_at(&mut text, 0).unwrap();
            String::from_utf8_lossy(&text[..count]).into_owned()
        };
        let pids = lists.iter().map(read).collect::<String>();
        pids.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect::<Vec<_>>()
    };
    for _ in 0..20 {
        for _ in 0..1_000 {
            children().into_iter().for_each(|child| {
                let _ = kill(child, Signal::SIGSTOP);
            });
        }
        let mut client = Api::at(&socket).connect();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"GET /v1/status HTTP/1.0\r\n\r\n").unwrap();
        let mut start = [0; 12];
        client.read_exact(&mut start).expect("pm does not stop");
        assert_eq!(&start[9..], b"200");
        for child in children() {
            let signal = if has_execd(child) { Signal::SIGKILL } else { Signal::SIGCONT };
            let _ = kill(child, signal);
        }
    }
    pm.stop();
}
