//! What is known of a slot besides what the supervisor knows: what to run there, and what became of it.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::probe::Trouble;
use crate::plan::{Alive, AliveBy, Line, Pool, Probe, ReadyBy, SlotPlan};
use crate::supervisor::PoolId;
use crate::sys::{Launch, SpawnError};

/// A slot as the reactor sees it.
#[derive(Debug)]
pub struct Place {
    pub pool: PoolId,
    /// What the worker that is there was started with, or what the next one will be.
    pub orders: Orders,
    /// What a changed plan wants there instead, from the next worker on.
    pub next: Option<Orders>,
    pub spawned_at: Instant,
    /// How long the last worker that exited had been there.
    pub lived: Duration,
    /// Why the last spawn came to nothing.
    pub refusal: Option<Refusal>,
    /// Why the worker that is there is to go, if it hangs.
    pub trouble: Option<Trouble>,
    /// What the worker last said of itself (sd_notify(3), STATUS).
    pub status: Option<String>,
    /// What it said was not its to say, and people know.
    pub is_overruled: bool,
    /// How often the kernel had killed for want of memory in its control group when that was last looked at.
    pub memory_kills: u64,
}

/// What a plan says of a slot, and what follows from it.
#[derive(Debug)]
pub struct Orders {
    pub pool_name: String,
    pub plan: SlotPlan,
    pub stop_signal: i32,
    pub missing_hint: Option<String>,
    pub launch: Launch,
    /// The command that looks whether it is ready, and the one that looks whether it is alive.
    pub ready_check: Option<Launch>,
    pub alive_check: Option<Launch>,
}

/// A spawn that came to nothing.
#[derive(Debug)]
pub struct Refusal {
    pub error: SpawnError,
    /// The same holder of the port was in the way the last time, and people know.
    pub is_known: bool,
}

impl Place {
    pub fn new(pool: PoolId, orders: Orders, now: Instant) -> Self {
        Self {
            pool,
            orders,
            next: None,
            spawned_at: now,
            lived: Duration::ZERO,
            refusal: None,
            trouble: None,
            status: None,
            is_overruled: false,
            memory_kills: 0,
        }
    }

    pub fn name(&self) -> &str {
        &self.orders.plan.name
    }

    /// What the current plan says of it, whether or not a worker runs by it yet.
    pub fn wanted(&self) -> &Orders {
        self.next.as_ref().unwrap_or(&self.orders)
    }
}

impl Orders {
    /// `variables` is pm's own environment; `notify_socket` goes to a worker that is to use it.
    pub fn new(
        pool: &Pool,
        plan: &SlotPlan,
        variables: &[(OsString, OsString)],
        notify_socket: Option<String>,
    ) -> Self {
        let inherited = || variables.iter().cloned();
        let exec = &plan.exec;
        let watchdog = exec.watchdog.map(|every| every.as_micros().to_string());
        let said = [("NOTIFY_SOCKET", notify_socket), ("WATCHDOG_USEC", watchdog)];
        let said = said.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let command = |probe: &Probe| match probe {
            Probe::Exec { argv } => Some(Launch::of_check(exec, argv, inherited())),
            Probe::Tcp { .. } | Probe::Http { .. } => None,
        };
        let ready_check = match &plan.ready.by {
            ReadyBy::Probe(check) => command(check),
            ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => None,
        };
        let alive_check = match &plan.alive {
            Some(Alive { by: AliveBy::Probe(check), .. }) => command(check),
            Some(Alive { by: AliveBy::Notify, .. }) | None => None,
        };
        Self {
            pool_name: pool.name.clone(),
            plan: plan.clone(),
            stop_signal: pool.stop_signal,
            missing_hint: pool.missing_hint.map(|hint| hint.to_string()),
            launch: Launch::new(exec, inherited(), said),
            ready_check,
            alive_check,
        }
    }

    /// The line that makes the worker ready, if it is a line that does.
    pub fn awaited_line(&self) -> Option<&Line> {
        match &self.plan.ready.by {
            ReadyBy::Line(line) => Some(line),
            ReadyBy::Lived | ReadyBy::Probe(_) | ReadyBy::Notify | ReadyBy::Exit => None,
        }
    }
}

impl Refusal {
    pub fn after(last: Option<Self>, error: SpawnError) -> Self {
        let is_known = match (&error, last.map(|refusal| refusal.error)) {
            (
                SpawnError::PortHeld { holder, .. },
                Some(SpawnError::PortHeld { holder: last, .. }),
            ) => *holder == last,
            _ => false,
        };
        Self { error, is_known }
    }
}
