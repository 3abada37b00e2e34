//! When to report what delays a stop: a worker that is not gone is reported, with the time left until SIGKILL.
//!
//! A few workers are named with their processes, which have to be searched for; the others are counted. So a report
//! costs the same however many workers delay the stop, and most wakeups look at no worker at all.

use std::time::{Duration, Instant};

use crate::supervisor::{Phase, RetiringPhase, Slot, SparePhase, Supervisor, WorkerId};

/// The first report, and the shortest pause between two.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The pause is this part of the time left: a long grace is not counted down second by second.
const PAUSE_PART_OF_TIME_LEFT: u32 = 4;

/// At most this many workers are named with their processes at one time.
pub const NAMED_MAX: usize = 5;

/// The schedule of these reports.
#[derive(Debug, Default)]
pub struct StopProgress {
    next: Option<Instant>,
    /// When graces were last over, and how many workers were named then.
    graces_over: Option<(Instant, usize)>,
}

/// What delays a stop now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// At most [`NAMED_MAX`].
    pub named: Vec<Delay>,
    pub more: MoreDelays,
}

/// A worker that is to be gone and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// SIGKILL follows after this time.
    Stopping(WorkerId, Duration),
    /// SIGKILL was sent.
    Killing(WorkerId),
}

/// How many workers delay a stop besides those that are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoreDelays {
    pub stopping: usize,
    /// Until the first of those that are stopping is sent SIGKILL.
    pub left: Duration,
    pub killing: usize,
}

impl StopProgress {
    /// The delays to report now: none before it is time, or while no worker is stopping.
    pub fn due(&mut self, supervisor: &Supervisor, now: Instant) -> Delays {
        if !supervisor.is_any_ending() {
            self.next = None;
            return Delays::default();
        }
        let next = *self.next.get_or_insert(now + PAUSE_MIN);
        if now < next {
            return Delays::default();
        }
        let delays: Vec<_> = supervisor.ending().flat_map(|slot| Delay::of(slot, now)).collect();
        let pause = delays.iter().map(Delay::pause).min().unwrap_or_default();
        self.next = Some(now + pause.max(PAUSE_MIN));
        Delays::of(delays)
    }

    /// A worker was sent SIGKILL: if it is there after [`PAUSE_MIN`], it is reported then, however long the grace was.
    pub fn on_killed(&mut self, now: Instant) {
        self.next = self.next.map(|next| next.min(now + PAUSE_MIN));
    }

    /// The next report is due now, if there is anything to report.
    pub fn hasten(&mut self, now: Instant) {
        self.next = self.next.map(|_| now);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The grace of a worker is over. True if it is one of the few that are named with their processes: where the
    /// graces of a thousand are over at once, the search must not delay their SIGKILL.
    pub fn names_grace_over(&mut self, now: Instant) -> bool {
        let named = self.graces_over.filter(|(at, _)| *at == now).map_or(0, |(_, named)| named);
        self.graces_over = Some((now, named + 1));
        named < NAMED_MAX
    }
}

impl Delay {
    /// Those of the workers of this slot.
    fn of(slot: &Slot, now: Instant) -> impl Iterator<Item = Self> {
        let stopping = |worker, kill_at: Instant| {
            Some(Self::Stopping(worker, kill_at.saturating_duration_since(now)))
        };
        // SIGKILL takes a moment.
        let killing =
            |worker, since: Instant| (now >= since + PAUSE_MIN).then_some(Self::Killing(worker));
        let current = match slot.phase() {
            Phase::Stopping { kill_at, .. } => stopping(slot.worker(), kill_at),
            Phase::Killing { since, .. } => killing(slot.worker(), since),
            Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } => None,
            Phase::Backoff { .. } | Phase::GivenUp => None,
        };
        let spare = slot.spare().and_then(|(worker, phase)| match phase {
            SparePhase::Stopping { kill_at, .. } => stopping(worker, kill_at),
            SparePhase::Killing { since, .. } => killing(worker, since),
            SparePhase::Starting { .. } | SparePhase::Waiting { .. } => None,
            SparePhase::Backoff { .. } | SparePhase::GivenUp => None,
        });
        let retiring = slot.retiring().and_then(|(worker, phase)| match phase {
            RetiringPhase::Serving => None,
            RetiringPhase::Stopping { kill_at, .. } => stopping(worker, kill_at),
            RetiringPhase::Killing { since, .. } => killing(worker, since),
        });
        [current, spare, retiring].into_iter().flatten()
    }

    pub fn worker(self) -> WorkerId {
        match self {
            Self::Stopping(worker, _) | Self::Killing(worker) => worker,
        }
    }

    /// Until it is reported again.
    fn pause(&self) -> Duration {
        match self {
            Self::Stopping(_, left) => *left / PAUSE_PART_OF_TIME_LEFT,
            Self::Killing(_) => Duration::ZERO,
        }
    }
}

impl Delays {
    fn of(mut named: Vec<Delay>) -> Self {
        let others = named.split_off(named.len().min(NAMED_MAX));
        let stopping = || {
            others.iter().filter_map(|delay| match delay {
                Delay::Stopping(_, left) => Some(*left),
                Delay::Killing(_) => None,
            })
        };
        let count = stopping().count();
        let more = MoreDelays {
            stopping: count,
            left: stopping().min().unwrap_or_default(),
            killing: others.len() - count,
        };
        Self { named, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{
        Event, Policy, PoolEntry, PoolId, Revision, SlotEntry, SlotId, TableSpec, Wish,
    };

    /// Workers that were asked to stop just now.
    fn stopping(workers: usize, grace: Duration, now: Instant) -> Supervisor {
        let policy = Policy { grace, ..Policy::default() };
        let (pool, revision) = (PoolId(0), Revision(1));
        let slots = (0..workers).map(SlotId);
        let entries = slots.clone().map(|slot| SlotEntry { slot, pool, policy, revision });
        let table = TableSpec {
            pools: vec![PoolEntry { pool, after: Vec::new(), ends_run: false, spares: 0 }],
            slots: entries.collect(),
        };
        let mut supervisor = Supervisor::new(table);
        slots.for_each(|slot| supervisor.handle(Event::Start(slot), now, &mut Vec::new()));
        assert_eq!(StopProgress::default().due(&supervisor, now), Delays::default());
        supervisor.handle(Event::Asked(Wish::Interrupt), now, &mut Vec::new());
        supervisor
    }

    #[test]
    fn a_grace_of_5_s_is_counted_down_each_second_and_a_minute_more_slowly() {
        for (grace, expected) in [(5, vec![4, 3, 2, 1]), (60, vec![59, 44, 33, 24])] {
            let mut now = Instant::now();
            let supervisor = stopping(1, Duration::from_secs(grace), now);
            let mut progress = StopProgress::default();
            assert_eq!(progress.next_deadline(), None);
            assert_eq!(progress.due(&supervisor, now), Delays::default());
            let mut reported = Vec::new();
            while reported.len() < 4 {
                now = progress.next_deadline().unwrap();
                match progress.due(&supervisor, now).named[..] {
                    [Delay::Stopping(_, left)] => reported.push(left.as_secs()),
                    ref other => panic!("{other:?}"),
                }
            }
            assert_eq!(reported, expected);
        }
    }

    #[test]
    fn of_many_delays_a_few_are_named_and_the_others_are_counted() {
        let began = Instant::now();
        let mut supervisor = stopping(1_000, Duration::from_secs(5), began);
        let mut progress = StopProgress::default();
        progress.due(&supervisor, began);
        let now = progress.next_deadline().unwrap();
        let delays = progress.due(&supervisor, now);
        let named: Vec<_> = delays.named.iter().map(|delay| delay.worker().slot.0).collect();
        assert_eq!(named, [0, 1, 2, 3, 4]);
        let left = Duration::from_secs(4);
        assert_eq!(delays.more, MoreDelays { stopping: 995, left, killing: 0 });
        assert_eq!(progress.due(&supervisor, now), Delays::default(), "once a round");
        supervisor.handle(Event::Asked(Wish::Interrupt), now, &mut Vec::new());
        let now = progress.next_deadline().unwrap();
        let more = progress.due(&supervisor, now).more;
        assert_eq!(more, MoreDelays { stopping: 0, left: Duration::ZERO, killing: 995 });
    }

    #[test]
    fn a_worker_that_is_there_after_sigkill_is_reported_a_second_later_and_no_earlier() {
        let mut now = Instant::now();
        let mut supervisor = stopping(1, Duration::from_secs(3_600), now);
        let mut progress = StopProgress::default();
        progress.due(&supervisor, now);
        now = progress.next_deadline().unwrap();
        assert_eq!(progress.due(&supervisor, now).named.len(), 1);
        supervisor.handle(Event::Asked(Wish::Interrupt), now, &mut Vec::new());
        progress.on_killed(now);
        assert_eq!(progress.next_deadline(), Some(now + PAUSE_MIN));
        // Another report that is due in this instant does not count it.
        progress.next = Some(now);
        assert_eq!(progress.due(&supervisor, now), Delays::default());
        now = progress.next_deadline().unwrap();
        assert!(matches!(progress.due(&supervisor, now).named[..], [Delay::Killing(_)]));
    }

    #[test]
    fn of_many_graces_that_are_over_at_once_a_few_are_named() {
        let (mut progress, now) = (StopProgress::default(), Instant::now());
        let named = (0..1_000).filter(|_| progress.names_grace_over(now)).count();
        assert_eq!(named, NAMED_MAX);
        assert!(progress.names_grace_over(now + Duration::from_secs(1)));
    }
}
