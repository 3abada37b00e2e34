//! Which fault comes when, and to which worker. The same seed gives the same faults. Values only: times count from the
//! beginning.

use std::time::Duration;

use super::Fault;
use crate::cli::remote::args::Rate;

pub struct Schedule {
    random: fastrand::Rng,
    series: Vec<Series>,
}

/// Faults of one kind.
struct Series {
    fault: Fault,
    mean: Duration,
    next: Duration,
}

impl Schedule {
    pub fn new(seed: u64, rates: &[(Fault, Rate)]) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let series = rates.iter().map(|(fault, rate)| {
            let mean = rate.mean();
            Series { fault: *fault, mean, next: pause(&mut random, mean) }
        });
        let series = series.collect();
        Self { random, series }
    }

    /// When the next fault is due.
    pub fn next(&self) -> Option<Duration> {
        self.series.iter().map(|series| series.next).min()
    }

    /// The fault that is due by now, if one is. The next one of its kind counts from now.
    pub fn take(&mut self, now: Duration) -> Option<Fault> {
        let due = self.series.iter_mut().filter(|series| series.next <= now);
        let series = due.min_by_key(|series| series.next)?;
        series.next = now + pause(&mut self.random, series.mean);
        Some(series.fault)
    }

    /// One of these, each as likely as the others.
    pub fn choose<'a>(&mut self, of: &[&'a str]) -> Option<&'a str> {
        self.random.choice(of).copied()
    }
}

/// From one fault to the next: half of the mean to one and a half of it, so that no two fall together and none can be
/// foreseen.
fn pause(random: &mut fastrand::Rng, mean: Duration) -> Duration {
    mean.mul_f64(0.5 + random.f64())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate { count: NonZeroU32::new(count).unwrap(), time: Duration::from_secs(seconds) }
    }

    /// The faults of this time, each with its moment and its slot.
    fn faults(seed: u64, rates: &[(Fault, Rate)], seconds: u64) -> Vec<(Duration, Fault, String)> {
        let mut schedule = Schedule::new(seed, rates);
        let mut faults: Vec<(Duration, Fault, String)> = Vec::new();
        while let Some(at) = schedule.next().filter(|at| *at < Duration::from_secs(seconds)) {
            let fault = schedule.take(at).unwrap();
            assert!(faults.last().is_none_or(|(last, ..)| *last <= at));
            faults.push((at, fault, schedule.choose(&["web.1", "web.2"]).unwrap().to_owned()));
        }
        faults
    }

    #[test]
    fn faults_come_as_often_as_was_asked_for_to_all_slots_and_by_a_seed() {
        let rates = [(Fault::Kill, rate(1, 20)), (Fault::Stop, rate(1, 60))];
        let all = faults(7, &rates, 36_000);
        let count = |fault| all.iter().filter(|(_, is, _)| *is == fault).count();
        assert!((1_700..1_900).contains(&count(Fault::Kill)), "{}", count(Fault::Kill));
        assert!((550..650).contains(&count(Fault::Stop)), "{}", count(Fault::Stop));
        let of_first = all.iter().filter(|(.., slot)| slot == "web.1").count();
        assert!((1_000..1_400).contains(&of_first), "{of_first}");
        assert_eq!(all, faults(7, &rates, 36_000));
        assert_ne!(all, faults(8, &rates, 36_000));
    }

    #[test]
    fn nothing_is_due_before_its_time_and_nothing_is_chosen_of_none() {
        let mut schedule = Schedule::new(1, &[(Fault::Kill, rate(1, 20))]);
        assert_eq!(schedule.take(Duration::from_secs(9)), None);
        assert_eq!(schedule.take(Duration::from_secs(31)), Some(Fault::Kill));
        assert_eq!(schedule.choose(&[]), None);
        assert_eq!(Schedule::new(1, &[]).next(), None);
    }
}
