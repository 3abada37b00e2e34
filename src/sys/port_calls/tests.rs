//! A thread with the filter calls, and the test answers. It is of one process with the test, so no test needs a worker.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::os::fd::{FromRawFd, IntoRawFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrStorage, UnixAddr, bind,
    getsockname, getsockopt, listen, socket, sockopt,
};

use super::*;
use crate::sys::child::Progress;

struct Filtered<T> {
    calls: PortCalls,
    thread: JoinHandle<T>,
}

/// A thread that does this under the filter.
fn filtered<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Filtered<T> {
    assert_eq!(check_kernel(), Ok(()));
    let (told, listener): (_, Receiver<RawFd>) = channel();
    let thread = std::thread::spawn(move || {
        let progress = Progress::default();
        assert_eq!(filter::install(&progress), Ok(()));
        told.send(progress.listener.load(Ordering::Acquire)).unwrap();
        work()
    });
    let listener = listener.recv().unwrap();
    // SAFETY: the thread has made it, and gave it away.
    // WHY: this is what the child of a worker does.
    let listener = unsafe { OwnedFd::from_raw_fd(listener) };
    Filtered { calls: PortCalls::new(listener), thread }
}

impl<T> Filtered<T> {
    fn next(&self) -> PortCall {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match self.calls.receive() {
                Received::Call(call) => return call,
                Received::Over => panic!("no thread has the filter"),
                Received::Nothing => assert!(Instant::now() < until, "no call"),
            }
            std::thread::yield_now();
        }
    }

    fn end(self) -> T {
        let result = self.thread.join().unwrap();
        assert!(matches!(self.calls.receive(), Received::Over));
        result
    }
}

fn stream(flags: SockFlag) -> OwnedFd {
    socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap()
}

fn loopback(port: u16) -> SockaddrIn {
    SockaddrIn::new(127, 0, 0, 1, port)
}

fn name(fd: &OwnedFd) -> SockaddrIn {
    *getsockname::<SockaddrStorage>(fd.as_raw_fd()).unwrap().as_sockaddr_in().unwrap()
}

#[test]
fn a_call_that_goes_on_is_as_without_a_filter() {
    let worker = filtered(|| {
        let tcp = stream(SockFlag::SOCK_CLOEXEC);
        bind(tcp.as_raw_fd(), &loopback(0)).unwrap();
        let unix = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
        bind(unix.as_raw_fd(), &UnixAddr::new_unnamed()).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        listen(&tcp, Backlog::new(3).unwrap()).unwrap();
        (name(&tcp).port(), udp.local_addr().unwrap().port())
    });
    let expected = [
        Asked::Bind("127.0.0.1:0".parse().unwrap()),
        Asked::BindElsewhere,
        Asked::Bind("127.0.0.1:0".parse().unwrap()),
        Asked::Listen { backlog: 3 },
    ];
    for (asked, is_tcp) in expected.into_iter().zip([true, false, false, true]) {
        let call = worker.next();
        assert_eq!(call.asked, asked);
        assert_eq!(worker.calls.socket(&call).unwrap().is_some(), is_tcp, "{asked:?}");
        worker.calls.go_on(&call);
    }
    let (tcp, udp) = worker.end();
    assert!(tcp != 0 && udp != 0);
}

#[test]
fn a_socket_that_is_given_takes_the_place_of_the_workers_own() {
    for flags in [SockFlag::SOCK_CLOEXEC, SockFlag::empty()] {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let held = TcpSocket::of(held.into()).unwrap();
        let worker = filtered(move || {
            let tcp = stream(flags);
            bind(tcp.as_raw_fd(), &loopback(port)).unwrap();
            let closes_on_exec = fcntl(&tcp, FcntlArg::F_GETFD).unwrap() == libc::FD_CLOEXEC;
            (TcpSocket::of(tcp).unwrap().cookie(), closes_on_exec)
        });
        let call = worker.next();
        worker.calls.give(&call, &held);
        let (cookie, closes_on_exec) = worker.end();
        assert_eq!(cookie, held.cookie());
        assert_eq!(closes_on_exec, flags == SockFlag::SOCK_CLOEXEC);
    }
}

#[test]
fn a_copy_of_the_socket_is_enough_to_listen_for_the_worker() {
    let worker = filtered(|| {
        let tcp = stream(SockFlag::SOCK_CLOEXEC);
        bind(tcp.as_raw_fd(), &loopback(0)).unwrap();
        listen(&tcp, Backlog::new(5).unwrap()).unwrap();
        TcpSocket::of(tcp).unwrap().backlog().map(|backlog| backlog.limit)
    });
    let bound = worker.next();
    worker.calls.go_on(&bound);
    let call = worker.next();
    let socket = worker.calls.socket(&call).unwrap().unwrap();
    let Asked::Listen { backlog } = call.asked else { panic!("{call:?}") };
    socket.listen(backlog).unwrap();
    worker.calls.succeed(&call);
    assert_eq!(worker.end(), Some(5));
}

#[test]
fn of_the_options_of_a_socket_only_the_question_whether_it_listens_comes_here() {
    let worker = filtered(|| {
        let tcp = stream(SockFlag::SOCK_CLOEXEC);
        let kind = getsockopt(&tcp, sockopt::SockType).unwrap();
        getsockopt(&tcp, sockopt::TcpNoDelay).unwrap();
        (kind, getsockopt(&tcp, sockopt::AcceptConn).unwrap())
    });
    let call = worker.next();
    assert_eq!(call.asked, Asked::WhetherItListens);
    worker.calls.go_on(&call);
    assert_eq!(worker.end(), (SockType::Stream, false));
}

#[test]
fn a_call_that_is_refused_fails_with_this_error() {
    let worker = filtered(|| bind(stream(SockFlag::SOCK_CLOEXEC).as_raw_fd(), &loopback(1)));
    let call = worker.next();
    worker.calls.refuse(&call, Errno::EADDRINUSE);
    assert_eq!(worker.end(), Err(Errno::EADDRINUSE));
}

#[test]
fn a_socket_that_is_closed_before_the_answer_is_none() {
    let tcp = stream(SockFlag::SOCK_CLOEXEC).into_raw_fd();
    let worker = filtered(move || bind(tcp, &loopback(0)));
    let call = worker.next();
    nix::unistd::close(tcp).unwrap();
    // Another test of this process may have opened a descriptor of this number by now.
    let socket = worker.calls.socket(&call).unwrap();
    assert!(socket.is_none_or(|socket| socket.name().is_some()));
    worker.calls.refuse(&call, Errno::EBADF);
    assert_eq!(worker.end(), Err(Errno::EBADF));
}

#[test]
fn a_listener_that_is_closed_answers_all_that_waits() {
    let worker = filtered(|| bind(stream(SockFlag::SOCK_CLOEXEC).as_raw_fd(), &loopback(0)));
    let _call = worker.next();
    drop(worker.calls);
    assert_eq!(worker.thread.join().unwrap(), Err(Errno::ENOSYS));
}

#[test]
fn what_cannot_be_held_says_what_to_do() {
    let said = |call, errno| CannotHold { call, errno }.to_string();
    assert!(said("seccomp", Errno::EBUSY).contains("pm is itself below a supervisor"));
    assert!(said("seccomp", Errno::ENOSYS).contains("Linux 5.9 or newer"));
    assert!(
        said("pidfd_getfd", Errno::EPERM).starts_with("cannot hold its port: pidfd_getfd(2): ")
    );
}

#[test]
fn a_poll_that_a_signal_interrupts_is_not_the_end_of_the_calls() {
    assert!(is_over(PollFlags::POLLHUP));
    assert!(!is_over(PollFlags::POLLERR));
}
