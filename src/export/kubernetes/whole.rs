//! The pod of a whole pool: pm keeps all workers of the pool in one container.
//!
//! pm reads the pool's `pm.toml` ([`super::plan`]), which a ConfigMap puts beside the files of the image, so that paths
//! start where they start elsewhere. The kubelet asks pm whether all slots are ready, and that only until they have
//! been once: one slot that fails later must not take the others out of the Service.

use serde_json::{Value, json};

use super::{Objects, metadata, plan, pod, secret_name};
use crate::export::Export;
use crate::export::filled::port_of;
use crate::export::yaml::map;
use crate::plan::Pool;
use crate::supervisor::SpareRule;

/// Where pm listens: in a folder that each user of the container may write to, also where all others are read-only.
const SOCKET: &str = "/run/pm-control/pm.sock";
const SOCKET_FOLDER: &str = "/run/pm-control";
const SOCKET_VOLUME: &str = "pm-control";

/// What pm needs beside its workers.
const PM_BYTES: u64 = 16 << 20;

/// pm kills what is left of its workers at the end of their grace, and then ends.
const PM_ENDS_SECONDS: u64 = 2;

/// What pm reads.
pub fn config_map(export: &Export<'_>, objects: &Objects, pool: &Pool) -> Value {
    let name = plan_name(objects, pool);
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(export, pool, objects, &name),
        "data": { file_name(objects, pool): plan::text(export, pool) },
    })
}

pub fn container(export: &Export<'_>, objects: &Objects, pool: &Pool) -> Value {
    let file = file_name(objects, pool);
    let path = pool.spec.dir.join(&file).to_string_lossy().into_owned();
    let ports = ports(pool).map(|port| json!({ "name": port_name(port), "containerPort": port }));
    let secret = json!({ "secretRef": { "name": secret_name(objects, pool) } });
    map([
        ("name", json!(objects.name(pool))),
        ("image", json!(export.wishes.image)),
        ("command", json!(["pm", "run", "-f", pod::text(&path)])),
        ("env", json!([{ "name": "PM_SOCKET", "value": SOCKET }])),
        ("envFrom", json!((!pool.spec.env_files.is_empty()).then_some([secret]))),
        ("ports", ports.collect()),
        ("resources", pod::resources(export, pool, workers(pool), PM_BYTES)),
        ("securityContext", pod::security(export, pool)),
        (
            "volumeMounts",
            json!([
                { "name": plan_name(objects, pool), "mountPath": path, "subPath": file, "readOnly": true },
                { "name": SOCKET_VOLUME, "mountPath": SOCKET_FOLDER },
            ]),
        ),
    ])
}

/// Those that serve, and their spares.
fn workers(pool: &Pool) -> usize {
    let slots = pool.spec.count();
    match pool.policy.spare {
        SpareRule::Always { .. } => slots * 2,
        SpareRule::Shared { .. } => slots + pool.spares,
        SpareRule::Never | SpareRule::ToReplace { .. } => slots,
    }
}

/// The volumes of a pod in which pm keeps these pools, each in a container.
pub fn volumes(objects: &Objects, pools: &[&Pool]) -> Value {
    let plan = |pool: &&Pool| {
        let name = plan_name(objects, pool);
        json!({ "name": name, "configMap": { "name": name } })
    };
    let socket = json!({ "name": SOCKET_VOLUME, "emptyDir": {} });
    pools.iter().map(plan).chain([socket]).collect()
}

/// As often as it takes: pm goes on trying too.
pub fn startup_probe() -> Value {
    json!({
        "exec": { "command": ["pm", "status", "--check", "-q"] },
        "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": i32::MAX,
    })
}

/// True if pm may end because its workers fail.
pub fn gives_up(pool: &Pool) -> bool {
    pool.policy.backoff.give_up_after.is_some() || pool.policy.max_restarts.is_some()
}

pub fn grace_seconds(pool: &Pool) -> u64 {
    pod::seconds(pool.policy.grace) + PM_ENDS_SECONDS
}

/// The ports of all slots.
pub fn ports(pool: &Pool) -> impl Iterator<Item = u16> {
    (1..=pool.spec.count()).filter_map(|n| port_of(&pool.spec.slots, n))
}

pub fn port_name(port: u16) -> String {
    format!("port-{port}")
}

fn plan_name(objects: &Objects, pool: &Pool) -> String {
    format!("{}-plan", objects.name(pool))
}

fn file_name(objects: &Objects, pool: &Pool) -> String {
    format!("{}.pm.toml", objects.name(pool))
}
