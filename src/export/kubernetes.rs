//! Manifests of Kubernetes: for each pool a Deployment, a StatefulSet where its workers ask for their number, or a Job
//! if it ends; with a Service for its ports, a ConfigMap for `env` and a Secret for `env_file`.
//!
//! Each pod has an address of its own, so all workers of a pool listen on its first port. A job that others come after
//! is an init container of theirs. [`pod`] has the containers. With [`PodPer::Pool`] pm keeps all workers of a pool in
//! one pod: [`whole`] has what is different then, and [`plan`] what that pm reads. [`scaling`] lets Kubernetes choose
//! the number of pods. [`notes`] says what depends on more than a key.

pub mod notes;
mod plan;
mod pod;
mod scaling;
mod whole;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filled::{Names, asks_for_number, asks_in, port_of};
use super::yaml::{self, map};
use super::{Export, Exported, File, PodPer, is_job, without_clash};
use crate::plan::text::placeholders::Template;
use crate::plan::{Pool, ReadyBy};
use crate::supervisor::Restart;

/// A name of a label (DNS, RFC 1123) has at most this many letters.
const NAME_MAX: usize = 63;

/// The variable in which a pod of a StatefulSet finds its number.
const NUMBER: &str = "PM_N";

/// What keeps the workers of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deployment,
    StatefulSet,
    Job,
    /// The pools that come after it have it as an init container.
    Init,
}

/// The names of pools, as Kubernetes takes them.
pub struct Objects {
    names: BTreeMap<String, String>,
}

pub fn export(export: &Export<'_>) -> Exported {
    let mut made = Exported::default();
    let objects = Objects::of(export);
    for pool in &export.pools {
        let kind = kind(export, pool);
        let documents = documents(export, &objects, pool, kind);
        if !documents.is_empty() {
            let name = format!("{}.yaml", objects.name(pool));
            made.files.push(File { name, text: documents.join("---\n") });
        }
        made.notes.extend(notes::of(export, &objects, pool, kind));
        made.said.extend(notes::keys_said(export, pool, kind).map(|key| (pool.name.clone(), key)));
    }
    made
}

impl Objects {
    fn of(export: &Export<'_>) -> Self {
        let mut names = BTreeMap::new();
        // Of all pools, so that a pool has the same name also where others are left out.
        for pool in &export.plan.pools {
            let name: String = pool.name.to_ascii_lowercase().replace('_', "-");
            let name = cut(name.trim_matches('-'), NAME_MAX - 16);
            let name = match name.bytes().next() {
                None => "pool".to_owned(),
                // The name of a Service begins with a letter (RFC 1035).
                Some(b'0'..=b'9') => cut(&format!("pool-{name}"), NAME_MAX - 16),
                Some(_) => name,
            };
            // Two pools may differ in what a name of Kubernetes has not.
            let candidates =
                (1..).map(|n| if n == 1 { name.clone() } else { format!("{name}-{n}") });
            let is_free = |name: &String| names.values().all(|taken| taken != name);
            let free = { candidates }.find(is_free).expect("there is no end of numbers");
            names.insert(pool.name.clone(), free);
        }
        Self { names }
    }

    /// The name of one of several that a pool becomes.
    fn numbered(&self, pool: &Pool, number: usize) -> String {
        without_clash(self.name(pool), number, |name| {
            self.names.values().any(|taken| taken == name)
        })
    }

    /// The name of a pool's objects.
    fn name(&self, pool: &Pool) -> &str {
        &self.names[&pool.name]
    }
}

/// The first `letters` letters of a name, without hyphens at the end.
fn cut(name: &str, letters: usize) -> String {
    let name: String = name.chars().take(letters).collect();
    name.trim_end_matches('-').to_owned()
}

fn kind(export: &Export<'_>, pool: &Pool) -> Kind {
    if is_job(pool) && export.is_awaited(pool) {
        Kind::Init
    } else if is_job(pool) || pool.policy.restart != Restart::Always {
        Kind::Job
    } else if asks_for_number(&pool.spec) && export.wishes.pod_per == PodPer::Slot {
        Kind::StatefulSet
    } else {
        Kind::Deployment
    }
}

/// What the placeholders become in a pod that is one of several.
fn names_in_pod(pool: &Pool, kind: Kind) -> Names {
    let first = Names::of_slot(pool, 1);
    match kind {
        Kind::StatefulSet => {
            Names { n: format!("$({NUMBER})"), slot: format!("{}.$({NUMBER})", pool.name), ..first }
        }
        Kind::Deployment | Kind::Job | Kind::Init => first,
    }
}

fn documents(export: &Export<'_>, objects: &Objects, pool: &Pool, kind: Kind) -> Vec<String> {
    let head = yaml::comment(&format!("Made from {} by `pm export kubernetes`.", export.source));
    let is_whole = export.wishes.pod_per == PodPer::Pool;
    let read = if is_whole {
        Some(whole::config_map(export, objects, pool))
    } else {
        variables(export, objects, pool)
    };
    let mut values = vec![read, secret(export, objects, pool)];
    if kind != Kind::Init {
        values.push(service(export, objects, pool, kind));
    }
    match kind {
        Kind::Init => {}
        Kind::Job if asks_for_number(&pool.spec) && !is_whole => {
            let jobs = (1..=pool.spec.count()).map(|n| {
                let name = objects.numbered(pool, n);
                Some(job(export, objects, pool, &name, 1, &Names::of_slot(pool, n)))
            });
            values.extend(jobs);
        }
        Kind::Job => {
            let (name, names) = (objects.name(pool), Names::of_slot(pool, 1));
            let count = if is_whole { 1 } else { pool.spec.count() };
            values.push(Some(job(export, objects, pool, name, count, &names)));
        }
        Kind::StatefulSet | Kind::Deployment => {
            values.push(scaling::autoscaler(export, objects, pool, kind));
            values.push(Some(workload(export, objects, pool, kind)));
        }
    }
    let mut texts: Vec<_> =
        values.into_iter().flatten().map(|value| yaml::document(&value)).collect();
    if kind == Kind::Deployment
        && let Some(last) = texts.last_mut()
    {
        *last = yaml::comment(&scaling::hint(export, objects, pool)) + last;
    }
    if let Some(first) = texts.first_mut() {
        *first = head + first;
    }
    texts
}

fn metadata(export: &Export<'_>, pool: &Pool, objects: &Objects, name: &str) -> Value {
    json!({ "name": name, "labels": labels(export, objects.name(pool)) })
}

fn labels(export: &Export<'_>, name: &str) -> Value {
    let whole = cut(&export.wishes.name, NAME_MAX);
    json!({ "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": whole })
}

/// What is the same for every worker of `env`.
fn variables(export: &Export<'_>, objects: &Objects, pool: &Pool) -> Option<Value> {
    let names = Names::of_slot(pool, 1);
    let is_shared = |(name, value): &&(String, Template)| !asks_in(value) && is_key(name);
    let values = pool.spec.env.iter().filter(is_shared);
    let values: serde_json::Map<_, _> = values
        .map(|(name, value)| (name.clone(), json!(names.fill(value, str::to_owned))))
        .collect();
    let name = format!("{}-env", objects.name(pool));
    (!values.is_empty()).then(|| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(export, pool, objects, &name), "data": values })
    })
}

/// True for a name of a variable that a ConfigMap and a Secret take.
fn is_key(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The variables of `env_file`, if they are to be written.
fn secret(export: &Export<'_>, objects: &Objects, pool: &Pool) -> Option<Value> {
    let values: serde_json::Map<_, _> = pool
        .spec
        .env_files
        .iter()
        .filter(|(name, _)| is_key(name))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let name = secret_name(objects, pool);
    (export.wishes.secrets && !values.is_empty()).then(|| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata(export, pool, objects, &name), "type": "Opaque",
            "stringData": values,
        })
    })
}

fn secret_name(objects: &Objects, pool: &Pool) -> String {
    format!("{}-env-file", objects.name(pool))
}

/// One address for all pods of a pool. A StatefulSet needs one even without ports.
fn service(export: &Export<'_>, objects: &Objects, pool: &Pool, kind: Kind) -> Option<Value> {
    if is_job(pool) {
        return None;
    }
    let port = |port: u16, name: String| json!({ "name": name, "port": port, "targetPort": name });
    let ports: Vec<_> = match export.wishes.pod_per {
        PodPer::Slot => port_of(&pool.spec.slots, 1)
            .map(|number| port(number, "main".into()))
            .into_iter()
            .collect(),
        PodPer::Pool => {
            whole::ports(pool).map(|number| port(number, whole::port_name(number))).collect()
        }
    };
    if ports.is_empty() && kind != Kind::StatefulSet {
        return None;
    }
    let name = objects.name(pool);
    let spec = map([
        ("selector", labels(export, name)),
        ("clusterIP", json!(ports.is_empty().then_some("None"))),
        ("ports", json!(ports)),
    ]);
    Some(
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata(export, pool, objects, name), "spec": spec }),
    )
}

/// A Deployment or a StatefulSet.
fn workload(export: &Export<'_>, objects: &Objects, pool: &Pool, kind: Kind) -> Value {
    let name = objects.name(pool);
    let ready = &pool.spec.ready;
    // What pm in the pod waits for, the probe asks it for.
    let has_lived = export.wishes.pod_per == PodPer::Slot
        && ready.by == ReadyBy::Lived
        && !ready.within.is_zero();
    let lived = has_lived.then(|| pod::seconds(ready.within));
    let pod = pod::spec(export, objects, pool, kind, &names_in_pod(pool, kind));
    let common = [
        ("replicas", json!(scaling::replicas(export, pool, kind))),
        ("selector", json!({ "matchLabels": labels(export, name) })),
        ("minReadySeconds", json!(lived)),
        ("template", json!({ "metadata": { "labels": labels(export, name) }, "spec": pod })),
    ];
    let is_stateful = kind == Kind::StatefulSet;
    let mut spec = map(common);
    let own = if is_stateful {
        map([
            ("serviceName", json!(name)),
            ("ordinals", json!({ "start": 1 })),
            ("podManagementPolicy", json!("Parallel")),
        ])
    } else {
        // As pm rolls: one after another, and none before the next one is ready.
        map([(
            "strategy",
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } }),
        )])
    };
    if let (Value::Object(spec), Value::Object(own)) = (&mut spec, own) {
        spec.extend(own);
    }
    let kind = if is_stateful { "StatefulSet" } else { "Deployment" };
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": metadata(export, pool, objects, name), "spec": spec })
}

fn job(
    export: &Export<'_>,
    objects: &Objects,
    pool: &Pool,
    name: &str,
    count: usize,
    names: &Names,
) -> Value {
    let without_end = i32::MAX.unsigned_abs();
    let tries = match (pool.policy.restart, export.wishes.pod_per) {
        (Restart::Never, _) => 0,
        (Restart::OnFailure | Restart::Always, PodPer::Slot) => {
            pool.policy.backoff.give_up_after.map_or(without_end, std::num::NonZeroU32::get)
        }
        // pm in the pod has tried as often as it may.
        (Restart::OnFailure | Restart::Always, PodPer::Pool) if whole::gives_up(pool) => 0,
        (Restart::OnFailure | Restart::Always, PodPer::Pool) => without_end,
    };
    // pm in the pod gives each try that long.
    let is_limited = is_job(pool) && export.wishes.pod_per == PodPer::Slot;
    let deadline = export.given(pool, "ready.within").filter(|_| is_limited);
    let spec = map([
        ("completions", json!(count)),
        ("parallelism", json!(count)),
        ("backoffLimit", json!(tries)),
        ("activeDeadlineSeconds", json!(deadline.map(|_| pod::seconds(pool.spec.ready.within)))),
        (
            "template",
            json!({
                "metadata": { "labels": labels(export, objects.name(pool)) },
                "spec": pod::spec(export, objects, pool, Kind::Job, names),
            }),
        ),
    ]);
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(export, pool, objects, name), "spec": spec })
}
