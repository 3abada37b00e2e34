//! What is wished of the exported files.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// What is wished of the files.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Names the whole: a target, a project, a job.
    pub name: String,
    /// The image of the containers, for engines that run containers.
    pub image: String,
    /// Each container runs its worker under `pm run --init`.
    pub with_pm: bool,
    /// Units confine their workers.
    pub hardened: bool,
    /// The values of `env_file` are written too.
    pub secrets: bool,
    /// What a pod of Kubernetes is for.
    pub pod_per: PodPer,
    /// The CPU that each worker requests of Kubernetes.
    pub cpu: Option<Cpu>,
    /// The number of pods of a pool, where Kubernetes may change it.
    pub autoscale: Option<PodRange>,
    /// How a job of Nomad is written.
    pub format: JobFormat,
}

/// How a job of Nomad is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JobFormat {
    /// A job specification, as people write it.
    #[default]
    Hcl,
    /// What Nomad's API takes.
    Json,
}

/// What a pod of Kubernetes is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PodPer {
    /// One worker.
    #[default]
    Slot,
    /// All workers of a pool, which pm keeps in it.
    Pool,
}

/// A part of a processor, in thousandths, as Kubernetes counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(u64);

/// The least and the greatest number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRange {
    pub least: u32,
    pub most: u32,
}

/// A text that is no part of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it like `500m` or `2`")]
pub struct NoCpu;

/// A text that is no range of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it like `3-30`: at least 1, and not more than the second number")]
pub struct NoRange;

impl Cpu {
    /// That of several workers together.
    pub fn of_workers(self, count: usize) -> Self {
        Self(self.0.saturating_mul(count as u64))
    }
}

impl FromStr for Cpu {
    type Err = NoCpu;

    fn from_str(text: &str) -> Result<Self, NoCpu> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| digits(text));
        let millis = match text.strip_suffix('m') {
            Some(millis) => number(millis).map(u64::from),
            None => number(text).map(|whole| u64::from(whole) * 1000),
        };
        millis.filter(|millis| *millis > 0).map(Self).ok_or(NoCpu)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(out, "{}", self.0 / 1000)
        } else {
            write!(out, "{}m", self.0)
        }
    }
}

impl FromStr for PodRange {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let (least, most) = text.split_once('-').ok_or(NoRange)?;
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_number).ok_or(NoRange)
        };
        let (least, most) = (number(least)?, number(most)?);
        let is_range = least > 0 && least <= most && i32::try_from(most).is_ok();
        is_range.then_some(Self { least, most }).ok_or(NoRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_processor_is_written_as_kubernetes_takes_it() {
        for (text, written) in [("500m", "500m"), ("2", "2"), ("2000m", "2"), ("1500m", "1500m")] {
            assert_eq!(text.parse::<Cpu>().unwrap().to_string(), written);
        }
        assert_eq!("250m".parse::<Cpu>().unwrap().of_workers(3).to_string(), "750m");
        for wrong in ["", "m", "0", "0m", "-1", "+1", "1.5", "1k", "99999999999"] {
            assert_eq!(wrong.parse::<Cpu>(), Err(NoCpu), "{wrong}");
        }
    }

    #[test]
    fn a_range_of_pods_has_two_numbers_in_their_order() {
        assert_eq!("3-30".parse(), Ok(PodRange { least: 3, most: 30 }));
        assert_eq!("1-1".parse(), Ok(PodRange { least: 1, most: 1 }));
        for wrong in ["", "3", "3-", "-3", "30-3", "0-3", "1-+3", "1-2-3", "1-4294967295"] {
            assert_eq!(wrong.parse::<PodRange>(), Err(NoRange), "{wrong}");
        }
    }
}
