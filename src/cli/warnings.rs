//! What `pm check` warns of: what is right in the file, and would fail if pm were started now.

use std::ffi::OsStr;

use crate::plan::{Alive, AliveBy, ExecSpec, Plan, Pool, Probe, ReadyBy, SlotPlan};
use crate::sys::{SpawnError, privileges, program};

/// Something that would fail now. Its program may be installed later, and another user may start pm.
pub struct Warning<'a> {
    pub pool: &'a str,
    /// A clause that says what would fail, and why.
    pub what: String,
}

/// The warnings about a plan: of each kind at most one for each pool.
pub fn of(plan: &Plan) -> Vec<Warning<'_>> {
    let of_pool =
        |pool: &'_ Pool| [missing_program(pool), missing_probe(pool), privileged_port(pool)];
    let warnings = plan.pools.iter().flat_map(|pool| {
        of_pool(pool).into_iter().flatten().map(|what| Warning { pool: &pool.name, what })
    });
    warnings.collect()
}

fn missing_program(pool: &Pool) -> Option<String> {
    let error = pool
        .slots
        .iter()
        .find_map(|SlotPlan { exec, .. }| cannot_execute(exec, exec.argv.first()?))?;
    let hint = pool.missing_hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("cannot start now: {error}{hint}"))
}

/// A probe command runs where the worker does. Without it a worker is never ready, or not watched.
fn missing_probe(pool: &Pool) -> Option<String> {
    let (error, follows) =
        pool.slots.iter().find_map(|SlotPlan { exec, ready, alive, .. }| {
            let ready = match &ready.by {
                ReadyBy::Probe(Probe::Exec { argv }) => Some((argv, "it would never be ready")),
                ReadyBy::Probe(Probe::Tcp { .. } | Probe::Http { .. }) => None,
                ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => None,
            };
            let alive = match alive {
                Some(Alive { by: AliveBy::Probe(Probe::Exec { argv }), .. }) => {
                    Some((argv, "it would not be watched"))
                }
                Some(_) | None => None,
            };
            let probes = ready.into_iter().chain(alive);
            { probes }
                .find_map(|(argv, follows)| Some((cannot_execute(exec, argv.first()?)?, follows)))
        })?;
    Some(format!("cannot be probed now: {error}; {follows}"))
}

fn cannot_execute(exec: &ExecSpec, program: &OsStr) -> Option<SpawnError> {
    let variables = exec.environment(std::env::vars_os());
    let path = program::path_of(&variables);
    program::check(program, path.as_deref(), exec.cwd.as_deref()).err()
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
