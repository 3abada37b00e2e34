//! What pm tells the service manager that started it (sd_notify(3)): that all is ready, what it does, that it stops.
//!
//! Only if NOTIFY_SOCKET is set. Workers do not get the variable.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::sys::service_manager::ServiceManager;

/// The service manager above pm.
#[derive(Debug)]
pub struct Parent {
    socket: ServiceManager,
    is_ready: bool,
    /// What it was told last.
    told: String,
    /// How often it is to be told that pm is alive.
    watchdog: Option<Duration>,
    next_sign: Option<Instant>,
}

/// What a run is at, for a service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub ready: usize,
    pub wanted: usize,
    pub is_stopping: bool,
}

impl Parent {
    /// The one that the environment names, if it names one. `is_me` tells whether WATCHDOG_PID is meant for pm.
    pub fn of_environment(now: Instant, is_me: impl Fn(i32) -> bool) -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).map(OsString::into_string)?.ok();
        let socket = ServiceManager::open(&std::env::var_os("NOTIFY_SOCKET")?)?;
        let is_meant = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse().is_ok_and(&is_me));
        let micros = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        // Twice as often as asked for, as sd_watchdog_enabled(3) advises.
        let watchdog = micros.filter(|micros| *micros > 0 && is_meant);
        let watchdog = watchdog.map(|micros| Duration::from_micros(micros) / 2);
        Some(Self {
            socket,
            is_ready: false,
            told: String::new(),
            watchdog,
            next_sign: watchdog.map(|_| now),
        })
    }

    /// Tells it what has changed.
    pub fn tell(&mut self, summary: Summary, now: Instant) {
        let Summary { ready, wanted, is_stopping } = summary;
        let is_ready = ready == wanted;
        let mut text = if is_stopping {
            "STOPPING=1\nSTATUS=stopping".to_owned()
        } else {
            format!("STATUS={ready} of {wanted} workers are ready")
        };
        if is_ready && !self.is_ready && !is_stopping {
            self.is_ready = true;
            text.insert_str(0, "READY=1\n");
        }
        if text != self.told {
            self.socket.send(&text);
            self.told = text;
        }
        if self.next_sign.is_some_and(|at| now >= at) {
            self.socket.send("WATCHDOG=1");
            self.next_sign = self.watchdog.map(|pause| now + pause);
        }
    }

    /// The file is read again. What follows is told as any other change.
    pub fn reload(&mut self) {
        self.socket.send("RELOADING=1");
        self.is_ready = false;
        self.told.clear();
    }

    /// When it is to be told again that pm is alive.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_sign
    }
}
