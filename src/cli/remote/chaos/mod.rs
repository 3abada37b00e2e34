//! `pm chaos`: kills, stops and hangs workers of a running pm on purpose, and prints what that has cost.
//!
//! [`schedule`] decides which fault comes when and where, [`record`] has what became of the slots, [`report`] what is
//! printed of it. It sees and does nothing but what the API offers.

mod record;
mod report;
mod schedule;

use std::os::fd::AsFd;
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::record::Record;
use self::report::Report;
use self::schedule::Schedule;
use super::args::{ChaosArgs, Rate, TargetArgs};
use super::deadline::Deadline;
use super::failure::Failure;
use super::print::{Printer, printable, stderr_line};
use super::session::{Session, event};
use super::times::of_day;
use crate::cli::exit_status::{NOT_SO, STOPPED};
use crate::client::{ClientError, Lines, Request};
use crate::plan::text::{duration, phrase};
use crate::sys::own_terminal::{self, Told, Watch};
use crate::wire::{Done, Kill, Status, Time};

/// What is done to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Stop,
    Hang,
}

impl Fault {
    fn signal(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Stop => "SIGTERM",
            Self::Hang => "SIGSTOP",
        }
    }
}

/// After the last fault, slots are waited for at most this long.
const COME_BACK_WITHIN: Duration = Duration::from_secs(60);

/// A worker that got SIGTERM is waited for at most this long: it may ignore that.
const STOP_WITHIN: Duration = Duration::from_secs(10);

const EVERY_20_SECONDS: &str = "1/20s";

/// Causes faults, and prints what they have cost.
///
/// # Errors
/// If there is no pm or no such slot, if the plan does not allow it, or if no worker is ready.
pub fn chaos(args: &ChaosArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.target.place)?;
    let (status, _) = session.status(&args.slots)?;
    check(args, &status)?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u32(..).into());
    let mut chaos = Chaos {
        schedule: Schedule::new(seed, &rates(args)),
        record: Record::new(&status.slots),
        hangs: Vec::new(),
        hang_for: args.hang_for,
        is_pausing: false,
        over: Deadline::after(Some(args.time)),
        time: args.time,
        // From here on a signal does not end the command before the workers that hang continue.
        watch: Watch::begin().map_err(set_up)?,
        events: session.events_after(status.seq)?,
        session,
    };
    let failed_before = chaos.failed_probes()?;
    let names: Vec<_> = chaos.record.slots.iter().map(|slot| &slot.name).collect();
    let time = duration::words(args.time);
    stderr_line(&format!("{time} of chaos on {}, --seed {seed}", phrase::list_and(&names)));
    let begin = Timestamp::now();
    let ended_by = chaos.cause_faults()?;
    chaos.continue_all()?;
    let end = Timestamp::now();
    let ended_by = match ended_by {
        None => chaos.wait_settled()?,
        signal => signal,
    };
    chaos.record.end(Timestamp::now());
    let watched = Duration::try_from(end.duration_since(begin)).unwrap_or_default();
    let failed = chaos.failed_probes()?.saturating_sub(failed_before);
    let report = Report::of(&chaos.record, watched, seed, failed);
    print(&report, &args.target)?;
    if let Some(signal) = ended_by {
        // Nothing comes after it.
        let _ = own_terminal::end_by(signal);
    }
    Ok(if report.missing.is_empty() { STOPPED } else { NOT_SO })
}

fn rates(args: &ChaosArgs) -> Vec<(Fault, Rate)> {
    let given = [(Fault::Kill, args.kill), (Fault::Stop, args.stop), (Fault::Hang, args.hang)];
    let rates: Vec<_> =
        given.into_iter().filter_map(|(fault, rate)| Some((fault, rate?))).collect();
    if rates.is_empty() {
        let rate = super::args::rate(EVERY_20_SECONDS).expect("a constant");
        return vec![(Fault::Kill, rate)];
    }
    rates
}

/// # Errors
/// If there may be no chaos, or none can be.
fn check(args: &ChaosArgs, status: &Status) -> Result<(), Failure> {
    if !status.pm.chaos && !args.yes {
        let plan = status.pm.plan.as_deref().map(printable);
        let words = match plan {
            Some(plan) => {
                format!("{plan} does not say `chaos = true`; `--yes` does it all the same")
            }
            None => {
                "this pm runs no pm.toml that says `chaos = true`; `--yes` does it all the same"
                    .into()
            }
        };
        return Err(Failure::Usage(format!(
            "workers are killed only where that is wanted: {words}"
        )));
    }
    if Record::new(&status.slots).serving().is_empty() {
        return Err(Failure::Usage(
            "no worker is ready yet; `pm wait all` waits until they are".into(),
        ));
    }
    Ok(())
}

fn set_up(source: std::io::Error) -> Failure {
    ClientError::Io { step: "catch signals beside", source }.into()
}

fn print(report: &Report, target: &TargetArgs) -> Result<(), Failure> {
    let mut printer = Printer::new();
    if target.json {
        printer.json(report)?;
    } else {
        printer.bytes(report.text().as_bytes())?;
    }
    printer.flush()
}

struct Chaos {
    schedule: Schedule,
    record: Record,
    /// The workers that hang, with their generations, and when they continue at the latest.
    hangs: Vec<(String, u64, Deadline)>,
    hang_for: Duration,
    /// It was said that no worker is ready.
    is_pausing: bool,
    over: Deadline,
    time: Duration,
    watch: Watch,
    events: Lines,
    session: Session,
}

impl Chaos {
    /// Returns the signal that has ended it before its time.
    fn cause_faults(&mut self) -> Result<Option<i32>, Failure> {
        loop {
            let left = self.over.left().unwrap_or_default();
            if left.is_zero() {
                return Ok(None);
            }
            let now = self.time.saturating_sub(left);
            if let Some(fault) = self.schedule.take(now) {
                self.cause(fault)?;
                continue;
            }
            self.continue_those_that_are_due()?;
            let next = self.schedule.next().map_or(left, |next| next.saturating_sub(now));
            if let Some(signal) = self.watch_for(next.min(left))? {
                return Ok(Some(signal));
            }
        }
    }

    /// Waits until every slot serves or has given up. Returns the signal that has ended the wait.
    fn wait_settled(&mut self) -> Result<Option<i32>, Failure> {
        let patience = Deadline::after(Some(COME_BACK_WITHIN));
        if !self.record.is_settled() {
            stderr_line(&format!("waiting for {}", phrase::list_and(&self.record.missing())));
        }
        let stops = Deadline::after(Some(STOP_WITHIN));
        loop {
            let is_stopping = self.record.is_any_stopping();
            let deadline = match (self.record.is_settled(), is_stopping) {
                (true, false) => break,
                (true, true) => stops,
                (false, _) => patience,
            };
            let left = deadline.left().unwrap_or_default();
            if left.is_zero() {
                break;
            }
            if let Some(signal) = self.watch_for(left)? {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }

    fn cause(&mut self, fault: Fault) -> Result<(), Failure> {
        self.take_events()?;
        let serving = self.record.serving();
        let Some(name) = self.schedule.choose(&serving).map(str::to_owned) else {
            if !std::mem::replace(&mut self.is_pausing, true) {
                say("no worker is ready: no fault until one is");
            }
            return Ok(());
        };
        self.is_pausing = false;
        let at = Timestamp::now();
        let Some(worker) = self.send(&name, fault.signal())? else { return Ok(()) };
        self.record.note_fault(&name, worker, fault, at);
        if fault == Fault::Hang {
            self.hangs.push((name.clone(), worker, Deadline::after(Some(self.hang_for))));
        }
        say(&format!("{} to {name}, generation {worker}", fault.signal()));
        Ok(())
    }

    /// Returns the generation of the worker that has got the signal, if there was one.
    fn send(&self, name: &str, signal: &str) -> Result<Option<u64>, Failure> {
        let kill = Kill { slots: vec![name.to_owned()], signal: signal.to_owned() };
        let (done, _) = self.session.ask::<Done>(&Request::post("/v1/kill", &kill))?;
        let worker = done.slots.first().and_then(|slot| slot.worker.as_ref());
        Ok(worker.map(|worker| worker.generation))
    }

    fn continue_those_that_are_due(&mut self) -> Result<(), Failure> {
        let is_due = |deadline: &Deadline| deadline.left().is_some_and(|left| left.is_zero());
        let due = self.hangs.extract_if(.., |(_, _, deadline)| is_due(deadline));
        for (name, generation, _) in due.collect::<Vec<_>>() {
            self.let_continue(&name, generation)?;
        }
        Ok(())
    }

    fn continue_all(&mut self) -> Result<(), Failure> {
        for (name, generation, _) in std::mem::take(&mut self.hangs) {
            self.let_continue(&name, generation)?;
        }
        Ok(())
    }

    fn let_continue(&mut self, name: &str, generation: u64) -> Result<(), Failure> {
        self.take_events()?;
        if self.record.is_hanging(name, generation) {
            self.send(name, "SIGCONT")?;
            self.record.note_continued(name, generation, Timestamp::now());
            say(&format!("{name}, generation {generation}, continues: pm did not notice its hang"));
        }
        Ok(())
    }

    /// Sees what happens for at most this long, or until a worker that hangs is to continue. Returns the signal that
    /// ends the command.
    fn watch_for(&mut self, time: Duration) -> Result<Option<i32>, Failure> {
        let hangs = self.hangs.iter().filter_map(|(_, _, deadline)| deadline.left());
        let time = hangs.min().map_or(time, |hang| hang.min(time));
        // Rounded up: what is due then is due indeed.
        let time = time + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut polled = [
            PollFd::new(self.events.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.watch.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(set_up(errno.into())),
        }
        let [has_events, has_signals] = polled.map(|polled| polled.any() != Some(false));
        for told in if has_signals { self.watch.take() } else { Vec::new() } {
            match told {
                Told::End(signal) => return Ok(Some(signal)),
                Told::Stop => own_terminal::stop(),
                Told::Continued | Told::Resized => {}
            }
        }
        if has_events {
            self.events.read()?;
        }
        self.take_events()?;
        Ok(None)
    }

    /// Notes the events that have arrived.
    fn take_events(&mut self) -> Result<(), Failure> {
        while let Some(line) = self.events.arrived() {
            if let Some((name, gap)) = self.record.note_event(&event(&line)?) {
                let gap = Duration::from_millis(u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
                say(&format!("{name} is ready again after {}", duration::words(gap)));
            }
        }
        if self.events.has_ended() { Err(ClientError::Ended.into()) } else { Ok(()) }
    }

    /// Of all pools since pm was started.
    fn failed_probes(&self) -> Result<u64, Failure> {
        let answer = self.session.begin(&Request::get("/metrics"))?.answer()?;
        Ok(sum_of(&answer.text(), "pm_probe_failures_total"))
    }
}

/// The sum of all series of a family.
fn sum_of(metrics: &str, family: &str) -> u64 {
    let of_family =
        |line: &&str| line.strip_prefix(family).is_some_and(|rest| rest.starts_with('{'));
    let values = metrics.lines().filter(of_family).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

/// What happens meanwhile, with the time.
fn say(text: &str) {
    let now = Zoned::now();
    stderr_line(&format!("{} {text}", of_day(Time(now.timestamp()), &now)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_family_are_added() {
        let metrics = "# TYPE pm_probe_failures_total counter\n\
                       pm_probe_failures_total{pool=\"a\",slot=\"a.1\",kind=\"alive\"} 3\n\
                       pm_probe_failures_total{pool=\"a\",slot=\"a.2\",kind=\"ready\"} 4\n\
                       pm_probe_failures_total_other{pool=\"a\"} 5\n";
        assert_eq!(sum_of(metrics, "pm_probe_failures_total"), 7);
        assert_eq!(sum_of("", "pm_probe_failures_total"), 0);
    }
}
