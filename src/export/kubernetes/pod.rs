//! The pod of a worker: its containers, their probes and variables.
//!
//! Kubernetes fills in `$(NAME)` in a command and in variables, so `$` is doubled there; not in a probe.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Kind, NUMBER, Objects, is_key, secret_name, whole};
use crate::export::container::{self, IMAGE_PATH};
use crate::export::filled::{Names, asks_in, port_of, variables};
use crate::export::shell;
use crate::export::yaml::map;
use crate::export::{Export, PodPer, UNKNOWN_ID, is_job};
use crate::plan::defaults::STOP_SIGNAL;
use crate::plan::environment::{PM_SLOT, PS};
use crate::plan::probe::ProbePort;
use crate::plan::text::signal;
use crate::plan::{AliveBy, Identity, Pool, ProbeSpec, ReadyBy, Stdin};
use crate::supervisor::Restart;

/// The pod of a pool.
pub fn spec(
    export: &Export<'_>,
    objects: &Objects,
    pool: &Pool,
    kind: Kind,
    names: &Names,
) -> Value {
    let has_tried = export.wishes.pod_per == PodPer::Pool && whole::gives_up(pool);
    let restart = match (kind, pool.policy.restart) {
        (Kind::Job, _) if has_tried => Some("Never"),
        (Kind::Job, Restart::OnFailure | Restart::Always) => Some("OnFailure"),
        (Kind::Job, Restart::Never) => Some("Never"),
        (Kind::Deployment | Kind::StatefulSet | Kind::Init, _) => None,
    };
    let mut needed = Vec::new();
    add_jobs(export, pool, &mut needed);
    let (mut main, probes, jobs, grace, volumes) = match export.wishes.pod_per {
        PodPer::Slot => (
            container(export, objects, pool, objects.name(pool), names),
            probes(pool, names),
            needed.iter().flat_map(|job| job_containers(export, objects, job)).collect(),
            seconds(pool.policy.grace),
            Value::Null,
        ),
        PodPer::Pool => (
            whole::container(export, objects, pool),
            vec![("startupProbe", whole::startup_probe())],
            needed.iter().map(|job| whole::container(export, objects, job)).collect::<Vec<_>>(),
            whole::grace_seconds(pool),
            whole::volumes(objects, &[needed.as_slice(), &[pool]].concat()),
        ),
    };
    // pm in the pod of a job has nothing to be asked for: it ends.
    let is_asked = kind != Kind::Job || export.wishes.pod_per == PodPer::Slot;
    if is_asked && let Value::Object(main) = &mut main {
        main.extend(probes.into_iter().map(|(name, probe)| (name.to_owned(), probe)));
    }
    map([
        ("initContainers", json!(jobs)),
        ("containers", json!([main])),
        ("restartPolicy", json!(restart)),
        ("terminationGracePeriodSeconds", json!(grace)),
        ("volumes", volumes),
    ])
}

/// The jobs that a pool comes after, those first that others of them come after.
fn add_jobs<'a>(export: &Export<'a>, pool: &Pool, jobs: &mut Vec<&'a Pool>) {
    for needed in export.needs(pool).filter(|needed| is_job(needed)) {
        add_jobs(export, needed, jobs);
        if jobs.iter().all(|known| known.name != needed.name) {
            jobs.push(needed);
        }
    }
}

/// A container for each worker of a job.
fn job_containers(export: &Export<'_>, objects: &Objects, job: &Pool) -> Vec<Value> {
    let numbers = 1..=job.spec.count();
    let container = |n| {
        let name = match job.spec.count() {
            1 => objects.name(job).to_owned(),
            _ => objects.numbered(job, n),
        };
        let mut container = container(export, objects, job, &name, &Names::of_slot(job, n));
        // An init container has none.
        if let Value::Object(container) = &mut container {
            container.remove("lifecycle");
        }
        container
    };
    numbers.map(container).collect()
}

/// Texts of the plan where Kubernetes fills in variables.
pub fn text(text: &str) -> String {
    text.replace('$', "$$")
}

fn container(
    export: &Export<'_>,
    objects: &Objects,
    pool: &Pool,
    name: &str,
    names: &Names,
) -> Value {
    let exec = &pool.spec.exec;
    let port = port_of(&pool.spec.slots, 1).filter(|_| !is_job(pool));
    let mut sources = Vec::new();
    if !pool.spec.env_files.is_empty() {
        sources.push(json!({ "secretRef": { "name": secret_name(objects, pool) } }));
    }
    if pool.spec.env.iter().any(|(name, value)| !asks_in(value) && is_key(name)) {
        sources.push(json!({ "configMapRef": { "name": format!("{}-env", objects.name(pool)) } }));
    }
    let cwd = pool.spec.cwd.as_ref().map(|cwd| names.path(cwd, str::to_owned));
    map([
        ("name", json!(name)),
        ("image", json!(export.wishes.image)),
        ("command", json!(container::command(export, pool, names, text))),
        ("workingDir", json!(cwd)),
        ("env", json!(environment(pool, names))),
        ("envFrom", json!(sources)),
        ("ports", json!(port.map(|port| [json!({ "name": "main", "containerPort": port })]))),
        ("resources", resources(export, pool, 1, 0)),
        ("securityContext", security(export, pool)),
        ("lifecycle", lifecycle(pool)),
        ("tty", json!(exec.pty.then_some(true))),
        ("stdin", json!((exec.stdin != Stdin::Null).then_some(true))),
    ])
}

/// What `count` workers may have together, and `more` bytes. A job requests no CPU: it ends.
pub fn resources(export: &Export<'_>, pool: &Pool, count: usize, more: u64) -> Value {
    let memory = pool.spec.exec.limits.memory_bytes;
    let memory = memory.map(|bytes| bytes.saturating_mul(count as u64).saturating_add(more));
    let cpu = export.wishes.cpu.filter(|_| !is_job(pool)).map(|cpu| cpu.of_workers(count));
    map([
        ("requests", map([("cpu", json!(cpu.map(|cpu| cpu.to_string())))])),
        ("limits", map([("memory", json!(memory.map(|bytes| bytes.to_string())))])),
    ])
}

pub fn security(export: &Export<'_>, pool: &Pool) -> Value {
    let id = |of: fn(&Identity) -> u32, key: &str| {
        let given = export.given(pool, key).and(pool.spec.exec.identity.as_ref());
        given.map(of).filter(|id| *id != UNKNOWN_ID)
    };
    map([
        ("runAsUser", json!(id(|identity| identity.uid, "user"))),
        ("runAsGroup", json!(id(|identity| identity.gid, "group"))),
    ])
}

/// Those that are not the same for every pod, or that no ConfigMap has: pm's own come from the pod.
fn environment(pool: &Pool, names: &Names) -> Vec<Value> {
    let mut all = Vec::new();
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let has_number = names.n.starts_with('$');
    if has_number {
        // First: the others are made of it.
        all.push(field(NUMBER, "metadata.labels['apps.kubernetes.io/pod-index']"));
    }
    let of_env = |name: &str| pool.spec.env.iter().any(|(own, _)| own == name);
    for (name, value) in variables(pool) {
        if of_env(&name) && !asks_in(&value) {
            continue;
        }
        let is_name = [PS, PM_SLOT].contains(&name.as_str()) && !of_env(&name);
        all.push(if is_name && !has_number {
            field(&name, "metadata.name")
        } else {
            json!({ "name": name, "value": names.fill(&value, text) })
        });
    }
    let folders = pool.spec.exec.path.iter().map(|folder| text(&folder.to_string_lossy()) + ":");
    let folders: String = folders.collect();
    if !folders.is_empty() && !of_env("PATH") {
        all.push(json!({ "name": "PATH", "value": folders + IMAGE_PATH }));
    }
    all
}

/// SIGTERM is what Kubernetes sends. Any other signal is sent before it, and the hook waits until the worker is gone.
fn lifecycle(pool: &Pool) -> Value {
    if !has_hook(pool) {
        return Value::Null;
    }
    let name = signal::name(pool.stop.signal);
    let name = name.strip_prefix("SIG").map_or(pool.stop.signal.to_string(), str::to_owned);
    let script = format!("kill -{name} 1; while kill -0 1 2>/dev/null; do sleep 1; done");
    json!({ "preStop": { "exec": { "command": ["/bin/sh", "-c", script] } } })
}

pub fn has_hook(pool: &Pool) -> bool {
    pool.stop.signal != STOP_SIGNAL && !pool.policy.grace.is_zero()
}

/// The ports that its probes name, and the keys in which they stand.
pub fn other_ports(pool: &Pool) -> impl Iterator<Item = (u16, &'static str)> {
    let port = |probe: &ProbeSpec| match probe {
        ProbeSpec::Tcp { port: ProbePort::Other(port) } => Some(*port),
        ProbeSpec::Tcp { .. } | ProbeSpec::Http { .. } | ProbeSpec::Exec { .. } => None,
    };
    let ready = match &pool.spec.ready.by {
        ReadyBy::Probe(probe) => port(probe),
        ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) => None,
        ReadyBy::Exit | ReadyBy::Listen => None,
    };
    let alive = pool.spec.alive.as_ref().and_then(|alive| match &alive.by {
        AliveBy::Probe(probe) => port(probe),
        AliveBy::Notify => None,
    });
    ready.map(|port| (port, "ready.tcp")).into_iter().chain(alive.map(|port| (port, "alive.tcp")))
}

fn probes(pool: &Pool, names: &Names) -> Vec<(&'static str, Value)> {
    let mut probes = Vec::new();
    let ready = &pool.spec.ready;
    let asked = match &ready.by {
        ReadyBy::Probe(probe) => Some(question(probe, names)),
        ReadyBy::Listen => Some(("tcpSocket", json!({ "port": "main" }))),
        ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => None,
    };
    if let Some((how, what)) = asked {
        let within = seconds(ready.within).max(1);
        let start = [
            (how, what.clone()),
            ("periodSeconds", json!(1)),
            ("timeoutSeconds", json!(5)),
            ("failureThreshold", json!(within)),
        ];
        probes.push(("startupProbe", map(start)));
        probes.push((
            "readinessProbe",
            map([(how, what), ("periodSeconds", json!(5)), ("timeoutSeconds", json!(5))]),
        ));
    }
    let alive = pool.spec.alive.as_ref();
    if let Some((alive, AliveBy::Probe(probe))) = alive.map(|alive| (alive, &alive.by)) {
        let (how, what) = question(probe, names);
        let probe = [
            (how, what),
            ("periodSeconds", json!(seconds(alive.every).max(1))),
            ("timeoutSeconds", json!(seconds(alive.timeout).max(1))),
            ("failureThreshold", json!(alive.failures)),
        ];
        probes.push(("livenessProbe", map(probe)));
    }
    probes
}

/// What a probe asks, and the field that says how.
fn question(probe: &ProbeSpec, names: &Names) -> (&'static str, Value) {
    match probe {
        ProbeSpec::Tcp { port: ProbePort::Own } => ("tcpSocket", json!({ "port": "main" })),
        ProbeSpec::Tcp { port: ProbePort::Other(port) } => ("tcpSocket", json!({ "port": port })),
        ProbeSpec::Http { target, .. } => ("httpGet", json!({ "path": target, "port": "main" })),
        // Nothing is filled in there: a shell has to do it.
        ProbeSpec::Exec { argv } if argv.iter().any(asks_in) && names.n.starts_with('$') => {
            let number = format!("\"${NUMBER}\"");
            let slot = format!("{}.{number}", names.pool);
            let names = Names { n: number, slot, ..names.clone() };
            let words = argv.iter().map(|argument| shell::word(argument, &names, str::to_owned));
            let script = words.collect::<Vec<_>>().join(" ");
            ("exec", json!({ "command": ["/bin/sh", "-c", script] }))
        }
        ProbeSpec::Exec { argv } => {
            let words = argv.iter().map(|argument| names.fill(argument, str::to_owned));
            ("exec", json!({ "command": words.collect::<Vec<_>>() }))
        }
    }
}

/// Whole seconds, rounded up.
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
