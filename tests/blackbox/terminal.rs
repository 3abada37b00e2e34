//! pm's terminal belongs to pm: no worker takes the keyboard from it.

use crate::support::pool::Pool;
use crate::support::processes::status;
use crate::support::programs::worker;
use crate::support::terminal::Terminal;

use procfs::process::Process;

#[test]
fn no_worker_takes_the_keyboard() {
    let terminal = Terminal::open();
    let orders = format!(
        "ignore TTOU keyboard /dev/tty keyboard {name} setsid+keyboard+{name} listen {{port}} stay",
        name = terminal.name()
    );
    let orders = orders.replace("setsid+", "child setsid+");
    let mut pm = Pool::of(worker(&orders)).on_ports(1).in_terminal(&terminal).start();
    let worker = pm.wait_ready(1, 1);
    pm.prints.wait_for_many(3, "keyboard: ");
    assert_eq!(pm.prints.with("keyboard taken"), [""; 0]);
    let stat = |pid: nix::unistd::Pid| Process::new(pid.as_raw()).and_then(|one| one.stat());
    let guard = stat(pm.pid()).expect("a guard");
    assert_eq!(guard.tpgid, guard.pgrp, "pm has the keyboard");
    assert_eq!(stat(worker).expect("a worker").tty_nr, 0, "{}", status(worker, "Name"));
    terminal.type_keys("\x03");
    pm.wait_exit(0);
    pm.says.wait_for("SIGINT: stopping 1 worker");
}
