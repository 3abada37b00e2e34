//! Looks at workers from outside: does a new one serve yet, does one that served still answer?
//!
//! A slot has one probe at most: until its worker is ready, or from then on. It looks, waits, and looks again; all of
//! it is non-blocking and part of the one poll loop. A command that looks is a child like any other: the reactor
//! starts it ([`Finding::Run`]) and the one reaper brings its end ([`Probes::has_looked`]).
//!
//! What a probe finds goes to the supervisor, which decides. Where to look next: [`attempt`] is one look at a port,
//! [`http`] the judgement of an answer, [`trouble`] what went wrong in words.

mod attempt;
mod http;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use self::attempt::{Attempt, Progress};
pub use self::trouble::Trouble;
use crate::plan::{Alive, AliveBy, Probe};
use crate::supervisor::{Exit, SlotId, WorkerId};
use crate::sys::ProbeId;

/// Between two looks at a worker that is not ready: short for one that has just begun, longer for one that takes its
/// time, and longer still where very many are looked at, so that it costs little however many there are.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);
const PAUSE_PART_OF_AGE: u32 = 8;
const MANY: usize = 20;
const PAUSE_PER_PROBE: Duration = Duration::from_millis(2);

/// Looks come on a grid of this, or of this part of their pause if that is finer, so that one wakeup serves several.
const GRID_MAX: Duration = Duration::from_millis(25);
const GRID_PART_OF_PAUSE: u32 = 8;

/// A look at a worker that is not ready has this long, then the next one begins.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// The probes of all slots.
#[derive(Debug)]
pub struct Probes {
    /// Where the grid begins.
    epoch: Instant,
    probes: BTreeMap<SlotId, Probing>,
    /// When each is to be looked after.
    due: BTreeSet<(Instant, SlotId)>,
    /// Those that the poll has told of.
    stirred: Vec<SlotId>,
}

#[derive(Debug)]
struct Probing {
    worker: WorkerId,
    aim: Aim,
    state: State,
    /// Its place in `due`.
    at: Option<Instant>,
    last_trouble: Option<Trouble>,
}

#[derive(Debug)]
enum Aim {
    /// The first look that succeeds is the last.
    Ready { check: Probe, began: Instant },
    /// So many looks in a row that fail are the last.
    Alive { alive: Alive, failures: u32 },
}

#[derive(Debug)]
enum State {
    Waiting,
    Looking(Attempt),
    /// A command looks; `None` until it is started.
    Running(Option<ProbeId>),
    /// A command took too long, was killed, and has not been reaped yet.
    Killed(ProbeId),
}

/// What comes of looking.
#[derive(Debug, PartialEq)]
pub enum Finding {
    Serves(WorkerId),
    Hangs(WorkerId, Trouble),
    /// The command that looks at this worker is to be started; then it is [`Probes::start_probe`] or
    /// [`Probes::cannot_look`].
    Run(WorkerId),
    /// The command that looks took too long and is to be killed.
    Kill(ProbeId),
}

impl Probes {
    pub fn new(now: Instant) -> Self {
        let (probes, due, stirred) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Self { epoch: now, probes, due, stirred }
    }

    /// Looks at a worker that has just been spawned, until it serves.
    pub fn await_ready(&mut self, worker: WorkerId, check: Probe, now: Instant) {
        // Nothing listens in the first moments.
        self.put(worker, Aim::Ready { check, began: now }, now + PAUSE_MIN);
    }

    /// Looks at a worker that serves, until it hangs.
    pub fn keep_watch(&mut self, worker: WorkerId, alive: Alive, now: Instant) {
        // Workers that became ready together are not looked at together.
        let first = match alive.by {
            AliveBy::Probe(_) => {
                self.on_grid(now + alive.every.mul_f64(share(worker.slot)), alive.every)
            }
            AliveBy::Notify => now + alive.every,
        };
        self.put(worker, Aim::Alive { alive, failures: 0 }, first);
    }

    /// Stops looking at this worker. Returns the command that looks, if one is under way and is to be killed.
    pub fn forget(&mut self, worker: WorkerId) -> Option<ProbeId> {
        if self.probes.get(&worker.slot).is_none_or(|probe| probe.worker != worker) {
            return None;
        }
        match self.take(worker.slot)?.state {
            State::Running(probe) => probe,
            State::Waiting | State::Looking(_) | State::Killed(_) => None,
        }
    }

    /// The command that looks at this worker has been started.
    pub fn start_probe(&mut self, worker: WorkerId, started: ProbeId) {
        if let Some(probe) =
            self.probes.get_mut(&worker.slot).filter(|probe| probe.worker == worker)
        {
            probe.state = State::Running(Some(started));
        }
    }

    /// The worker said that it is alive: its next word is due from now on.
    pub fn has_spoken(&mut self, worker: WorkerId, now: Instant) {
        if let Some(probe) = self.probes.get(&worker.slot).filter(|probe| probe.worker == worker)
            && let Aim::Alive { alive: Alive { by: AliveBy::Notify, every, .. }, .. } = &probe.aim
        {
            let at = now + *every;
            self.schedule(worker.slot, Some(at));
        }
    }

    /// A command that looked has ended. One that was forgotten is nobody's.
    pub fn has_looked(&mut self, ended: ProbeId, exit: Exit, now: Instant) -> Option<Finding> {
        let (slot, result) = self.probes.iter().find_map(|(slot, probe)| match probe.state {
            State::Running(Some(own)) if own == ended => match exit.is_success() {
                true => Some((*slot, Ok(()))),
                false => Some((*slot, Err(Trouble::Exit(exit)))),
            },
            State::Killed(own) if own == ended => {
                Some((*slot, Err(Trouble::NoAnswer(probe.aim.patience()))))
            }
            State::Waiting | State::Looking(_) | State::Running(_) | State::Killed(_) => None,
        })?;
        self.conclude(slot, result, now)
    }

    /// The command that looks could not be started.
    pub fn cannot_look(&mut self, worker: WorkerId, why: String, now: Instant) {
        self.conclude(worker.slot, Err(Trouble::CannotLook(why)), now);
    }

    /// What the last look at this slot's worker came by.
    pub fn last_trouble(&self, slot: SlotId) -> Option<&Trouble> {
        self.probes.get(&slot)?.last_trouble.as_ref()
    }

    /// The poll has told of the connection to this slot.
    pub fn stir(&mut self, slot: SlotId) {
        self.stirred.push(slot);
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Goes on with all that the poll has told of or that is due; call it until it returns `None`. `token` is what a
    /// slot's connections are known as to the poll.
    pub fn advance(
        &mut self,
        registry: &Registry,
        token: impl Fn(SlotId) -> Token,
        now: Instant,
    ) -> Option<Finding> {
        loop {
            let slot = match (self.stirred.pop(), self.due.first()) {
                (Some(slot), _) => slot,
                (None, Some((at, slot))) if *at <= now => *slot,
                (None, Some(_) | None) => return None,
            };
            if let Some(finding) = self.step(slot, registry, token(slot), now) {
                return Some(finding);
            }
        }
    }

    /// One slot's turn. Whatever was due is not due any more.
    fn step(
        &mut self,
        slot: SlotId,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Option<Finding> {
        let probe = self.probes.get_mut(&slot)?;
        let (worker, is_due) = (probe.worker, probe.at.is_some_and(|at| at <= now));
        let patience = probe.aim.patience();
        let progress = match std::mem::replace(&mut probe.state, State::Waiting) {
            // A late word about a connection that is closed by now.
            State::Waiting if !is_due => return None,
            State::Waiting => match probe.aim.check() {
                None => {
                    self.take(slot);
                    return Some(Finding::Hangs(worker, Trouble::Silent(patience)));
                }
                Some(check) => match Attempt::begin(check, registry, token) {
                    Some(progress) => progress,
                    None => {
                        probe.state = State::Running(None);
                        self.schedule(slot, Some(now + patience));
                        return Some(Finding::Run(worker));
                    }
                },
            },
            State::Looking(attempt) => match attempt.advance(registry) {
                Progress::Pending(_) if is_due => Progress::Failed(Trouble::NoAnswer(patience)),
                Progress::Pending(attempt) => {
                    probe.state = State::Looking(attempt);
                    return None;
                }
                decided @ (Progress::Passed | Progress::Failed(_)) => decided,
            },
            State::Running(Some(command)) if is_due => {
                probe.state = State::Killed(command);
                self.schedule(slot, None);
                return Some(Finding::Kill(command));
            }
            State::Running(None) if is_due => {
                // No command was started: there is none to wait for.
                probe.state = State::Running(None);
                self.schedule(slot, None);
                return None;
            }
            same @ (State::Running(_) | State::Killed(_)) => {
                probe.state = same;
                return None;
            }
        };
        match progress {
            Progress::Pending(attempt) => {
                probe.state = State::Looking(attempt);
                self.schedule(slot, Some(now + patience));
                None
            }
            Progress::Passed => self.conclude(slot, Ok(()), now),
            Progress::Failed(trouble) => self.conclude(slot, Err(trouble), now),
        }
    }

    /// A look is over: what follows from it, and when the next one is due.
    fn conclude(
        &mut self,
        slot: SlotId,
        result: Result<(), Trouble>,
        now: Instant,
    ) -> Option<Finding> {
        let more = self.probes.len().saturating_sub(MANY);
        let pause_min = PAUSE_MIN.max(PAUSE_PER_PROBE * u32::try_from(more).unwrap_or(u32::MAX));
        let probe = self.probes.get_mut(&slot)?;
        let worker = probe.worker;
        probe.state = State::Waiting;
        let pause = match (&mut probe.aim, &result) {
            (Aim::Ready { .. }, Ok(())) => {
                self.take(slot);
                return Some(Finding::Serves(worker));
            }
            (Aim::Ready { began, .. }, Err(_)) => {
                let age = now.saturating_duration_since(*began);
                (age / PAUSE_PART_OF_AGE).min(PAUSE_MAX).max(pause_min)
            }
            (Aim::Alive { alive, failures }, Ok(())) => {
                *failures = 0;
                alive.every
            }
            (Aim::Alive { alive, failures }, Err(trouble)) => {
                *failures += u32::from(trouble.is_its_own());
                if *failures >= alive.failures.get() {
                    let trouble = result.expect_err("matched");
                    self.take(slot);
                    return Some(Finding::Hangs(worker, trouble));
                }
                alive.every
            }
        };
        probe.last_trouble = result.err();
        let next = self.on_grid(now + pause, pause);
        self.schedule(slot, Some(next));
        None
    }

    /// The next moment of the grid.
    fn on_grid(&self, at: Instant, pause: Duration) -> Instant {
        let grid = GRID_MAX.min(pause / GRID_PART_OF_PAUSE).as_nanos().max(1);
        let past = at.saturating_duration_since(self.epoch).as_nanos() % grid;
        at + Duration::from_nanos(u64::try_from((grid - past) % grid).unwrap_or(0))
    }

    fn put(&mut self, worker: WorkerId, aim: Aim, at: Instant) {
        self.take(worker.slot);
        let (state, last_trouble) = (State::Waiting, None);
        self.probes.insert(worker.slot, Probing { worker, aim, state, at: None, last_trouble });
        self.schedule(worker.slot, Some(at));
    }

    fn take(&mut self, slot: SlotId) -> Option<Probing> {
        self.schedule(slot, None);
        self.probes.remove(&slot)
    }

    fn schedule(&mut self, slot: SlotId, at: Option<Instant>) {
        if let Some(probe) = self.probes.get_mut(&slot) {
            if let Some(before) = std::mem::replace(&mut probe.at, at) {
                self.due.remove(&(before, slot));
            }
            self.due.extend(at.map(|at| (at, slot)));
        }
    }
}

impl Aim {
    /// How long one look may take; of a worker that has promised to speak, how long it may be silent.
    fn patience(&self) -> Duration {
        match self {
            Self::Ready { .. } => LOOK_MAX,
            Self::Alive { alive: Alive { by: AliveBy::Probe(_), timeout, .. }, .. } => *timeout,
            Self::Alive { alive: Alive { by: AliveBy::Notify, every, .. }, .. } => *every,
        }
    }

    fn check(&self) -> Option<&Probe> {
        match self {
            Self::Ready { check, .. }
            | Self::Alive { alive: Alive { by: AliveBy::Probe(check), .. }, .. } => Some(check),
            Self::Alive { alive: Alive { by: AliveBy::Notify, .. }, .. } => None,
        }
    }
}

/// A number in 0..1, far from those of the neighbours: multiples of the golden ratio.
fn share(slot: SlotId) -> f64 {
    (slot.0 as f64 * 0.618_033_988_749_894_9).fract()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::num::NonZeroU32;
    use std::thread;

    use super::*;

    const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A loop of its own around some probes.
    struct Eye {
        poll: mio::Poll,
        probes: Probes,
        began: Instant,
    }

    impl Eye {
        fn on_ready(check: Probe) -> Self {
            let mut eye = Self::closed();
            eye.probes.await_ready(WORKER, check, eye.began);
            eye
        }

        fn on_alive(by: AliveBy, every_ms: u64, timeout_ms: u64) -> Self {
            let mut eye = Self::closed();
            let millis = Duration::from_millis;
            let (every, timeout) = (millis(every_ms), millis(timeout_ms));
            let alive = Alive { by, every, timeout, failures: NonZeroU32::new(2).unwrap() };
            eye.probes.keep_watch(WORKER, alive, eye.began);
            eye
        }

        fn closed() -> Self {
            let (poll, probes) = (mio::Poll::new().unwrap(), Probes::new(Instant::now()));
            Self { poll, probes, began: Instant::now() }
        }

        /// Looks until there is a finding, or this long.
        fn looks(&mut self, patience: Duration) -> Option<Finding> {
            let mut events = mio::Events::with_capacity(8);
            let until = Instant::now() + patience;
            loop {
                let now = Instant::now();
                let finding = self.probes.advance(self.poll.registry(), |slot| Token(slot.0), now);
                if finding.is_some() || now >= until {
                    return finding;
                }
                let due = self.probes.next_deadline().unwrap_or(until).min(until);
                let wait = due.saturating_duration_since(now) + Duration::from_millis(1);
                self.poll.poll(&mut events, Some(wait)).unwrap();
                events.iter().for_each(|event| self.probes.stir(SlotId(event.token().0)));
            }
        }

        /// Waits until a command is to be started, and starts it.
        fn starts(&mut self, id: u64) {
            assert_eq!(self.finds(), Finding::Run(WORKER));
            self.probes.start_probe(WORKER, ProbeId(id));
        }

        fn finds(&mut self) -> Finding {
            self.looks(PATIENCE).expect("a finding in time")
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
                let _ =
                    request.take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty())).count();
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
    fn a_listener_on_either_loopback_address_serves() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert_eq!(Eye::on_ready(Probe::Tcp { port }).finds(), Finding::Serves(WORKER));
        }
    }

    #[test]
    fn a_worker_that_listens_late_is_found() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut eye = Eye::on_ready(Probe::Tcp { port });
        assert_eq!(eye.looks(Duration::from_millis(100)), None);
        assert_eq!(eye.probes.last_trouble(WORKER.slot), Some(&Trouble::Refused(port)));
        let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(eye.finds(), Finding::Serves(WORKER));
    }

    #[test]
    fn a_server_that_fails_at_first_serves_once_it_answers_as_it_should() {
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
        let mut eye = Eye::on_ready(http(port, Some("fine")));
        assert_eq!(eye.finds(), Finding::Serves(WORKER));
    }

    #[test]
    fn an_answer_may_come_byte_by_byte() {
        let port = server(|_, stream| {
            for byte in OK {
                stream.write_all(&[*byte]).unwrap();
                thread::yield_now();
            }
        });
        assert_eq!(Eye::on_ready(http(port, Some("fine"))).finds(), Finding::Serves(WORKER));
    }

    #[test]
    fn a_worker_that_never_answers_hangs_after_so_many_looks_in_a_row() {
        let (kept, held) = std::sync::mpsc::channel();
        let port = server(move |n, stream| match n {
            // One that answers in between begins the count anew.
            1 => stream.write_all(OK).unwrap(),
            _ => kept.send(stream.try_clone().unwrap()).unwrap(),
        });
        let mut eye = Eye::on_alive(AliveBy::Probe(http(port, None)), 40, 20);
        let trouble = Trouble::NoAnswer(Duration::from_millis(20));
        assert_eq!(eye.finds(), Finding::Hangs(WORKER, trouble));
        assert_eq!(held.try_iter().count(), 3);
        assert_eq!(eye.probes.next_deadline(), None, "it is looked at no more");
    }

    #[test]
    fn a_worker_that_promised_to_speak_hangs_when_it_is_silent() {
        let mut eye = Eye::on_alive(AliveBy::Notify, 200, 100);
        let halfway = eye.began + Duration::from_millis(150);
        eye.probes.has_spoken(WORKER, halfway);
        assert_eq!(eye.probes.next_deadline(), Some(halfway + Duration::from_millis(200)));
        let trouble = Trouble::Silent(Duration::from_millis(200));
        assert_eq!(eye.finds(), Finding::Hangs(WORKER, trouble));
    }

    #[test]
    fn a_command_that_looks_is_started_judged_and_killed_if_it_takes_too_long() {
        let argv = vec!["look".into()];
        let mut eye = Eye::on_alive(AliveBy::Probe(Probe::Exec { argv }), 10, 30);
        let ends =
            |eye: &mut Eye, id, exit| eye.probes.has_looked(ProbeId(id), exit, Instant::now());
        eye.starts(0);
        assert_eq!(ends(&mut eye, 0, Exit::Code(2)), None);
        eye.starts(1);
        assert_eq!(ends(&mut eye, 1, Exit::Code(0)), None, "the count begins anew");
        eye.starts(2);
        assert_eq!(eye.finds(), Finding::Kill(ProbeId(2)));
        assert_eq!(eye.probes.next_deadline(), None, "until it is reaped");
        assert_eq!(ends(&mut eye, 2, Exit::Signal(9)), None);
        eye.starts(3);
        let trouble = Trouble::Exit(Exit::Code(7));
        assert_eq!(ends(&mut eye, 3, Exit::Code(7)), Some(Finding::Hangs(WORKER, trouble)));
    }

    #[test]
    fn what_is_not_the_workers_fault_does_not_count_against_it() {
        let argv = vec!["look".into()];
        let mut eye = Eye::on_alive(AliveBy::Probe(Probe::Exec { argv }), 1, 1);
        for _ in 0..5 {
            assert_eq!(eye.finds(), Finding::Run(WORKER));
            eye.probes.cannot_look(WORKER, "look: not found on PATH".into(), Instant::now());
        }
    }

    #[test]
    fn a_worker_that_is_forgotten_is_looked_at_no_more() {
        let argv = vec!["look".into()];
        let mut eye = Eye::on_ready(Probe::Exec { argv });
        assert_eq!(eye.probes.forget(WorkerId { generation: 2, ..WORKER }), None);
        eye.starts(0);
        assert_eq!(eye.probes.forget(WORKER), Some(ProbeId(0)), "it is still to be killed");
        assert_eq!(eye.probes.forget(WORKER), None);
        assert_eq!(eye.probes.next_deadline(), None);
        assert_eq!(eye.probes.has_looked(ProbeId(0), Exit::Code(0), Instant::now()), None);
    }

    #[test]
    fn the_end_of_an_earlier_command_is_not_that_of_a_later_one() {
        let argv: Vec<OsString> = vec!["look".into()];
        let mut eye = Eye::on_ready(Probe::Exec { argv: argv.clone() });
        eye.starts(0);
        // As a reload with another command does.
        assert_eq!(eye.probes.forget(WORKER), Some(ProbeId(0)));
        eye.probes.await_ready(WORKER, Probe::Exec { argv }, eye.began);
        eye.starts(1);
        assert_eq!(eye.probes.has_looked(ProbeId(0), Exit::Code(0), Instant::now()), None);
        let passed = eye.probes.has_looked(ProbeId(1), Exit::Code(0), Instant::now());
        assert_eq!(passed, Some(Finding::Serves(WORKER)));
    }

    #[test]
    fn a_thousand_that_became_ready_together_are_not_looked_at_together() {
        let mut eye = Eye::closed();
        let (every, failures) = (Duration::from_secs(5), NonZeroU32::MIN);
        for slot in 0..1_000 {
            let by = AliveBy::Probe(Probe::Tcp { port: 1 });
            let alive = Alive { by, every, timeout: every, failures };
            eye.probes.keep_watch(WorkerId { slot: SlotId(slot), generation: 1 }, alive, eye.began);
        }
        let mut most = 0;
        for tenth in 0..50 {
            let from = eye.began + Duration::from_millis(100) * tenth;
            let to = from + Duration::from_millis(100);
            let due = eye.probes.due.iter().filter(|(at, _)| (from..to).contains(at)).count();
            most = most.max(due);
        }
        assert!(most <= 25, "{most} in a tenth of a second, where 20 would be even");
    }
}
