//! Probes of real sockets in a poll loop of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::thread;

use super::*;
use crate::reactor::tokens::Poller;
use crate::supervisor::Exit;

const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };
const PATIENCE: Duration = Duration::from_secs(20);

/// A poll loop around some probes.
struct Bench {
    poller: Poller,
    probes: Probes,
    began: Instant,
}

impl Bench {
    fn until_ready(probe: Probe) -> Self {
        let mut bench = Self::without_probes();
        let mut registrar = bench.poller.registrar();
        bench.probes.await_ready(WORKER, probe, None, bench.began, &mut registrar);
        bench
    }

    fn while_alive(by: AliveBy, every_ms: u64, timeout_ms: u64) -> Self {
        let mut bench = Self::without_probes();
        let millis = Duration::from_millis;
        let (every, timeout) = (millis(every_ms), millis(timeout_ms));
        let alive = Alive { by, every, timeout, failures: NonZeroU32::new(2).unwrap() };
        let mut registrar = bench.poller.registrar();
        bench.probes.keep_alive(WORKER, alive, bench.began, &mut registrar);
        bench
    }

    fn without_probes() -> Self {
        let (poller, began) = (Poller::open().unwrap(), Instant::now());
        Self { poller, probes: Probes::new(began), began }
    }

    /// Probes until there is a finding, or this long.
    fn probe_for(&mut self, patience: Duration) -> Option<Finding> {
        let until = Instant::now() + patience;
        loop {
            let now = Instant::now();
            let registrar = &mut self.poller.registrar();
            let advanced = self.probes.advance(now, registrar);
            let finding = advanced.or_else(|| self.probes.judge(now, registrar));
            if finding.is_some() || now >= until {
                return finding;
            }
            let due = self.probes.next_deadline().unwrap_or(until).min(until);
            let wait = due.saturating_duration_since(now) + Duration::from_millis(1);
            self.poller.wait(Some(wait)).unwrap();
            for source in self.poller.ready() {
                let Source::Probe(slot) = source else { panic!("{source:?}") };
                self.probes.wake(slot);
            }
        }
    }

    fn find(&mut self) -> Finding {
        self.probe_for(PATIENCE).expect("a finding in time")
    }
}

/// A server that treats each connection like this, with the number of it, once it has read the request.
fn server(treat: impl Fn(u32, &mut TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (n, stream) in (0..).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let request = BufReader::new(stream.try_clone().unwrap()).lines();
            let _ = request.take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty())).count();
            treat(n, &mut stream);
        }
    });
    port
}

fn http(port: u16, text: Option<&str>) -> Probe {
    let (target, status) = ("/up".into(), 200..=399);
    Probe::Http { port, target, status, text: text.map(Into::into) }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

#[test]
fn a_listener_on_either_loopback_address_is_ready() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Bench::until_ready(Probe::Tcp { port }).find(), Finding::Ready(WORKER));
    }
}

#[test]
fn the_probe_under_way_is_told_before_the_failure_of_an_earlier_one() {
    let port = server(|n, stream| match n {
        0 => stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n").unwrap(),
        _ => thread::park(),
    });
    let mut bench = Bench::until_ready(http(port, None));
    let last_after = |bench: &Bench, seconds| {
        let now = Instant::now() + Duration::from_secs(seconds);
        bench.probes.last_failure(WORKER, now)
    };
    let until = Instant::now() + PATIENCE;
    let has_failed = |bench: &Bench| bench.probes.last_failure(WORKER, bench.began).is_some();
    let is_asking =
        |bench: &Bench| matches!(last_after(bench, 1), Some(ProbeFailure::NoAnswerYet(_)));
    while !(has_failed(&bench) && is_asking(&bench)) {
        assert!(Instant::now() < until, "{:?}", last_after(&bench, 1));
        assert_eq!(bench.probe_for(Duration::from_millis(5)), None);
    }
    let Some(ProbeFailure::NoAnswerYet(waited)) = last_after(&bench, 1) else { unreachable!() };
    assert!((1..3).contains(&waited.as_secs()), "{waited:?}");
    // One that has only just begun says less than the one before.
    let at_once = bench.probes.last_failure(WORKER, bench.began);
    assert_eq!(at_once, Some(ProbeFailure::Status(503)));
}

#[test]
fn a_worker_that_listens_late_is_found() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut bench = Bench::until_ready(Probe::Tcp { port });
    assert_eq!(bench.probe_for(Duration::from_millis(100)), None);
    assert_eq!(
        bench.probes.last_failure(WORKER, Instant::now()),
        Some(ProbeFailure::Refused(port))
    );
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(bench.find(), Finding::Ready(WORKER));
}

#[test]
fn a_server_is_ready_with_its_first_good_answer() {
    let port = server(|n, stream| {
        let answer: &[u8] = match n {
            // It closes early.
            0 => b"",
            1 => b"HTTP/1.1 200",
            // It lies.
            2 => b"SSH-2.0-OpenSSH_9.2\r\n",
            3 => b"HTTP/1.1 503 Not Yet\r\n\r\n",
            4 => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoon",
            _ => OK,
        };
        let _ = stream.write_all(answer);
    });
    let mut bench = Bench::until_ready(http(port, Some("fine")));
    assert_eq!(bench.find(), Finding::Ready(WORKER));
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let port = server(|_, stream| {
        for byte in OK {
            stream.write_all(&[*byte]).unwrap();
            thread::yield_now();
        }
    });
    assert_eq!(Bench::until_ready(http(port, Some("fine"))).find(), Finding::Ready(WORKER));
}

#[test]
fn a_worker_hangs_after_failures_probes_in_a_row() {
    let (kept, held) = std::sync::mpsc::channel();
    let port = server(move |n, stream| match n {
        // One that answers in between begins the count anew.
        1 => stream.write_all(OK).unwrap(),
        _ => kept.send(stream.try_clone().unwrap()).unwrap(),
    });
    let mut bench = Bench::while_alive(AliveBy::Probe(http(port, None)), 40, 20);
    let failure = ProbeFailure::NoAnswer(Duration::from_millis(20));
    assert_eq!(bench.find(), Finding::Hung(WORKER, failure));
    assert_eq!(held.try_iter().count(), 3);
    assert_eq!(bench.probes.next_deadline(), None, "it is not probed any more");
}

#[test]
fn a_worker_that_stops_notifying_hangs() {
    let mut bench = Bench::while_alive(AliveBy::Notify, 200, 100);
    let halfway = bench.began + Duration::from_millis(150);
    bench.probes.on_alive(WORKER, halfway);
    assert_eq!(bench.probes.next_deadline(), Some(halfway + Duration::from_millis(200)));
    let failure = ProbeFailure::Silent(Duration::from_millis(200));
    assert_eq!(bench.find(), Finding::Hung(WORKER, failure));
}

fn command() -> Probe {
    Probe::Exec { argv: vec!["probe".into()] }
}

impl Bench {
    /// The command that is asked for next runs under this id.
    fn starts(&mut self, purpose: Purpose, probe: ProbeId) {
        assert_eq!(self.find(), Finding::StartProbe(WORKER, purpose));
        self.probes.on_started(WORKER, probe);
    }

    fn exits(&mut self, probe: ProbeId, exit: Exit) -> Option<Finding> {
        self.probes.on_exit(probe, exit, Instant::now(), &mut self.poller.registrar())
    }

    fn stop(&mut self, worker: WorkerId) -> Option<ProbeId> {
        self.probes.stop(worker, &mut self.poller.registrar())
    }
}

#[test]
fn a_probe_command_is_started_judged_and_killed_at_its_timeout() {
    let mut bench = Bench::while_alive(AliveBy::Probe(command()), 10, 30);
    bench.starts(Purpose::Alive, ProbeId(1));
    assert_eq!(bench.exits(ProbeId(1), Exit::Code(2)), None);
    bench.starts(Purpose::Alive, ProbeId(2));
    assert_eq!(bench.exits(ProbeId(2), Exit::Code(0)), None, "the count begins again");
    bench.starts(Purpose::Alive, ProbeId(3));
    assert_eq!(bench.find(), Finding::KillProbe(ProbeId(3)));
    assert_eq!(bench.probe_for(Duration::ZERO), None, "it is a failure now");
    assert_eq!(bench.exits(ProbeId(3), Exit::Signal(9)), None);
    bench.starts(Purpose::Alive, ProbeId(4));
    let failure = ProbeFailure::Exited(Exit::Code(7));
    let hung = Finding::Hung(WORKER, failure);
    assert_eq!(bench.exits(ProbeId(4), Exit::Code(7)), Some(hung));
}

#[test]
fn a_probe_command_that_sigkill_does_not_end_fails_and_no_other_one_is_started() {
    let mut bench = Bench::while_alive(AliveBy::Probe(command()), 10, 30);
    bench.starts(Purpose::Alive, ProbeId(1));
    assert_eq!(bench.find(), Finding::KillProbe(ProbeId(1)));
    let failure = ProbeFailure::NoAnswer(Duration::from_millis(30));
    assert_eq!(bench.find(), Finding::Hung(WORKER, failure), "it has failed twice");
    assert_eq!(bench.exits(ProbeId(1), Exit::Signal(9)), None, "that comes too late");
}

#[test]
fn a_failure_of_pm_does_not_count_against_the_worker() {
    let mut bench = Bench::while_alive(AliveBy::Probe(command()), 1, 1);
    let why = "probe: not found on PATH".to_owned();
    for n in 0..5 {
        assert_eq!(bench.find(), Finding::StartProbe(WORKER, Purpose::Alive));
        let registrar = &mut bench.poller.registrar();
        let found = bench.probes.on_start_failed(WORKER, why.clone(), Instant::now(), registrar);
        let failure = ProbeFailure::CannotStart(why.clone());
        let said_once = (n == 0).then_some(Finding::NotWatched(WORKER, failure));
        assert_eq!(found, said_once);
    }
}

#[test]
fn a_worker_that_is_not_probed_any_more_is_not_judged_by_a_late_exit() {
    let mut bench = Bench::until_ready(command());
    assert_eq!(bench.stop(WorkerId { generation: 2, ..WORKER }), None);
    bench.starts(Purpose::Ready, ProbeId(1));
    assert_eq!(bench.stop(WORKER), Some(ProbeId(1)), "its command is to be killed");
    assert_eq!(bench.stop(WORKER), None);
    assert_eq!(bench.probes.next_deadline(), None);
    assert_eq!(bench.exits(ProbeId(1), Exit::Code(0)), None);
}

#[test]
fn the_exit_of_an_older_command_is_not_taken_for_that_of_the_one_that_runs() {
    let mut bench = Bench::until_ready(command());
    bench.starts(Purpose::Ready, ProbeId(1));
    // A reload asks for another probe of the same worker.
    assert_eq!(bench.stop(WORKER), Some(ProbeId(1)));
    let (began, registrar) = (bench.began, &mut bench.poller.registrar());
    bench.probes.await_ready(WORKER, command(), None, began, registrar);
    bench.starts(Purpose::Ready, ProbeId(2));
    assert_eq!(bench.exits(ProbeId(1), Exit::Code(0)), None);
    assert_eq!(bench.exits(ProbeId(2), Exit::Code(0)), Some(Finding::Ready(WORKER)));
}

#[test]
fn a_thousand_workers_that_became_ready_together_are_not_probed_together() {
    let mut bench = Bench::without_probes();
    let (every, failures) = (Duration::from_secs(5), NonZeroU32::MIN);
    for slot in 0..1_000 {
        let by = AliveBy::Probe(Probe::Tcp { port: 1 });
        let alive = Alive { by, every, timeout: every, failures };
        let worker = WorkerId { slot: SlotId(slot), generation: 1 };
        bench.probes.keep_alive(worker, alive, bench.began, &mut bench.poller.registrar());
    }
    let mut most = 0;
    for tenth in 0..50 {
        let from = bench.began + Duration::from_millis(100) * tenth;
        let to = from + Duration::from_millis(100);
        let due = bench.probes.due.iter().filter(|(at, _)| (from..to).contains(at)).count();
        most = most.max(due);
    }
    assert!(most <= 25, "{most} in a tenth of a second, where 20 would be even");
}
