//! A pool with `hold_port`: the listening socket of a slot outlives its workers, and its servers know nothing of it.
//!
//! [`clients`] connect all the time; [`kills`] has the servers under them, [`calls`] the ways in which a server may
//! come to its socket, [`passed`] sockets that pm opens, [`wanted`] when a port is let go, [`rights`] pm and workers of
//! other users, [`spares`] the workers that wait to take over, [`shared`] those that slots share, [`replaced`] what
//! clients lose when workers are replaced.

mod calls;
mod clients;
mod kills;
mod passed;
mod replaced;
mod rights;
mod shared;
mod spares;
mod wanted;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::send;
use crate::support::waiting::eventually;

/// A pm with its socket in a folder of its own.
struct Run {
    folder: TempDir,
    pm: Pm,
    api: Api,
}

/// A pm that runs this text. In it, `HELD` stands for the keys of a pool with one held port.
fn run(ports: usize, text: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text = text.replace("HELD", "ports = PORT1\nhold_port = true");
    let pool = Pool::of_file(folder.path(), "pm.toml", ports, &text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    // The socket is made before.
    pm.says.wait_for("keeping");
    Run { folder, pm, api: Api::at(&socket) }
}

/// Fixture workers that do this, on one held port.
fn fixture(orders: &str) -> Run {
    let words: Vec<_> = orders.split_whitespace().map(|word| format!("'{word}'")).collect();
    run(1, &format!("[pool.POOL]\ncommand = ['WORKER', {}]\nHELD\n", words.join(", ")))
}

/// A server in Python on one held port. It has `port`, and `serve(*sockets)`, which answers with the pid.
fn python(script: &str) -> Run {
    python_with("", script)
}

/// The same, with more keys of its pool.
fn python_with(keys: &str, script: &str) -> Run {
    const HEAD: &str = "
import os, socket, sys, threading
port = int(os.environ['PORT'])
def answer(listening):
    while True:
        client, _ = listening.accept()
        try:
            client.recv(1000)
            client.sendall(b'%d\\n' % os.getpid())
        except OSError:
            pass
        client.close()
def serve(*sockets):
    for listening in sockets:
        threading.Thread(target=answer, args=(listening,)).start()
    threading.Event().wait()
def bound(family, address, kind=socket.SOCK_STREAM):
    own = socket.socket(family, kind)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind((address, port))
    return own
";
    run(1, &format!("[pool.POOL]\ncommand = ['python3', '-c', '''{HEAD}{script}''']\nHELD\n{keys}"))
}

/// Stops each thread of a process: a worker accepts no connection from now on, pm answers no call.
fn freeze(process: Pid) {
    send(Signal::SIGSTOP, process);
    eventually("a stopped process", || {
        let mut threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let is_stopped = threads.all(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
        is_stopped.then_some(())
    });
}
