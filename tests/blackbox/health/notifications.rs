//! Whose notifications count: those of the worker and its descendants, and of no other process.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use procfs::process::Process;

use super::{folder, portless};
use crate::support::pool::Pool;
use crate::support::waiting::for_as_long_as;

#[test]
fn a_descendant_that_has_left_the_group_can_notify_for_its_worker() {
    let folder = folder();
    let orders = "child setsid+notify+READY=1+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn a_process_that_is_not_of_the_worker_cannot_notify_for_it() {
    let folder = folder();
    let pm = portless(&folder, "stay", "ready = { notify = true }");
    let worker = pm.wait_members(1)[0].pid;
    let environment = Process::new(worker.as_raw()).unwrap().environ().unwrap();
    let name = environment[OsStr::new("NOTIFY_SOCKET")].to_str().unwrap();
    let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"READY=1", &address).unwrap();
    pm.says.wait_for("which is not a process of it");
    assert_eq!(pm.says.with("is ready"), [""; 0]);
    pm.stop();
}

#[test]
fn a_member_of_the_group_can_notify_but_cannot_name_another_main_pid() {
    let folder = folder();
    let orders = "child notify+READY=1,MAINPID=1,MAINPID=2+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.wait_slot_ready(".1", 1);
    pm.says.wait_for("ignored MAINPID=1");
    assert_eq!(pm.says.with("MAINPID").len(), 1, "it is said once");
    pm.stop();
}

#[test]
fn a_notification_of_an_old_worker_does_not_make_the_next_one_ready() {
    let folder = folder();
    let once =
        "test -e said || {{ touch said; exec WORKER notify READY=1 exit 1; }}; exec WORKER stay";
    let text = format!(
        "[pool.POOL]\ncommand = \"{once}\"\nready = {{ notify = true }}\nbackoff = {{ first = '10s' }}\n"
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    // Its message and its end may arrive in either order.
    pm.says.wait_for("exited 1");
    pm.wait_members(1);
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("generation 2)"), [""; 0]);
    });
    pm.stop();
}
