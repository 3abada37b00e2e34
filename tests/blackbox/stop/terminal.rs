//! A stop from the terminal: its keys, its end, and its modes.

use nix::sys::signal::Signal;
use nix::sys::termios::LocalFlags;

use super::three;
use crate::support::pool::Pool;
use crate::support::processes::state;
use crate::support::programs::worker;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

#[test]
fn ctrl_c_in_a_terminal_stops_all_workers_and_keeps_the_terminal_modes() {
    let terminal = Terminal::open();
    let mut modes = terminal.modes();
    // Different from what a shell sets, so that a reset to the default would be seen.
    modes.0.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHOE);
    modes.0.local_flags.insert(LocalFlags::TOSTOP);
    terminal.set_modes(&modes);
    let before = terminal.modes();
    let mut pm = three().in_terminal(&terminal).start();
    pm.wait_all_ready(3);
    assert_eq!(terminal.modes(), before);
    terminal.type_keys("\x03");
    pm.wait_exit(0);
    pm.says.wait_for("SIGINT: stopping 3 workers");
    pm.says.wait_for("all workers stopped after");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    let terminal = Terminal::open();
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "1h").in_terminal(&terminal).start();
    pm.wait_all_ready(2);
    pm.wait_members(4);
    terminal.type_keys("\x03");
    pm.says.wait_for("SIGINT: stopping 2 workers; SIGKILL in 1h, or at once if asked again");
    eventually("pm kills after another signal", || {
        terminal.type_keys("\x03");
        // A Ctrl-C discards what the terminal has not shown yet (termios(3), NOFLSH), and this may be that line.
        (pm.has_ended() || !pm.says.with("SIGINT: killing 2 workers").is_empty()).then_some(())
    });
    pm.wait_exit(0);
}

#[test]
fn a_closed_terminal_stops_all_workers() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    pm.wait_all_ready(3);
    drop(terminal);
    pm.wait_exit(0);
}

#[test]
fn ctrl_z_suspends_pm_and_its_workers_and_sigcont_continues_them() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    let workers = pm.wait_all_ready(3);
    // The guard leads the session here, so no shell waits for it to stop, and it stays awake.
    let all: Vec<_> = workers.into_iter().chain([pm.reactor()]).collect();
    let are = |wanted: &[char]| {
        all.iter().all(|pid| state(*pid).is_some_and(|state| wanted.contains(&state))).then_some(())
    };
    terminal.type_keys("\x1a");
    eventually("everything is stopped", || are(&['T']));
    pm.signal(Signal::SIGCONT);
    eventually("everything goes on", || are(&['S', 'R']));
    terminal.type_keys("\x03");
    pm.wait_exit(0);
}
