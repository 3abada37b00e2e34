//! A Compose file (compose-spec.io): a service for each port, and one with replicas for a pool without ports.
//!
//! `$` begins a variable of Compose wherever a text stands, so it is doubled.

use std::time::Duration;

use serde_json::{Value, json};

use super::container::{self, script};
use super::filled::{Names, asks_for_number, port_of};
use super::yaml::{self, map};
use super::{Export, Exported, File, Note, is_job};
use crate::plan::text::signal;
use crate::plan::{Alive, AliveBy, Limits, Pool, ReadyBy, Stdin};
use crate::supervisor::Restart;

/// One service of a pool.
struct Service {
    name: String,
    names: Names,
    /// The number of containers.
    replicas: usize,
    port: Option<u16>,
}

pub fn export(export: &Export<'_>) -> Exported {
    let services = export
        .pools
        .iter()
        .flat_map(|pool| services(export, pool).into_iter().map(move |one| (*pool, one)));
    let services: serde_json::Map<_, _> =
        services.map(|(pool, one)| (one.name.clone(), service(export, pool, &one))).collect();
    let project = json!({ "name": export.wishes.name, "services": services });
    let head = yaml::comment(&format!("Made from {} by `pm export compose`.", export.source));
    let text = head + &yaml::document(&project);
    let files = vec![File { name: "compose.yaml".to_owned(), text }];
    let notes = export.pools.iter().flat_map(|pool| {
        [without_check(export, pool), with_two_checks(export, pool)].into_iter().flatten()
    });
    Exported { files, notes: notes.collect(), ..Exported::default() }
}

/// A pool that others come after, whose readiness Compose cannot see.
fn without_check(export: &Export<'_>, pool: &Pool) -> Option<Note> {
    let is_seen = is_job(pool) || check(pool, &Names::of_slot(pool, 1)).is_some();
    let words = "in part: other pools come after this one, and nothing tells Compose when it is ready: they start at once";
    (export.is_awaited(pool) && !is_seen).then(|| export.note(pool, "ready", words))
}

/// A pool whose two probes are not the same.
fn with_two_checks(export: &Export<'_>, pool: &Pool) -> Option<Note> {
    let alive = pool.spec.alive.as_ref()?;
    let (ReadyBy::Probe(ready), AliveBy::Probe(alive)) = (&pool.spec.ready.by, &alive.by) else {
        return None;
    };
    let words = "not carried over: a container has one `healthcheck`, and that of `alive` is it: let both ask the same";
    (ready != alive && export.has_table(pool, "ready")).then(|| export.note(pool, "ready", words))
}

fn services(export: &Export<'_>, pool: &Pool) -> Vec<Service> {
    let count = pool.spec.count();
    let port = |n| port_of(&pool.spec.slots, n);
    if port(1).is_none() && (count == 1 || !asks_for_number(&pool.spec)) {
        let names = Names::of_slot(pool, 1);
        return vec![Service { name: pool.name.clone(), names, replicas: count, port: None }];
    }
    let service = |n| {
        let suffix = port(n).map_or(n, usize::from);
        let name = if count == 1 { pool.name.clone() } else { export.numbered(pool, suffix) };
        Service { name, names: Names::of_slot(pool, n), replicas: 1, port: port(n) }
    };
    (1..=count).map(service).collect()
}

/// Texts of the plan: `$` is a dollar.
fn text(text: &str) -> String {
    text.replace('$', "$$")
}

fn service(export: &Export<'_>, pool: &Pool, one: &Service) -> Value {
    let (spec, names) = (&pool.spec, &one.names);
    let environment = container::environment(pool, names, text).into_iter();
    // Several containers cannot have the name of one slot.
    let is_shared = one.replicas > 1;
    let environment =
        environment.filter(|(name, _)| !is_shared || !["PS", "PM_SLOT"].contains(&name.as_str()));
    let environment: serde_json::Map<_, _> =
        environment.map(|(name, value)| (name, Value::String(value))).collect();
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, memory_bytes } =
        spec.exec.limits;
    let is_kill = pool.policy.grace.is_zero();
    map([
        ("image", json!(export.wishes.image)),
        ("entrypoint", json!(container::command(export, pool, names, text))),
        ("working_dir", json!(spec.cwd.as_ref().map(|cwd| names.path(cwd, text)))),
        ("environment", Value::Object(environment)),
        (
            "env_file",
            json!(export.texts(pool, "env_file").iter().map(|file| text(file)).collect::<Vec<_>>()),
        ),
        ("ports", json!(one.port.map(|port| [format!("{port}:{port}")]))),
        ("depends_on", depends_on(export, pool)),
        ("healthcheck", check(pool, names).unwrap_or_default()),
        ("restart", json!(restart(pool))),
        (
            "stop_signal",
            json!(if is_kill { "SIGKILL".to_owned() } else { signal_of(pool.stop.signal) }),
        ),
        ("stop_grace_period", json!(time(pool.policy.grace))),
        ("deploy", if is_shared { json!({ "replicas": one.replicas }) } else { Value::Null }),
        (
            "ulimits",
            map([
                ("nofile", json!(open_files)),
                ("nproc", json!(processes)),
                ("fsize", json!(file_bytes)),
                ("core", json!(core_bytes)),
                ("stack", json!(stack_bytes)),
            ]),
        ),
        ("mem_limit", json!(memory_bytes)),
        ("user", user(export, pool)),
        ("tty", json!(spec.exec.pty.then_some(true))),
        ("stdin_open", json!((spec.exec.stdin != Stdin::Null).then_some(true))),
    ])
}

fn user(export: &Export<'_>, pool: &Pool) -> Value {
    let name = |key| export.texts(pool, key).first().map(|name| text(name));
    match (name("user"), name("group")) {
        (Some(user), Some(group)) => json!(format!("{user}:{group}")),
        (user, _) => json!(user),
    }
}

fn restart(pool: &Pool) -> String {
    let policy = &pool.policy;
    match policy.restart {
        Restart::Always => "always".to_owned(),
        Restart::Never => "no".to_owned(),
        Restart::OnFailure => {
            let most = policy.max_restarts.map(|most| most.count).or(policy.backoff.give_up_after);
            most.map_or("on-failure".to_owned(), |most| format!("on-failure:{most}"))
        }
    }
}

/// The services that one waits for, and what for.
fn depends_on(export: &Export<'_>, pool: &Pool) -> Value {
    let mut all = serde_json::Map::new();
    for needed in export.needs(pool) {
        for one in services(export, needed) {
            let condition = if is_job(needed) {
                "service_completed_successfully"
            } else if check(needed, &one.names).is_some() {
                "service_healthy"
            } else {
                "service_started"
            };
            all.insert(one.name, json!({ "condition": condition }));
        }
    }
    Value::Object(all)
}

/// A container has one check. That of `alive` goes on for as long as it lives; without it that of `ready` does.
fn check(pool: &Pool, names: &Names) -> Option<Value> {
    let ready = &pool.spec.ready;
    let of_ready = match &ready.by {
        ReadyBy::Probe(probe) => Some(script(probe, names, text)),
        ReadyBy::Listen => Some(container::connect(&names.port)),
        ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => None,
    };
    let of_alive = pool.spec.alive.as_ref().and_then(|alive| match &alive.by {
        AliveBy::Probe(probe) => Some((script(probe, names, text), alive)),
        AliveBy::Notify => None,
    });
    let start_period = of_ready.is_some().then(|| time(ready.within));
    let (script, times) = match (of_alive, of_ready) {
        (Some((script, Alive { every, timeout, failures, .. })), _) => (
            script,
            [
                ("interval", json!(time(*every))),
                ("timeout", json!(time(*timeout))),
                ("retries", json!(failures)),
            ],
        ),
        (None, Some(script)) => {
            (script, [("interval", json!("5s")), ("timeout", json!("5s")), ("retries", json!(3))])
        }
        (None, None) => return None,
    };
    let mut check = serde_json::Map::from_iter(times.map(|(name, value)| (name.to_owned(), value)));
    check.insert("test".to_owned(), json!(["CMD-SHELL", script]));
    if let Some(period) = start_period {
        check.insert("start_period".to_owned(), json!(period));
        check.insert("start_interval".to_owned(), json!("1s"));
    }
    Some(Value::Object(check))
}

/// The name of a signal, or its number as text.
fn signal_of(number: i32) -> String {
    let name = signal::name(number);
    if name.starts_with("SIG") { name } else { number.to_string() }
}

/// A time as Compose has it: the units that pm has.
fn time(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis().max(1)),
    }
}
