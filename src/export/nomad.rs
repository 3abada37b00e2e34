//! A job of Nomad: a group for each pool, a task of the driver docker in each allocation. It is made as the JSON of the
//! API; [`hcl`] writes it as a job specification.
//!
//! Each allocation has a network of its own, so all workers of a pool listen on its first port. A job that others come
//! after is a task of theirs that runs first.

mod hcl;
mod service;

use std::time::Duration;

use serde_json::{Value, json};

use super::container;
use super::filled::{Names, asks_for_number, port_of};
use super::yaml::map;
use super::{Export, Exported, File, JobFormat, Note, is_job};
use crate::plan::environment::{PM_SLOT, PS};
use crate::plan::text::signal;
use crate::plan::{Limits, Pool, ReadyBy, Stdin};
use crate::supervisor::Restart;

const MIB: u64 = 1 << 20;
/// The least memory that Nomad takes, in MiB.
const MEMORY_LEAST: u64 = 10;
/// The time in which restarts are counted where the plan has none, and the shortest that Nomad takes.
const INTERVAL: Duration = Duration::from_secs(30);
const INTERVAL_LEAST: Duration = Duration::from_secs(5);
const ATTEMPTS_MOST: u128 = 100;
const LIVED_LONG: Duration = Duration::from_secs(60);
/// For how long a worker has to be healthy where the job does not say it.
const MIN_HEALTHY_TIME: Duration = Duration::from_secs(10);
const PROGRESS: Duration = Duration::from_secs(600);

/// A group of the job, and the slot that it is made for if it is for one alone.
struct Group {
    name: String,
    names: Names,
    count: usize,
    /// On which its workers listen, each in a network of its own.
    port: Option<u16>,
}

pub fn export(export: &Export<'_>) -> Exported {
    let mut made = Exported::default();
    let name = &export.wishes.name;
    // A service is started again whatever its exit status; what ends is a batch.
    for (kind, suffix) in [("service", ""), ("batch", "-batch")] {
        let is_of_kind =
            |pool: &&&Pool| (pool.policy.restart == Restart::Always) == (kind == "service");
        let kept =
            export.pools.iter().filter(|pool| !is_task_of_others(export, pool)).filter(is_of_kind);
        let groups = kept
            .flat_map(|pool| groups(export, pool).into_iter().map(|one| group(export, pool, &one)));
        let groups: Vec<_> = groups.collect();
        if groups.is_empty() {
            continue;
        }
        let name = format!("{name}{suffix}");
        let job = json!({ "Job": {
            "ID": name, "Name": name, "Type": kind, "Datacenters": ["*"],
            "Meta": { "made_by": "pm export nomad", "made_from": export.source },
            "TaskGroups": groups,
        }});
        made.files.push(match export.wishes.format {
            JobFormat::Hcl => {
                let (source, document) = (export.source, hcl::document(job));
                let text = format!("# Made from {source} by `pm export nomad`.\n\n{document}");
                File { name: format!("{name}.nomad.hcl"), text }
            }
            JobFormat::Json => {
                File { name: format!("{name}.nomad.json"), text: format!("{job:#}\n") }
            }
        });
    }
    made.notes.extend(export.pools.iter().flat_map(|pool| notes(export, pool)));
    made
}

/// The name of the job that the groups of a pool are in.
fn job_of(export: &Export<'_>, pool: &Pool) -> String {
    let suffix = if pool.policy.restart == Restart::Always { "" } else { "-batch" };
    format!("{}{suffix}", export.wishes.name)
}

/// True for a job that others come after: it is a task of theirs.
fn is_task_of_others(export: &Export<'_>, pool: &Pool) -> bool {
    is_job(pool) && export.is_awaited(pool)
}

/// What depends on more than the key.
fn notes(export: &Export<'_>, pool: &Pool) -> Vec<Note> {
    let mut notes = Vec::new();
    if is_task_of_others(export, pool) {
        let words = "in part: it is a task of each allocation that comes after it, and runs once in each of them: it must bear that";
        notes.push(export.note(pool, "command", words));
        let jobs: Vec<_> = export.needs(pool).filter(|needed| is_job(needed)).collect();
        if !jobs.is_empty() {
            let jobs: Vec<_> = jobs.iter().map(|job| format!("`{}`", job.name)).collect();
            let words = format!(
                "not carried over: prestart tasks of one group start together, so that it does not wait for {}: put the commands into one job",
                jobs.join(", ")
            );
            notes.push(export.note(pool, "after", words));
        }
    }
    let names = container::environment(pool, &Names::of_slot(pool, 1), str::to_owned);
    let is_of_files =
        |name: &String| pool.spec.env_files.iter().any(|(of_file, _)| of_file == name);
    let twice = names.into_iter().map(|(name, _)| name).filter(is_of_files);
    let twice: Vec<_> = twice.map(|name| format!("`{name}`")).collect();
    if !twice.is_empty() && !export.wishes.secrets {
        let words = format!(
            "in part: in Nomad the variables of `env_file` win over all others: leave {} out of the Nomad variable",
            twice.join(", ")
        );
        notes.push(export.note(pool, "env_file", words));
    }
    if pool.spec.exec.limits.memory_bytes.is_some_and(|bytes| bytes < MEMORY_LEAST * MIB) {
        let words = format!("in part: it is {MEMORY_LEAST} MiB, the least that Nomad takes");
        notes.push(export.note(pool, "limits.memory", words));
    }
    if !pool.policy.grace.is_zero() && name_of(pool.stop.signal).is_none() {
        let words = "not carried over: Nomad takes a signal by its name, and this one has none: use one that has a name";
        notes.push(export.note(pool, "stop.signal", words));
    }
    notes
}

fn groups(export: &Export<'_>, pool: &Pool) -> Vec<Group> {
    let group = |name: String, n, count| Group {
        name,
        names: Names::of_slot(pool, n),
        count,
        port: port_of(&pool.spec.slots, n),
    };
    let count = pool.spec.count();
    if count > 1 && asks_for_number(&pool.spec) {
        return (1..=count).map(|n| group(export.numbered(pool, n), n, 1)).collect();
    }
    vec![group(pool.name.clone(), 1, count)]
}

fn group(export: &Export<'_>, pool: &Pool, one: &Group) -> Value {
    // Tasks may read the variables of their own job alone.
    let path = format!("{}/{}", job_of(export, pool), one.name);
    let own = task(export, pool, &pool.name, one, &path);
    let mut tasks = Vec::new();
    add_jobs(export, pool, &path, &mut tasks);
    tasks.push(own);
    let network =
        one.port.map(|port| [json!({ "DynamicPorts": [{ "Label": "main", "To": port }] })]);
    let is_batch = pool.policy.restart != Restart::Always;
    map([
        ("Name", json!(one.name)),
        ("Count", json!(one.count)),
        ("Networks", json!(network)),
        ("Services", json!(service::of_group(export, pool, one).map(|service| [service]))),
        ("RestartPolicy", restart(pool)),
        ("ReschedulePolicy", reschedule(pool)),
        ("Update", if is_batch { Value::Null } else { update(export, pool) }),
        ("Tasks", json!(tasks)),
    ])
}

/// The jobs that a pool comes after, as tasks that run before its own; those first that others of them come after.
fn add_jobs(export: &Export<'_>, pool: &Pool, path: &str, tasks: &mut Vec<Value>) {
    for needed in export.needs(pool).filter(|needed| is_job(needed)) {
        add_jobs(export, needed, path, tasks);
        for n in 1..=needed.spec.count() {
            let name = match needed.spec.count() {
                1 => needed.name.clone(),
                _ => export.numbered(needed, n),
            };
            if tasks.iter().any(|task| task["Name"] == name.as_str()) {
                continue;
            }
            let one = Group {
                name: name.clone(),
                names: Names::of_slot(needed, n),
                count: 1,
                port: None,
            };
            let path = format!("{path}/{name}");
            let mut task = task(export, needed, &name, &one, &path);
            task["RestartPolicy"] = restart(needed);
            task["Lifecycle"] = json!({ "Hook": "prestart", "Sidecar": false });
            tasks.push(task);
        }
    }
}

fn task(export: &Export<'_>, pool: &Pool, name: &str, one: &Group, path: &str) -> Value {
    let user = export.texts(pool, "user").first();
    let user = user.map(|user| match export.texts(pool, "group").first() {
        Some(group) => format!("{user}:{group}"),
        None => user.clone(),
    });
    let grace = pool.policy.grace;
    let signal =
        if grace.is_zero() { Some("SIGKILL".to_owned()) } else { name_of(pool.stop.signal) };
    let memory = pool.spec.exec.limits.memory_bytes;
    let memory = memory.map(|bytes| bytes.div_ceil(MIB).max(MEMORY_LEAST));
    map([
        ("Name", json!(name)),
        ("Driver", json!("docker")),
        ("Config", config(export, pool, one)),
        ("Env", environment(export, pool, one)),
        ("Templates", json!(template(export, pool, path).map(|template| [template]))),
        ("User", json!(user)),
        ("KillSignal", json!(signal)),
        ("KillTimeout", nanoseconds(grace.max(Duration::from_millis(1)))),
        ("Resources", map([("MemoryMB", json!(memory))])),
    ])
}

/// The name of a signal; those of real time have none.
fn name_of(signal: i32) -> Option<String> {
    Some(signal::name(signal)).filter(|name| name.starts_with("SIG"))
}

/// What the driver docker is told.
fn config(export: &Export<'_>, pool: &Pool, one: &Group) -> Value {
    let names = &one.names;
    let exec = &pool.spec.exec;
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, .. } = exec.limits;
    let limit = |limit: Option<u64>| json!(limit.map(|limit| limit.to_string()));
    let limits = map([
        ("nofile", limit(open_files)),
        ("nproc", limit(processes)),
        ("fsize", limit(file_bytes)),
        ("core", limit(core_bytes)),
        ("stack", limit(stack_bytes)),
    ]);
    let has_limits = limits.as_object().is_some_and(|limits| !limits.is_empty());
    let cwd = pool.spec.cwd.as_ref().map(|cwd| escaped(&names.path(cwd, str::to_owned)));
    let command = container::command(export, pool, names, str::to_owned);
    let command: Vec<_> = command.iter().map(|argument| escaped(argument)).collect();
    map([
        ("image", json!(escaped(&export.wishes.image))),
        ("entrypoint", json!(command)),
        ("work_dir", json!(cwd)),
        ("ports", json!(one.port.map(|_| ["main"]))),
        ("ulimit", if has_limits { json!([limits]) } else { Value::Null }),
        ("tty", json!(exec.pty.then_some(true))),
        ("interactive", json!((exec.stdin != Stdin::Null).then_some(true))),
    ])
}

/// A text of `Config`, which the client reads as a template of HCL, so that it arrives as it is. Signs before `${` and
/// `%{` are expressions, as a sign before an escape could read as another one.
fn escaped(text: &str) -> String {
    let is_sign = |c: char| c == '$' || c == '%';
    let mut escaped = String::new();
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        let before = &rest[..brace];
        let plain = before.trim_end_matches(is_sign);
        escaped += plain;
        let mut signs = before[plain.len()..].chars();
        if let Some(last) = signs.next_back() {
            escaped.extend(signs.map(|sign| format!("${{\"{sign}\"}}")));
            escaped.extend([last, last]);
        }
        escaped.push('{');
        rest = &rest[brace + 1..];
    }
    escaped + rest
}

fn environment(export: &Export<'_>, pool: &Pool, one: &Group) -> Value {
    let all = container::environment(pool, &one.names, str::to_owned);
    let all = all.into_iter().map(|(name, value)| (name, Value::String(value)));
    let mut all: serde_json::Map<_, _> = all.collect();
    if one.count > 1 {
        // Several allocations cannot have the name of one slot.
        for name in [PS, PM_SLOT] {
            if pool.spec.env.iter().all(|(own, _)| own != name) {
                all.insert(name.to_owned(), json!(format!("{}.${{NOMAD_ALLOC_INDEX}}", pool.name)));
            }
        }
    }
    if export.wishes.secrets {
        for (name, value) in &pool.spec.env_files {
            if !all.contains_key(name) {
                all.insert(name.clone(), json!(value));
            }
        }
    }
    Value::Object(all)
}

/// The variables of `env_file`, from a variable of Nomad that the tasks of this group may read.
fn template(export: &Export<'_>, pool: &Pool, path: &str) -> Option<Value> {
    if pool.spec.env_files.is_empty() || export.wishes.secrets {
        return None;
    }
    let text = format!(
        "{{{{ with nomadVar \"nomad/jobs/{path}\" }}}}{{{{ range .Tuples }}}}{{{{ .K }}}}={{{{ .V | toJSON }}}}\n{{{{ end }}}}{{{{ end }}}}"
    );
    Some(json!({ "EmbeddedTmpl": text, "DestPath": "secrets/env_file", "Envvars": true }))
}

/// How often Nomad starts a task again before it gives up, or waits.
fn restart(pool: &Pool) -> Value {
    let (policy, delay) = (&pool.policy, pool.policy.backoff.first);
    if policy.restart == Restart::Never {
        return json!({ "Attempts": 0, "Mode": "fail", "Interval": nanoseconds(INTERVAL), "Delay": 0 });
    }
    // All attempts with their waits have to fit into the interval.
    if let Some(most) = policy.max_restarts {
        let (count, interval) = (most.count.get(), most.within.max(INTERVAL_LEAST));
        let delay = delay.min(interval / count);
        return json!({
            "Attempts": count, "Mode": "fail", "Interval": nanoseconds(interval), "Delay": nanoseconds(delay),
        });
    }
    if let (Restart::OnFailure, Some(tries)) = (policy.restart, policy.backoff.give_up_after) {
        let interval = (delay * tries.get()).max(INTERVAL);
        return json!({
            "Attempts": tries, "Mode": "fail", "Interval": nanoseconds(interval), "Delay": nanoseconds(delay),
        });
    }
    let attempts = (INTERVAL.as_millis() / delay.as_millis().max(1)).clamp(1, ATTEMPTS_MOST);
    let interval = INTERVAL.max(delay);
    json!({ "Attempts": attempts, "Mode": "delay", "Interval": nanoseconds(interval), "Delay": nanoseconds(delay) })
}

/// What has given up stays so.
fn reschedule(pool: &Pool) -> Value {
    let gives_up = pool.policy.restart != Restart::Always || pool.policy.max_restarts.is_some();
    if gives_up { json!({ "Attempts": 0, "Unlimited": false }) } else { Value::Null }
}

/// One after another, as pm rolls.
fn update(export: &Export<'_>, pool: &Pool) -> Value {
    let ready = &pool.spec.ready;
    let lived = (ready.by == ReadyBy::Lived).then_some(ready.within);
    let within = export.given(pool, "ready.within").map(|_| ready.within);
    // Nomad waits for 5 minutes by default, and no worker can be healthy sooner than it has lived.
    let within = match lived {
        Some(lived) => (lived >= LIVED_LONG).then(|| lived * 2),
        None => within,
    };
    // It has to be shorter than the deadline.
    let short = within.filter(|within| *within <= MIN_HEALTHY_TIME).map(|within| within / 2);
    map([
        ("MaxParallel", json!(1)),
        ("MinHealthyTime", json!(lived.or(short).map(nanoseconds))),
        ("HealthyDeadline", json!(within.map(nanoseconds))),
        // Longer than the deadline of one allocation, and at least what Nomad has by default.
        ("ProgressDeadline", json!(within.map(|within| nanoseconds((within * 2).max(PROGRESS))))),
    ])
}

fn nanoseconds(time: Duration) -> Value {
    json!(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
