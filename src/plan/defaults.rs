//! What is used for a key or an option that is left out. The JSON schema and all readers take it from here.
//!
//! What the supervisor decides with (restart, backoff, grace, the time a worker without ports has to live) has its
//! defaults in [`Policy::default`].

use core::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::text::{duration, signal, size};
use crate::supervisor::Policy;

/// The signal that asks a worker to stop.
pub const STOP_SIGNAL: i32 = libc::SIGTERM;

/// The time a worker has to become ready.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// A spare is prepared once its worker has been ready for this long.
pub const SPARE_AFTER: Duration = Duration::from_millis(100);

/// The statuses of a good answer to an HTTP probe.
pub const HTTP_STATUS: RangeInclusive<u16> = 200..=399;

/// From one probe of a ready worker to the next.
pub const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// The longest time that one such probe may take.
pub const ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// After this many failed probes in a row a worker hangs.
pub const ALIVE_FAILURES: NonZeroU32 = NonZeroU32::new(3).expect("3 is not 0");

/// The size at which a log file is rotated, in bytes.
pub const LOG_BYTES_MAX: u64 = 10_000_000;

/// The number of rotated log files that are kept.
pub const LOG_KEEP: u32 = 5;

/// The memory in which the last lines of all workers are kept, in bytes.
pub const RING_BYTES: u64 = 4 * 1024 * 1024;

/// The slots of a pool that has neither `workers` nor `ports`.
pub const WORKERS: usize = 1;

/// The address of a socket that is passed to a worker: all of IPv6 and IPv4, as of one of systemd.
pub const ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The base of a Procfile's ports.
pub const PROCFILE_PORT: u16 = 5_000;

/// The time a worker has to live to be ready, where there is no port to probe.
pub fn lived() -> Duration {
    Policy::default().ready.wait()
}

/// A duration as the schema shows it: `5s`.
pub(super) fn time(duration: Duration) -> String {
    duration::words(duration)
}

/// A size as the schema shows it: `10MB`.
pub(super) fn bytes(bytes: u64) -> String {
    size::written(bytes)
}

/// A stop signal as the schema shows it: `TERM`.
pub(super) fn stop_signal() -> String {
    let name = signal::name(STOP_SIGNAL);
    name.trim_start_matches("SIG").to_owned()
}

/// Statuses as the schema shows them: `200-399`.
pub(super) fn http_status() -> String {
    format!("{}-{}", HTTP_STATUS.start(), HTTP_STATUS.end())
}
