//! What `pm check` and `pm reload` warn of: what is right in the file, and would fail if it were started now.
//!
//! They look at files, and a file system may hang: the reactor never does.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::plan::text::printable::printable;
use crate::plan::{Alive, AliveBy, ExecSpec, HoldPort, Plan, Pool, Probe, ReadyBy, SlotPlan};
use crate::sys::{SpawnError, port_calls, privileges, program};

/// Something that would fail now. Its program may be installed later, and another user may start pm.
pub struct Warning<'a> {
    pub pool: &'a str,
    /// A clause that says what would fail, and why.
    pub what: String,
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, what } = self;
        write!(out, "warning: {pool} {}", printable(what))
    }
}

/// The variables of a pm.
type Variables = [(OsString, OsString)];

/// The warnings about a plan for a pm with these variables: of each kind at most one for each pool.
pub fn of<'a>(plan: &'a Plan, variables: &Variables) -> Vec<Warning<'a>> {
    let of_pool = |pool: &Pool| {
        let start = missing_folder(pool).or_else(|| missing_program(pool, variables));
        let start = start.or_else(|| port_not_held(pool));
        [start, missing_probe(pool, variables), privileged_port(pool)]
    };
    let warnings = plan.pools.iter().flat_map(|pool| {
        of_pool(pool).into_iter().flatten().map(|what| Warning { pool: &pool.name, what })
    });
    warnings.collect()
}

/// [`super::host::HostToCheck`] finds it at its place in the file; a run has not looked for it.
fn missing_folder(pool: &Pool) -> Option<String> {
    // What it comes after may create it.
    let looked_for = pool.slots.iter().filter(|_| pool.after.is_empty());
    let mut folders = looked_for.filter_map(|slot| slot.exec.cwd.as_deref());
    let error = folders.find_map(|folder| program::check_folder(folder).err())?;
    Some(format!("cannot start now: {error}"))
}

fn missing_program(pool: &Pool, variables: &Variables) -> Option<String> {
    let error = pool
        .slots
        .iter()
        .find_map(|SlotPlan { exec, .. }| cannot_execute(exec, exec.argv.first()?, variables))?;
    let hint = pool.missing_hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("cannot start now: {error}{hint}"))
}

/// A probe command runs where the worker does. Without it a worker is never ready, or not watched.
fn missing_probe(pool: &Pool, variables: &Variables) -> Option<String> {
    let (error, follows) =
        pool.slots.iter().find_map(|SlotPlan { exec, ready, alive, .. }| {
            let ready = match &ready.by {
                ReadyBy::Probe(Probe::Exec { argv }) => Some((argv, "it would never be ready")),
                ReadyBy::Probe(Probe::Tcp { .. } | Probe::Http { .. }) => None,
                ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) => None,
                ReadyBy::Exit | ReadyBy::Listen => None,
            };
            let alive = match alive {
                Some(Alive { by: AliveBy::Probe(Probe::Exec { argv }), .. }) => {
                    Some((argv, "it would not be watched"))
                }
                Some(_) | None => None,
            };
            let probes = ready.into_iter().chain(alive);
            { probes }.find_map(|(argv, follows)| {
                Some((cannot_execute(exec, argv.first()?, variables)?, follows))
            })
        })?;
    Some(format!("cannot be probed now: {error}; {follows}"))
}

fn cannot_execute(exec: &ExecSpec, program: &OsStr, variables: &Variables) -> Option<SpawnError> {
    let variables = exec.environment(variables);
    program::check(program, program::path_of(&variables), exec.cwd.as_deref()).err()
}

/// The kernel, or the profile of a container, refuses what a held port needs.
fn port_not_held(pool: &Pool) -> Option<String> {
    pool.slots.iter().find(|slot| slot.exec.hold_port == HoldPort::Calls)?;
    let error = port_calls::check_kernel().err()?;
    Some(format!("cannot start now: {error}"))
}

fn privileged_port(pool: &Pool) -> Option<String> {
    pool.slots.iter().find_map(|slot| {
        let identity = slot.exec.identity.as_ref();
        let first = match identity {
            Some(identity) if identity.uid != 0 => privileges::first_port_for_all(),
            Some(_) | None => privileges::first_port(),
        };
        let port = slot.port.filter(|port| *port < first)?;
        Some(format!(
            "may not listen on port {port}: ports below {first} are for root, or for a program with \
             CAP_NET_BIND_SERVICE"
        ))
    })
}
