//! The clock of a run: monotonic, read once a wakeup, and it does not advance while pm does not run. The time of day is
//! read beside it, for what people see; no deadline depends on it.
//!
//! A deadline therefore never passes while pm and its workers are stopped: by Ctrl-Z, where pm stops itself
//! ([`Clock::exclude`]); by SIGSTOP or the freezer of a control group, which pm learns of when it goes on
//! ([`Clock::exclude_wait`]); or with the whole machine, which only the late end of a wait shows.

use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::wire::Time;

/// A wait that ends this much later than it was asked to is not explained by a busy machine, whose delays are some ten
/// milliseconds: pm did not run. What is beyond the time that was asked for does not count. So even if it was a busy
/// machine, each deadline comes; only later.
const LATE: Duration = Duration::from_millis(250);

/// The time of day: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub u64);

/// One time, for deadlines and for people.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    pub wall: WallTime,
}

/// The time of the run, and how much of the machine's time does not count.
#[derive(Debug)]
pub struct Clock {
    now: Instant,
    wall: WallTime,
    /// When it was started, by the time of day.
    started: WallTime,
    /// What `now` was in the last wakeup.
    previous: Instant,
    /// When the wait was to end, if it was to end by itself.
    wait_until: Option<Instant>,
    suspended: Duration,
    /// No wait is excluded before this time ([`Clock::exclude_wait`]).
    no_exclusion_until: Instant,
}

impl Clock {
    /// A clock that has just been read.
    pub fn start() -> Self {
        let now = Instant::now();
        let wall = WallTime::now();
        Self {
            now,
            wall,
            started: wall,
            previous: now,
            wait_until: None,
            suspended: Duration::ZERO,
            no_exclusion_until: now,
        }
    }

    /// The time at the last [`Clock::end_wait`]: one wakeup sees one time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time of this very moment, for what is shorter than a wakeup.
    pub fn read(&self) -> Instant {
        self.current()
    }

    /// When it was started, in seconds since the Unix epoch.
    pub fn started_seconds(&self) -> f64 {
        self.started.seconds()
    }

    /// The time of day at this moment of the run, in seconds since the Unix epoch.
    pub fn seconds_of(&self, moment: Instant) -> f64 {
        let ahead = moment.saturating_duration_since(self.now).as_secs_f64();
        let ago = self.now.saturating_duration_since(moment).as_secs_f64();
        self.wall.seconds() + ahead - ago
    }

    /// The time of day, read now.
    pub fn time(&self) -> Time {
        Time(Timestamp::now())
    }

    /// The time of day at this moment of the run, if pm is not stopped between now and then.
    pub fn time_of(&self, moment: Instant) -> Time {
        let now = Timestamp::now();
        let shifted = match moment.checked_duration_since(self.now) {
            Some(ahead) => {
                SignedDuration::try_from(ahead).ok().and_then(|ahead| now.checked_add(ahead).ok())
            }
            None => {
                let ago = SignedDuration::try_from(self.now - moment).ok();
                ago.and_then(|ago| now.checked_sub(ago).ok())
            }
        };
        Time(shifted.unwrap_or(now))
    }

    /// The same time, with the time of day at which it was read.
    pub fn moment(&self) -> Moment {
        Moment { now: self.now, wall: self.wall }
    }

    /// From this very moment until `deadline`; zero if it has passed. For the timeout of the poll.
    pub fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.current())
    }

    /// The wait of the poll begins, for at most this long.
    pub fn begin_wait(&mut self, timeout: Option<Duration>) {
        self.wait_until = timeout.map(|timeout| self.current() + timeout);
    }

    /// Reads the machine's clock after a wait.
    pub fn end_wait(&mut self) {
        let now = self.current();
        self.wall = WallTime::now();
        self.end_wait_at(now);
    }

    fn end_wait_at(&mut self, now: Instant) {
        self.previous = self.now;
        let late = self.wait_until.map_or(Duration::ZERO, |end| now.saturating_duration_since(end));
        let excluded = if late >= LATE { late } else { Duration::ZERO };
        self.suspended += excluded;
        self.now = now - excluded;
    }

    /// pm was stopped and goes on: the time since the last wakeup does not count.
    ///
    /// pm cannot know at which moment of the wait it was stopped, so the whole wait is left out, if some deadline was
    /// waited for at all. A stream of SIGCONT must not hold the clock: between two such waits it advances by as much as
    /// the first was long.
    pub fn exclude_wait(&mut self) {
        if self.wait_until.is_none() || self.previous < self.no_exclusion_until {
            return;
        }
        let excluded = self.now.saturating_duration_since(self.previous);
        self.suspended += excluded;
        self.now = self.previous;
        self.no_exclusion_until = self.now + excluded;
    }

    /// Runs `suspend`, which returns when pm is continued, and takes its duration out of the run's time.
    pub fn exclude(&mut self, suspend: impl FnOnce()) {
        let began = Instant::now();
        suspend();
        self.suspended += began.elapsed();
    }

    fn current(&self) -> Instant {
        let now = Instant::now();
        // `suspended` is a part of the time that the machine has been up, so the subtraction cannot fail.
        now.checked_sub(self.suspended).unwrap_or(now)
    }
}

impl WallTime {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The same, in seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_while_suspended_does_not_count() {
        let mut clock = Clock::start();
        let (before, began) = (clock.now(), Instant::now());
        let long = Duration::from_millis(30);
        clock.exclude(|| while began.elapsed() < long {});
        clock.end_wait();
        assert!(clock.now() - before < began.elapsed() - long + Duration::from_millis(1));
    }

    /// What the clock advances by in a wait that is asked to take `asked` and takes `took`, in milliseconds.
    fn advance(clock: &mut Clock, asked: Option<u64>, took: u64) -> u64 {
        let before = clock.now();
        clock.wait_until = asked.map(|asked| before + Duration::from_millis(asked));
        clock.end_wait_at(before + Duration::from_millis(took));
        u64::try_from((clock.now() - before).as_millis()).unwrap()
    }

    #[test]
    fn what_a_wait_takes_far_beyond_its_end_does_not_count() {
        let mut clock = Clock::start();
        assert_eq!(advance(&mut clock, Some(1_000), 400), 400);
        assert_eq!(advance(&mut clock, Some(1_000), 1_200), 1_200, "a busy machine");
        assert_eq!(advance(&mut clock, Some(1_000), 9_000), 1_000);
        assert_eq!(advance(&mut clock, Some(0), 300), 0);
        assert_eq!(advance(&mut clock, None, 9_000), 9_000, "no deadline was waited for");
        assert_eq!(clock.suspended, Duration::from_millis(8_300));
    }

    #[test]
    fn a_wait_in_which_pm_was_stopped_does_not_count() {
        let mut clock = Clock::start();
        let before = clock.now();
        advance(&mut clock, Some(5_000), 4_000);
        clock.exclude_wait();
        assert_eq!(clock.now(), before);
        // pm is told again and again that it goes on.
        for _ in 0..8 {
            advance(&mut clock, Some(5_000), 1_000);
            clock.exclude_wait();
        }
        assert!(clock.now() - before >= Duration::from_secs(4), "the clock is not held");
    }

    #[test]
    fn a_stop_while_nothing_is_waited_for_changes_no_age() {
        let mut clock = Clock::start();
        let before = clock.now();
        advance(&mut clock, None, 5_000);
        clock.exclude_wait();
        assert_eq!(clock.now() - before, Duration::from_secs(5));
    }
}
