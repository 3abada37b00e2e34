//! Two pms that are started in one instant at one socket.

use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::thread;

use nix::sys::signal::{Signal, kill};

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::end_all_of;
use crate::support::programs::worker;
use crate::support::run_mode::size;
use crate::support::waiting::eventually;

#[test]
fn of_two_pms_that_start_at_once_one_runs_and_the_other_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    for round in 0..size("PM_STARTS", 50, 1_000) {
        let barrier = Barrier::new(2);
        let start = || {
            let pool = Pool::of(worker("stay")).of_size(1);
            let pool = pool.with("PM_SOCKET", socket.to_str().unwrap());
            barrier.wait();
            pool.start()
        };
        let mut both = thread::scope(|scope| {
            [scope.spawn(start), scope.spawn(start)].map(|one| one.join().unwrap())
        });
        let loser = eventually("one of them ends", || both.iter_mut().position(Pm::has_ended));
        let [first, second] = both;
        let (mut loser, winner) = if loser == 0 { (first, second) } else { (second, first) };
        winner.says.wait_for("keeping");
        let named = loser.says.wait_for("listens on it");
        let is_named = |pid| named.contains(&format!("pid {pid} listens"));
        assert!(is_named(winner.reactor()), "round {round}: {named}");
        assert!(!loser.wait_end().success(), "round {round}");
        assert_eq!(loser.members(), [], "round {round}: it has started no worker");
        if round % 2 == 0 {
            crash(winner);
            // The next one replaces what it has left.
            assert!(socket.exists(), "round {round}");
            eventually("the kernel has closed it", || {
                UnixStream::connect(&socket).is_err().then_some(())
            });
        } else {
            winner.stop();
            assert!(!socket.exists(), "round {round}");
        }
    }
}

/// Kills both processes of this pm.
fn crash(mut pm: Pm) {
    let (guard, reactor) = (pm.pid(), pm.reactor());
    // The guard is stopped first, so that it cannot act on the end of the reactor.
    for (signal, pid) in
        [(Signal::SIGSTOP, guard), (Signal::SIGKILL, reactor), (Signal::SIGKILL, guard)]
    {
        kill(pid, signal).expect("it is not reaped");
    }
    pm.wait_end();
    end_all_of(&pm.name);
}
