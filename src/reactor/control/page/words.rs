//! What stands in the cells of the page. `page.js` has the same words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::reactor::clock::WallTime;
use crate::wire::{Death, Phase, SlotStatus, Time, Wanted};

/// A dot, as a picture in an address.
macro_rules! dot {
    ($colour:literal) => {
        concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E",
            "%3Ccircle cx='8' cy='8' r='7' fill='%23",
            $colour,
            "'/%3E%3C/svg%3E"
        )
    };
}

/// In a cell that has nothing to say.
pub const NOTHING: &str = "–";

/// A shape for a phase, so that no meaning is in colours alone.
pub fn shape(phase: Phase) -> &'static str {
    match phase {
        Phase::Ready => "●",
        Phase::Starting | Phase::Stopping | Phase::Killing => "◐",
        Phase::Backoff => "○",
        Phase::GivenUp => "✕",
        Phase::Idle => "◌",
    }
}

/// `ready`, `backoff, next try in 3s`
pub fn phase(slot: &SlotStatus, now: Time) -> String {
    match (slot.phase, slot.next_try_at) {
        (Phase::Backoff, Some(at)) => {
            // A wait that is almost over is one of a second.
            let left = between(now, at).as_secs() + 1;
            format!("backoff, next try in {}", time(Duration::from_secs(left)))
        }
        (Phase::GivenUp, _) => "gave up".into(),
        (Phase::Idle, _) => match slot.wanted {
            Wanted::Ended => "ended".into(),
            Wanted::Up if !slot.waits_for.is_empty() => {
                format!("waits for {}", slot.waits_for.join(", "))
            }
            Wanted::Up | Wanted::Down | Wanted::Gone => "stopped".into(),
        },
        (phase, _) => phase.written().into(),
    }
}

/// True if something is wanted of a slot that does not come to be.
pub fn is_in_trouble(slot: &SlotStatus) -> bool {
    matches!(slot.phase, Phase::Backoff | Phase::GivenUp)
}

/// `4 of 5 ready`
pub fn ready(slots: &[SlotStatus]) -> String {
    let wanted = slots.iter().filter(|slot| slot.wanted == Wanted::Up);
    let ready = wanted.clone().filter(|slot| slot.phase == Phase::Ready).count();
    format!("{ready} of {} ready", wanted.count())
}

/// The whole path of a plan, with `~` for the home folder; without a file, the folder in which pm runs.
pub fn place(plan: Option<&str>) -> String {
    let path = path(plan);
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    let below = home.as_ref().and_then(|home| path.strip_prefix(home).ok());
    match below {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

/// What a run is called: the folder of its plan, or in which it runs.
pub fn name(plan: Option<&str>) -> String {
    let path = path(plan);
    let folder = if plan.is_some() { path.parent() } else { Some(&*path) };
    let name = folder.and_then(Path::file_name).or(path.file_name());
    name.map_or("pm".into(), |name| name.to_string_lossy().into_owned())
}

fn path(plan: Option<&str>) -> PathBuf {
    let plan = plan.unwrap_or(".");
    std::path::absolute(plan).unwrap_or_else(|_| plan.into())
}

/// `(1) shop - pm`, with the number of slots in trouble.
pub fn title(trouble: usize, name: &str) -> String {
    if trouble == 0 { format!("{name} - pm") } else { format!("({trouble}) {name} - pm") }
}

/// The picture of the tab: a dot in the colour of the worst phase.
pub fn icon(slots: &[SlotStatus]) -> &'static str {
    if slots.iter().any(is_in_trouble) {
        dot!("c62828")
    } else if slots.iter().any(|slot| slot.wanted == Wanted::Up && slot.phase != Phase::Ready) {
        dot!("b26a00")
    } else {
        dot!("2e7d32")
    }
}

pub fn between(from: Time, to: Time) -> Duration {
    to.0.duration_since(from.0).try_into().unwrap_or_default()
}

/// The two largest units: `2m 3s`, `2d 3h`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// `1.2 %` of a core
pub fn cores(cores: f64) -> String {
    format!("{:.1} %", cores * 100.0)
}

/// `63 MB`
pub fn bytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes >= 1000.0 {
        format!("{:.1} GB", megabytes / 1e3)
    } else if megabytes >= 10.0 {
        format!("{megabytes:.0} MB")
    } else {
        format!("{megabytes:.1} MB")
    }
}

/// `exited 255 after 2.1s, 12s ago`
pub fn last_death(slot: &SlotStatus, now: Time) -> String {
    let Some(death) = &slot.last_death else { return NOTHING.into() };
    format!("{}, {} ago", briefly(death, &slot.slot), time(between(death.at, now)))
}

/// What pm said of a death, without the slot, and without what followed.
fn briefly<'a>(death: &'a Death, slot: &str) -> &'a str {
    let words = death.words.strip_prefix(slot).unwrap_or(&death.words).trim_start();
    words.split(';').next().unwrap_or(words)
}

/// `generation 7, 2026-11-25 12:01:09 UTC: web.2 exited 255 after 2.1s; starting generation 8`
pub fn death(death: &Death) -> String {
    let at = death.at.0.strftime("%Y-%m-%d %H:%M:%S");
    format!("Generation {}, {at} UTC: {}", death.generation, death.words)
}

/// A time for programs, and the time of day in UTC.
pub fn moment(at: WallTime) -> (String, String) {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    (String::from(Time(at)), at.strftime("%H:%M:%S").to_string())
}
