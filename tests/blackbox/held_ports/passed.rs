//! `listen = "fds"`: pm opens the socket and passes it on, as systemd does (sd_listen_fds(3)).

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use nix::sys::signal::Signal;

use super::clients::{Clients, get};
use super::{Run, freeze, run};
use crate::support::processes::send;
use crate::support::run_mode::{skip, skip_without};
use crate::support::waiting::eventually;

/// A server that takes what it is passed, and nothing else.
const SCRIPT: &str = "
import os, socket
e = os.environ
assert e['LISTEN_PID'] == str(os.getpid()), (e['LISTEN_PID'], os.getpid())
assert (e['LISTEN_FDS'], e['LISTEN_FDNAMES']) == ('1', e['PM_SLOT'])
open_ones = [n for n in range(3, 256) if os.path.exists('/proc/self/fd/%d' % n)]
assert open_ones == [3], open_ones
own = socket.socket(fileno=3)
assert own.getblocking()
print('serving', own.getsockname()[0], flush=True)
while True:
    client, _ = own.accept()
    try:
        client.recv(1000)
        client.sendall(b'%d' % os.getpid())
    except OSError:
        pass
    client.close()
";

/// A pool of it, with these keys besides.
fn text(keys: &str) -> String {
    format!(
        "[pool.POOL]\ncommand = ['python3', '-c', \"\"\"{SCRIPT}\"\"\"]\nports = PORT1\n\
         listen = 'fds'\nready = {{ line = 'serving' }}\n{keys}\n"
    )
}

fn passed(keys: &str) -> Run {
    run(1, &text(keys))
}

fn v4(run: &Run) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[0]).into()
}

fn is_skipped() -> bool {
    skip_without(&["python3".into()])
}

#[test]
fn no_connection_to_a_server_that_is_passed_its_socket_is_refused() {
    if is_skipped() {
        return;
    }
    let run = passed("");
    run.pm.wait_ready(1, 1);
    let clients = Clients::of(v4(&run));
    for generation in 1..=20 {
        let worker = run.pm.wait_ready(1, generation);
        clients.wait_answered(8);
        send(Signal::SIGKILL, worker);
    }
    run.pm.wait_ready(1, 21);
    get((Ipv6Addr::LOCALHOST, run.pm.ports[0]).into()).unwrap();
    clients.end("passed", 20);
    run.pm.stop();
}

#[test]
fn a_worker_of_another_user_is_passed_its_socket_too() {
    if is_skipped() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can start a program of another user");
    }
    let run = passed("user = 'nobody'\ncwd = '/'\naddress = '127.0.0.1'");
    let worker = run.pm.wait_ready(1, 1);
    freeze(worker);
    let waiting = TcpStream::connect(v4(&run)).unwrap();
    send(Signal::SIGKILL, worker);
    // It asks nothing, and the server answers one after another.
    drop(waiting);
    get(v4(&run)).unwrap();
    let elsewhere = TcpStream::connect((Ipv6Addr::LOCALHOST, run.pm.ports[0])).unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::ConnectionRefused);
    run.pm.stop();
}

#[test]
fn the_socket_that_is_passed_is_closed_with_a_stop_and_another_one_opened_with_a_start() {
    if is_skipped() {
        return;
    }
    let run = passed("");
    run.pm.wait_ready(1, 1);
    assert_eq!(run.api.command("stop", &[&run.pm.slot(1)]).status, 200);
    let refused = TcpStream::connect(v4(&run)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(run.api.command("start", &[&run.pm.slot(1)]).status, 200);
    get(v4(&run)).unwrap();
    run.pm.stop();
}

#[test]
fn an_address_that_cannot_be_opened_is_a_failed_start_with_the_reason() {
    if is_skipped() {
        return;
    }
    // Of no interface: TEST-NET-1 (RFC 5737).
    let run = passed("address = '192.0.2.1'");
    let said = run.pm.says.wait_for("cannot listen on 192.0.2.1:");
    assert!(said.contains("for it: cannot assign requested address"), "{said}");
    run.pm.stop();
}

#[test]
fn another_address_in_the_plan_is_another_socket() {
    if is_skipped() {
        return;
    }
    let run = passed("address = '127.0.0.1'");
    run.pm.wait_ready(1, 1);
    get(v4(&run)).unwrap();
    run.pm.reload(&text("address = '127.0.0.2'"));
    run.pm.wait_ready(1, 2);
    get((Ipv4Addr::new(127, 0, 0, 2), run.pm.ports[0]).into()).unwrap();
    eventually("a free address", || TcpListener::bind(v4(&run)).ok());
    run.pm.stop();
}
