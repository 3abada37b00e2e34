//! The ways in which a server may come to its socket.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::clients::get;
use super::{Run, freeze, python, run};
use crate::support::processes::send;
use crate::support::run_mode::skip_without;
use crate::support::waiting::eventually;

fn v4(run: &Run) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[0]).into()
}

fn v6(run: &Run) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, run.pm.ports[0]).into()
}

/// Kills each of a few generations while no thread of it runs: what connects after that is answered by the next one, at
/// each of these addresses.
fn survives_kills(run: &Run, addresses: &[SocketAddr]) {
    for generation in 1..=4 {
        let worker = run.pm.wait_ready(1, generation);
        // The first one is ready when it listens at the first of its addresses.
        for address in addresses {
            eventually("an answer", || get(*address).ok());
        }
        freeze(worker);
        // Connected, and waiting.
        let waiting: Vec<_> = addresses.iter().map(|at| TcpStream::connect(at).unwrap()).collect();
        send(Signal::SIGKILL, worker);
        drop(waiting);
        for address in addresses {
            let answer = get(*address).unwrap();
            assert!(!answer.trim_end().ends_with(&worker.to_string()), "{answer}");
        }
    }
}

/// True if there is no Python.
fn is_skipped() -> bool {
    skip_without(&["python3".into()])
}

#[test]
fn a_server_on_all_addresses_of_both_families_is_held() {
    if is_skipped() {
        return;
    }
    let run = python(
        "serve(socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True))",
    );
    survives_kills(&run, &[v4(&run), v6(&run)]);
    run.pm.stop();
}

#[test]
fn a_server_with_a_socket_for_each_family_has_both_held() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
own = [bound(socket.AF_INET, '0.0.0.0'), socket.socket(socket.AF_INET6)]
own[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
own[1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
own[1].bind(('::', port))
for one in own: one.listen(16)
serve(*own)",
    );
    survives_kills(&run, &[v4(&run), v6(&run)]);
    run.pm.stop();
}

/// As gunicorn does.
#[test]
fn a_server_that_does_not_listen_where_its_socket_does_is_ready() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
own = bound(socket.AF_INET, '127.0.0.1')
if not own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
    own.listen(128)
serve(own)",
    );
    survives_kills(&run, &[v4(&run)]);
    run.pm.stop();
}

#[test]
fn a_server_that_tries_its_port_before_it_serves_is_held() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
tried = bound(socket.AF_INET, '127.0.0.1')
tried.listen(1)
tried.close()
own = bound(socket.AF_INET, '127.0.0.1')
own.listen(16)
serve(own)",
    );
    survives_kills(&run, &[v4(&run)]);
    run.pm.stop();
}

#[test]
fn a_server_that_binds_in_a_thread_is_held() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
def work():
    own = bound(socket.AF_INET, '127.0.0.1')
    own.listen(16)
    answer(own)
threading.Thread(target=work).start()
threading.Event().wait()",
    );
    survives_kills(&run, &[v4(&run)]);
    run.pm.stop();
}

#[test]
fn a_server_that_binds_in_a_child_or_forks_after_it_is_held() {
    if is_skipped() {
        return;
    }
    let in_child = "
if os.fork() == 0:
    own = bound(socket.AF_INET, '127.0.0.1')
    own.listen(16)
    serve(own)
os.wait()";
    let before_fork = "
own = bound(socket.AF_INET, '127.0.0.1')
own.listen(16)
if os.fork() == 0:
    serve(own)
os.wait()";
    for script in [in_child, before_fork] {
        let run = python(script);
        let mut last = String::new();
        for generation in 1..=4 {
            let leader = run.pm.wait_ready(1, generation);
            let answer = get(v4(&run)).unwrap();
            assert_ne!(answer, last, "it is another child");
            send(Signal::SIGKILL, leader);
            last = answer;
        }
        run.pm.wait_ready(1, 5);
        get(v4(&run)).unwrap();
        run.pm.stop();
    }
}

#[test]
fn a_server_with_several_sockets_at_one_address_has_all_of_them_held() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
own = [socket.socket(socket.AF_INET) for _ in range(4)]
for one in own:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(('127.0.0.1', port))
for one in own: one.listen(16)
serve(*own)",
    );
    let all = [v4(&run); 12];
    survives_kills(&run, &all);
    run.pm.stop();
}

#[test]
fn what_is_not_the_port_of_the_slot_is_left_alone() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
others = [socket.create_server(('127.0.0.1', 0)) for _ in range(100)]
assert len(set(other.getsockname()[1] for other in others)) == 100
datagrams = bound(socket.AF_INET, '127.0.0.2', socket.SOCK_DGRAM)
unix = socket.socket(socket.AF_UNIX)
unix.bind('')
unix.listen(1)
own = socket.create_server(('127.0.0.1', port))
serve(own)",
    );
    survives_kills(&run, &[v4(&run)]);
    run.pm.stop();
}

#[test]
fn a_server_that_goes_to_another_address_leaves_the_old_one() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
first = os.environ['PM_GENERATION'] == '1'
own = bound(socket.AF_INET, '0.0.0.0' if first else '127.0.0.2')
own.listen(16)
serve(own)",
    );
    let worker = run.pm.wait_ready(1, 1);
    get(v4(&run)).unwrap();
    send(Signal::SIGKILL, worker);
    run.pm.wait_ready(1, 2);
    get((Ipv4Addr::new(127, 0, 0, 2), run.pm.ports[0]).into()).unwrap();
    let refused = TcpStream::connect(v4(&run)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    run.pm.stop();
}

#[test]
fn an_address_that_a_server_does_not_use_any_more_is_refused_after_a_while() {
    if is_skipped() {
        return;
    }
    let run = python(
        "
first = os.environ['PM_GENERATION'] == '1'
own = [bound(socket.AF_INET, at) for at in ['127.0.0.1', '127.0.0.2'][:2 if first else 1]]
for one in own: one.listen(16)
serve(*own)",
    );
    let worker = run.pm.wait_ready(1, 1);
    let other = (Ipv4Addr::new(127, 0, 0, 2), run.pm.ports[0]).into();
    eventually("an answer", || get(other).ok());
    send(Signal::SIGKILL, worker);
    run.pm.wait_ready(1, 2);
    let refused = eventually("a refusal", || TcpStream::connect(other).err());
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    get(v4(&run)).unwrap();
    run.pm.stop();
}

/// The number of the system call that a thread waits in (proc(5)).
fn waits_in(worker: Pid) -> Option<i64> {
    let call = std::fs::read_to_string(format!("/proc/{worker}/syscall")).ok()?;
    call.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_worker_that_is_killed_before_its_answer_is_replaced() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'introduce', 'await', 'PORT2', 'listen', '{port}', 'stay']\nHELD\n";
    let run = run(2, text);
    let begin = || {
        let address = (Ipv4Addr::LOCALHOST, run.pm.ports[1]);
        eventually("a worker that awaits", || TcpStream::connect(address).ok())
    };
    for generation in 1..=3 {
        let worker = run.pm.wait_introduced(generation);
        let go = begin();
        let reactor = run.pm.reactor();
        freeze(reactor);
        drop(go);
        eventually("a call that waits", || {
            (waits_in(worker) == Some(libc::SYS_bind)).then_some(())
        });
        send(Signal::SIGKILL, worker);
        send(Signal::SIGCONT, reactor);
    }
    let last = run.pm.wait_introduced(4);
    drop(begin());
    assert_eq!(run.pm.wait_ready(1, 4), last);
    assert!(get(v4(&run)).unwrap().contains(&format!("pid {last}")));
    run.pm.stop();
}
