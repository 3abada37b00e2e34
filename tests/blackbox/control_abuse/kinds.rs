//! What clients do to the control socket, each kind again and again until told to stop.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::api::Api;
use crate::support::programs::{open_copies, pm_binary};

/// One kind of abuse.
pub struct Kind {
    pub name: &'static str,
    pub abuse: fn(&Api, &AtomicBool),
}

pub const KINDS: [Kind; 9] = [
    Kind { name: "requests cut at every byte", abuse: cut },
    Kind { name: "random bytes", abuse: random },
    Kind { name: "1,000 idle connections", abuse: idle },
    Kind { name: "1,000 requests in a row", abuse: pipelined },
    Kind { name: "one byte a second", abuse: slow },
    Kind { name: "huge heads", abuse: huge },
    Kind { name: "faulty requests", abuse: faulty },
    Kind { name: "stopped readers", abuse: stopped },
    Kind { name: "another uid", abuse: another_uid },
];

const STATUS: &[u8] = b"GET /v1/status HTTP/1.1\r\nHost: pm\r\n\r\n";

fn cut(api: &Api, is_over: &AtomicBool) {
    let body = r#"{"slots":["all"]}"#;
    let length = body.len();
    let request =
        format!("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: {length}\r\n\r\n{body}");
    for n in (0..request.len()).cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
        let _ = api.connect().write_all(&request.as_bytes()[..n]);
    }
}

fn random(api: &Api, is_over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(7);
    while !is_over.load(Ordering::Relaxed) {
        let bytes: Vec<u8> = (0..1_000).map(|_| random.u8(..)).collect();
        exchange(api, &bytes);
    }
}

/// Some begin a request. pm closes the oldest to take the newest, and each that is closed comes again.
fn idle(api: &Api, is_over: &AtomicBool) {
    let connect = |n: usize| {
        let mut client = api.connect();
        client.set_nonblocking(true).unwrap();
        if n.is_multiple_of(2) {
            let _ = client.write_all(&STATUS[..20]);
        }
        client
    };
    let mut clients: Vec<_> = (0..1_000).map(connect).collect();
    while !is_over.load(Ordering::Relaxed) {
        // A thousandth of a second for each: it is the pace, not a wait for anything.
        thread::park_timeout(Duration::from_millis(1));
        let n = fastrand::usize(0..clients.len());
        clients[n] = connect(n);
    }
}

fn pipelined(api: &Api, is_over: &AtomicBool) {
    let mut requests = STATUS.repeat(999);
    requests.extend(b"GET /v1 HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\r\n");
    while !is_over.load(Ordering::Relaxed) {
        let mut client = api.connect();
        let mut sender = client.try_clone().unwrap();
        let requests = &requests;
        thread::scope(|scope| {
            scope.spawn(move || sender.write_all(requests));
            let mut answers = [0; 64 * 1024];
            while !is_over.load(Ordering::Relaxed) && client.read(&mut answers).is_ok_and(|n| n > 0)
            {
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn slow(api: &Api, is_over: &AtomicBool) {
    let ask = || {
        let mut client = api.connect();
        client.set_nonblocking(true).unwrap();
        let _ = client.write_all(&STATUS.repeat(100));
        let _ = client.write_all(b"GET /v1/events?after=0&follow=1 HTTP/1.1\r\nHost: pm\r\n\r\n");
        client
    };
    let mut clients: Vec<_> = (0..32).map(|_| ask()).collect();
    while !is_over.load(Ordering::Relaxed) {
        for client in &mut clients {
            match client.read(&mut [0]) {
                Ok(1) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => *client = ask(),
            }
        }
        for _ in 0..100 {
            if !is_over.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}

fn huge(api: &Api, is_over: &AtomicBool) {
    let head = format!("GET /v1 HTTP/1.1\r\nHost: pm\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    while !is_over.load(Ordering::Relaxed) {
        exchange(api, head.as_bytes());
    }
}

fn faulty(api: &Api, is_over: &AtomicBool) {
    let faults = FAULTY.iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed));
    for (request, _) in faults {
        exchange(api, request.as_bytes());
    }
}

/// Two are stopped, each in the middle of a stream.
fn stopped(api: &Api, is_over: &AtomicBool) {
    let commands = [&["events", "--json"][..], &["logs", "-f"]].map(|arguments| {
        let mut command = Command::new(pm_binary());
        command.args(arguments).env("PM_SOCKET", api.socket());
        let nowhere = || Stdio::null();
        let command = command.stdin(nowhere()).stdout(nowhere()).stderr(nowhere());
        let child = command.spawn().expect("a reader");
        // It is not reaped yet.
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGSTOP).expect("a living reader");
        child
    });
    while !is_over.load(Ordering::Relaxed) {
        thread::park_timeout(Duration::from_millis(10));
    }
    for mut command in commands {
        command.kill().expect("it is not reaped");
        command.wait().expect("its end");
    }
}

/// Programs of another user, one after another. Only root can start them; else they are the same user's.
fn another_uid(api: &Api, is_over: &AtomicBool) {
    let folder = tempfile::tempdir().unwrap();
    let [program, _] = open_copies(folder.path());
    while !is_over.load(Ordering::Relaxed) {
        let status =
            status_by_nobody(&program, api).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.expect("a program");
        thread::park_timeout(Duration::from_millis(10));
    }
}

pub fn status_by_nobody(program: &Path, api: &Api) -> Command {
    let mut command = Command::new(program);
    command.arg("status").env("PM_SOCKET", api.socket());
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}

/// Sends this and reads to the end of the answer, which may be a reset: pm closes before it has read all.
pub fn exchange(api: &Api, bytes: &[u8]) -> Vec<u8> {
    let mut client: UnixStream = api.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = client.write_all(bytes);
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    answer
}

/// Requests that are no HTTP or whose end is doubtful, and the status of the answer.
pub const FAULTY: &[(&str, u16)] = &[
    ("GET /v1 HTTP/1.1\nHost: pm\n\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\nX: y\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\r\nX: a\rb\r\n\r\n", 400),
    ("\r\n\r\nGET /v1 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET  /v1 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1\r\n\r\n", 400),
    (" GET /v1 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET v1 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1#part HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1%0 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1%00 HTTP/1.1\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\r\nHost: pm\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost : pm\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\r\n: b\r\n\r\n", 400),
    ("GET /v1 HTTP/1.1\r\nHost: pm\r\nX: a\0b\r\n\r\n", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 1, 1\r\n\r\nx", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: +1\r\n\r\nx", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: -1\r\n\r\nx", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 0x1\r\n\r\nx", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: \r\n\r\nx", 400),
    (
        "POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST /v1/start HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nTransfer-Encoding: gzip\r\n\r\nx", 501),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 99999\r\n\r\n", 413),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
    ("POST /v1/start HTTP/1.1\r\nHost: pm\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx", 417),
    ("GET /v1 HTTP/2.0\r\nHost: pm\r\n\r\n", 505),
    ("GET /v1 HTTP/0.9\r\nHost: pm\r\n\r\n", 505),
    ("TEA /v1 HTTP/1.1\r\nHost: pm\r\n\r\n", 501),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("\u{16}\u{3}\u{1}\r\n\r\n", 400),
];
