//! The service of a group, with its checks.

use std::iter;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Group, groups, is_task_of_others, nanoseconds};
use crate::export::Export;
use crate::export::container::script;
use crate::export::yaml::map;
use crate::plan::probe::ProbePort;
use crate::plan::{Alive, AliveBy, Pool, ProbeSpec, ReadyBy};

/// The shortest interval and timeout of a check.
const CHECK_LEAST: Duration = Duration::from_secs(1);
const SERVICE_NAME_MOST: usize = 63;

/// The service of a group, if it has a port or something is asked of it.
pub fn of_group(export: &Export<'_>, pool: &Pool, one: &Group) -> Option<Value> {
    let mut checks = Vec::new();
    let ready = &pool.spec.ready;
    let every = Duration::from_secs(1);
    let own = ProbeSpec::Tcp { port: ProbePort::Own };
    let asked = match &ready.by {
        ReadyBy::Probe(probe) => Some(probe),
        ReadyBy::Listen => Some(&own),
        ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => None,
    };
    checks.extend(asked.map(|probe| check(pool, one, probe, "ready", every, every * 5)));
    if let Some(Alive { by: AliveBy::Probe(probe), every, timeout, failures }) = &pool.spec.alive {
        let mut check = check(pool, one, probe, "alive", *every, *timeout);
        check["CheckRestart"] = json!({ "Limit": failures, "Grace": nanoseconds(ready.within) });
        checks.push(check);
    }
    if one.port.is_none() && checks.is_empty() {
        return None;
    }
    // Nomad's own services know no commands.
    let is_script = |check: &Value| check["Command"] != Value::Null;
    let provider =
        if one.port.is_none() || checks.iter().any(is_script) { "consul" } else { "nomad" };
    let (_, name) = service_names(export).into_iter().find(|(group, _)| *group == one.name)?;
    Some(map([
        ("Name", json!(name)),
        ("PortLabel", json!(one.port.map(|_| "main"))),
        ("Provider", json!(provider)),
        ("Checks", json!(checks)),
    ]))
}

/// The name of the service of each group. No two are the same, and Nomad and Consul take each.
fn service_names(export: &Export<'_>) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    let kept = export.pools.iter().filter(|pool| !is_task_of_others(export, pool));
    for Group { name: group, .. } in kept.flat_map(|pool| groups(export, pool)) {
        let whole = format!("{}-{group}", export.wishes.name);
        let suffixes = iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
        let mut free = suffixes
            .map(|suffix| label(&whole, SERVICE_NAME_MOST - suffix.len()) + &suffix)
            .filter(|name| names.iter().all(|(_, taken)| taken != name));
        let name = free.next().expect("there is no end of numbers");
        names.push((group, name));
    }
    names
}

/// A text as a label of DNS (RFC 1123), cut to a number of characters.
fn label(text: &str, most: usize) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let letters: String = text.chars().map(letter).collect();
    let label: String = letters.trim_start_matches('-').chars().take(most).collect();
    label.trim_end_matches('-').to_owned()
}

/// A check of a service. A command is run in the container of the task.
fn check(
    pool: &Pool,
    one: &Group,
    probe: &ProbeSpec,
    name: &str,
    every: Duration,
    timeout: Duration,
) -> Value {
    let mut check = match probe {
        ProbeSpec::Tcp { port: ProbePort::Own } => json!({ "Type": "tcp" }),
        ProbeSpec::Http { target, text: None, .. } => json!({ "Type": "http", "Path": target }),
        ProbeSpec::Tcp { port: ProbePort::Other(_) }
        | ProbeSpec::Http { text: Some(_), .. }
        | ProbeSpec::Exec { .. } => json!({
            "Type": "script",
            "Command": "/bin/sh",
            "Args": ["-c", script(probe, &one.names, str::to_owned)],
            "TaskName": pool.name,
        }),
    };
    check["Name"] = json!(name);
    check["Interval"] = nanoseconds(every.max(CHECK_LEAST));
    check["Timeout"] = nanoseconds(timeout.max(CHECK_LEAST));
    check
}
