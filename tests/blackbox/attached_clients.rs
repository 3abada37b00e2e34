//! Clients of the control socket that have the terminal of a worker: what they are bounded by, and what is refused.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use pm::wire::terminal::{CLIENT_BYTES_MAX, First, Frame, FromClient, FromPm, PROTOCOL, first};
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes;
use crate::support::waiting::{DEADLINE, eventually};

/// A pm with one slot, whose worker has a terminal and runs this script.
fn started(script: &str) -> (TempDir, Pm, Api) {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("[pool.POOL]\ncommand = '''{script}'''\npty = true\nready = {{ line = 'up' }}\n");
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).without("PM_SOCKET").start();
    pm.wait_ready(1, 1);
    let api = Api::at(&folder.path().join(".pm.sock"));
    (folder, pm, api)
}

/// A client that is attached to the one slot.
struct Client {
    stream: UnixStream,
    arrived: Vec<u8>,
}

impl Client {
    fn of(api: &Api) -> Self {
        let mut stream = api.connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "{}", upgrade("all")).unwrap();
        let mut client = Self { stream, arrived: Vec::new() };
        let head = loop {
            if let Some(end) = client.arrived.windows(4).position(|four| four == b"\r\n\r\n") {
                break client.arrived.drain(..end + 4).collect::<Vec<_>>();
            }
            assert!(client.read() > 0);
        };
        let head = String::from_utf8(head).unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: pm-terminal\r\n\r\n"
        );
        client
    }

    fn read(&mut self) -> usize {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).unwrap();
        self.arrived.extend_from_slice(&bytes[..count]);
        count
    }

    /// The next frame; `None` at the end of the connection.
    fn next(&mut self) -> Option<FromPm> {
        loop {
            if let First::Frame(frame, length) = first(&self.arrived, usize::from(u16::MAX)) {
                self.arrived.drain(..length);
                return Some(FromPm::of(frame).expect("a frame that is known"));
            }
            if self.read() == 0 {
                assert!(self.arrived.is_empty());
                return None;
            }
        }
    }

    /// Reads until the output has this in it. Returns how many bytes came, and how many were lost.
    fn read_until(&mut self, text: &str) -> (u64, u64) {
        let (mut tail, mut count, mut lost) = (String::new(), 0, 0);
        while !tail.contains(text) {
            match self.next().expect("more output") {
                FromPm::Output(bytes) => {
                    count += bytes.len() as u64;
                    tail = tail.split_off(tail.len().saturating_sub(text.len()));
                    tail += std::str::from_utf8(&bytes).unwrap();
                }
                FromPm::Lost(bytes) => lost += bytes,
                FromPm::Note(_) => {}
                other => panic!("{other:?}"),
            }
        }
        (count, lost)
    }

    fn send(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.written()).unwrap();
    }
}

fn upgrade(slot: &str) -> String {
    format!(
        "POST /v1/attach?slot={slot} HTTP/1.1\r\nHost: pm\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket, {PROTOCOL}\r\n\r\n"
    )
}

fn keys(text: &str) -> Frame {
    FromClient::Keys(text.into()).frame()
}

#[test]
fn a_client_that_sleeps_loses_bytes_and_is_told_how_many_and_slows_nothing() {
    const LINES: u64 = 1_000_000;
    let script = format!("echo up; read -r go; yes | head -n {LINES}; echo flooded; read -r end");
    let (_folder, pm, api) = started(&script);
    let mut client = Client::of(&api);
    let mut awake = Client::of(&api);
    client.send(&keys("go\n"));
    // Nobody waits for the one that sleeps: not the log, and not the other client.
    let (count, lost) = awake.read_until("flooded");
    assert!(count + lost >= 2 * LINES, "{count} + {lost}");
    pm.prints.wait_for("| flooded");
    let (count, lost) = client.read_until("flooded");
    // What the sockets and pm keep for a client.
    assert!(count < 1024 * 1024, "{count}");
    assert!(lost > LINES && count + lost >= 2 * LINES, "{count} + {lost}");
    assert!(count + lost < 2 * LINES + 1024, "{count} + {lost}");
    pm.stop();
}

#[test]
fn keys_that_no_worker_reads_stop_the_client_and_not_pm() {
    let (_folder, pm, api) =
        started("stty raw -echo; echo up; read -r never <&- ; exec sleep 1000");
    let mut client = Client::of(&api);
    client.stream.set_nonblocking(true).unwrap();
    let frame = keys(&"x".repeat(CLIENT_BYTES_MAX)).written();
    let mut sent = 0;
    // The frame may be cut, so what follows is its rest.
    let mut rest = &frame[..];
    // Taken by neither pm nor its socket for a while.
    let mut idle = 0;
    while idle < 100 {
        match client.stream.write(rest) {
            Ok(count) => {
                sent += count;
                rest = if count == rest.len() { &frame } else { &rest[count..] };
                idle = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                idle += 1;
                assert_eq!(api.get("/v1").status, 200);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 4 * 1024 * 1024, "{sent}");
    }
    // pm does not spin.
    let reactor = pm.reactor();
    let before = processes::processor_time(reactor);
    crate::support::waiting::for_as_long_as(Duration::from_millis(300), || {});
    let spent = processes::processor_time(reactor) - before;
    assert!(spent < Duration::from_millis(100), "{spent:?}");
    pm.stop();
}

#[test]
fn keys_that_wait_are_typed_when_the_worker_reads_again() {
    let script =
        "stty raw -echo; echo up; until test -e go; do sleep 0.01; done; head -c 200000 | wc -c";
    let (folder, pm, api) = started(script);
    let mut client = Client::of(&api);
    let sender = {
        let mut stream = client.stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let frame = keys(&"x".repeat(4000)).written();
            (0..50).for_each(|_| stream.write_all(&frame).unwrap());
        })
    };
    std::fs::write(folder.path().join("go"), "").unwrap();
    client.read_until("200000");
    sender.join().unwrap();
    pm.stop();
}

#[test]
fn a_client_that_leaves_gives_the_terminal_its_size_back() {
    let (_folder, pm, api) =
        started("trap 'stty size' WINCH; echo up; while :; do sleep 0.01; done");
    let mut client = Client::of(&api);
    client.send(&Frame { kind: b's', rest: vec![0, 10, 0, 50] });
    client.read_until("10 50");
    // It has sent the last of its keys.
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    while client.next().is_some() {}
    pm.prints.wait_for("| 24 80");
    // And one that is killed, as far as pm can see.
    let mut client = Client::of(&api);
    client.send(&Frame { kind: b's', rest: vec![0, 11, 0, 51] });
    client.read_until("11 51");
    drop(client);
    pm.prints.wait_for_many(2, "| 24 80");
    // And one that has not read what it was sent, which the kernel tells otherwise (ECONNRESET, unix(7)).
    let mut client = Client::of(&api);
    client.send(&Frame { kind: b's', rest: vec![0, 12, 0, 52] });
    pm.prints.wait_for("| 12 52");
    drop(client);
    pm.prints.wait_for_many(3, "| 24 80");
    pm.stop();
}

#[test]
fn what_is_no_request_for_a_terminal_is_refused() {
    let (_folder, pm, api) = started("echo up; read -r end");
    let ask = |request: &str| api.ask(request);
    let close = "Connection: close\r\n\r\n";
    let refused = ask(&format!("POST /v1/attach?slot=all HTTP/1.1\r\nHost: pm\r\n{close}"));
    refused.refuses(426, "send `Connection: Upgrade` and `Upgrade: pm-terminal`");
    // HTTP/1.0 has no upgrade (RFC 9110, section 7.8); `Upgrade` alone asks for nothing either.
    let upgrade = "Upgrade: pm-terminal\r\n";
    let old = format!("POST /v1/attach?slot=all HTTP/1.0\r\n{upgrade}Connection: Upgrade\r\n\r\n");
    ask(&old).refuses(426, "send `Connection: Upgrade`");
    let alone = format!("POST /v1/attach?slot=all HTTP/1.1\r\nHost: pm\r\n{upgrade}{close}");
    ask(&alone).refuses(426, "send `Connection: Upgrade`");
    let both = format!("{upgrade}Connection: Upgrade, close\r\n\r\n");
    let of = |query: &str| ask(&format!("POST /v1/attach{query} HTTP/1.1\r\nHost: pm\r\n{both}"));
    of("").refuses(400, "name one slot");
    of("?slot=").refuses(400, "name one slot");
    of("?slot=none.1").refuses(404, "there is no pool or slot `none.1`");
    of("?slot=all&rows=10").refuses(400, "a size is both `rows` and `columns`");
    of("?slot=all&rows=-1&columns=5").refuses(400, "`rows` is a number, not `-1`");
    of("?slot=all&size=5").refuses(400, "takes no `size`");
    api.get("/v1/attach?slot=all").refuses(405, "`/v1/attach` has POST only");
    pm.stop();
}

#[test]
fn a_worker_that_has_closed_its_terminal_has_none() {
    let script = "echo up; until test -e go; do sleep 0.01; done; exec sleep 1000 <&- >&- 2>&-";
    let (folder, pm, api) = started(script);
    let mut client = Client::of(&api);
    std::fs::write(folder.path().join("go"), "").unwrap();
    let refused = eventually("a closed terminal", || {
        let request = upgrade("all").replace("keep-alive", "close");
        let mut stream = api.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (&head == b"HTTP/1.1 409").then(|| {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            rest
        })
    });
    assert!(refused.contains("has closed its terminal"), "{refused}");
    // Keys go nowhere, and the next worker has a terminal again.
    client.send(&keys("x"));
    std::fs::remove_file(folder.path().join("go")).unwrap();
    assert_eq!(api.command("restart", &["all"]).outcome(), "done");
    client.read_until("up");
    pm.stop();
}

#[test]
fn a_frame_that_pm_does_not_take_ends_the_connection_with_a_reason() {
    let (_folder, pm, api) = started("echo up; read -r end");
    let wrong = [
        (Frame { kind: b'x', rest: Vec::new() }, "pm does not know such a frame"),
        (Frame { kind: b's', rest: vec![1] }, "pm does not know such a frame"),
        (Frame { kind: b'k', rest: vec![b'x'; CLIENT_BYTES_MAX + 1] }, "the frame is too long"),
    ];
    for (frame, words) in wrong {
        let mut client = Client::of(&api);
        client.send(&frame);
        let last = eventually("the end", || match client.next() {
            Some(FromPm::End(words)) => Some(words),
            Some(_) => None,
            None => panic!("it ends without a reason"),
        });
        assert_eq!(last, words);
        assert_eq!(client.next(), None);
    }
    // What is sent with the request is not lost.
    let mut stream = api.connect();
    stream.write_all(&[upgrade("all").as_bytes(), &keys("x\n").written()].concat()).unwrap();
    pm.says.wait_for_all(&[" exited 0 after", "starting generation 2"]);
    pm.stop();
}

#[test]
fn keys_go_to_the_worker_that_serves_and_not_to_its_spare() {
    const SERVER: &str = "
import os, socket, sys
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(('127.0.0.1', int(os.environ['PORT'])))
listening.listen()
for line in sys.stdin:
    print(os.environ['PM_GENERATION'], 'has', line.strip(), flush=True)
";
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[pool.POOL]\ncommand = ['python3', '-c', '''{SERVER}''']\nports = PORT1\npty = true\n\
         hold_port = true\nspare = true\n"
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, &text).without("PM_SOCKET").start();
    let worker = pm.wait_ready(1, 1);
    pm.says.wait_for("a spare waits");
    let mut client = Client::of(&Api::at(&folder.path().join(".pm.sock")));
    client.send(&keys("this\n"));
    client.read_until("1 has this");
    processes::send(Signal::SIGKILL, worker);
    pm.wait_ready(1, 2);
    client.send(&keys("that\n"));
    client.read_until("2 has that");
    pm.stop();
}
