//! What pm prints first, with workers and without.

use std::process::Command;

use crate::support::pool::Pool;
use crate::support::programs::{pm_binary, worker};

#[test]
fn an_empty_folder_has_nothing_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(pm_binary()).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("pm: nothing to run in "), "{text}");
    assert!(text.contains("`pm run --ports 8080-8082 -- ./server {port}`"), "{text}");
}

#[test]
fn help_and_version_exit_0() {
    for (argument, text) in [("--help", "Usage: pm"), ("--version", "pm ")] {
        let output = Command::new(pm_binary()).arg(argument).output().unwrap();
        assert!(output.status.success(), "{argument}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(text), "{argument}");
    }
}

#[test]
fn the_first_message_names_the_slots_the_ports_and_ctrl_c() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    let line = pm.says.wait_for("keeping");
    let (first, last) = (pm.slot(1), pm.slot(3));
    assert!(line.contains(&format!("keeping {first} to {last} on ports ")), "{line}");
    assert!(line.ends_with("; Ctrl-C stops it"), "{line}");
    assert_eq!(pm.says.all()[0], line);
    pm.stop();
}
