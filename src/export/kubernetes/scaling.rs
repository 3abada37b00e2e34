//! The number of pods of a pool: as the plan has it, or as a HorizontalPodAutoscaler chooses it.

use serde_json::{Value, json};

use super::{Kind, Objects, metadata};
use crate::export::filled::asks_for_number;
use crate::export::{Export, PodPer, PodRange};
use crate::plan::Pool;

/// The part of the requested CPU that pods use on average: with more there are more of them.
const CPU_PERCENT: u32 = 70;

/// A pool whose workers are told apart by their number.
pub const NOT_SCALED: &str = "in part: its workers ask for their number, so their count does not change by itself: `--autoscale` is not for it";

/// True if an autoscaler is wished, and this pool has none because its workers ask for their number.
pub fn is_told_apart(export: &Export<'_>, pool: &Pool, kind: Kind) -> bool {
    let is_service = match kind {
        Kind::Deployment | Kind::StatefulSet => true,
        Kind::Job | Kind::Init => false,
    };
    export.wishes.autoscale.is_some() && is_service && asks_for_number(&pool.spec)
}

/// The range in which the number of pods may change; none for workers that are told apart, and for what ends.
fn range(export: &Export<'_>, pool: &Pool, kind: Kind) -> Option<PodRange> {
    let is_scaled = match kind {
        Kind::Deployment => !asks_for_number(&pool.spec),
        Kind::StatefulSet | Kind::Job | Kind::Init => false,
    };
    export.wishes.autoscale.filter(|_| is_scaled)
}

/// Where the number may change, it stands nowhere else: applying the file again would set it back.
pub fn replicas(export: &Export<'_>, pool: &Pool, kind: Kind) -> Option<usize> {
    match (range(export, pool, kind), export.wishes.pod_per) {
        (Some(_), _) => None,
        (None, PodPer::Slot) => Some(pool.spec.count()),
        (None, PodPer::Pool) => Some(1),
    }
}

pub fn autoscaler(
    export: &Export<'_>,
    objects: &Objects,
    pool: &Pool,
    kind: Kind,
) -> Option<Value> {
    let PodRange { least, most } = range(export, pool, kind)?;
    let name = objects.name(pool);
    let cpu = json!({ "name": "cpu", "target": { "type": "Utilization", "averageUtilization": CPU_PERCENT } });
    Some(json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(export, pool, objects, name),
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "minReplicas": least, "maxReplicas": most, "metrics": [{ "type": "Resource", "resource": cpu }],
        },
    }))
}

/// How to have more pods of a Deployment.
pub fn hint(export: &Export<'_>, objects: &Objects, pool: &Pool) -> String {
    let name = objects.name(pool);
    if range(export, pool, Kind::Deployment).is_some() {
        return "The HorizontalPodAutoscaler sets `replicas`.".to_owned();
    }
    match export.wishes.pod_per {
        PodPer::Slot => format!(
            "More pods: kubectl scale deployment/{name} --replicas=N; with a HorizontalPodAutoscaler remove `replicas`."
        ),
        PodPer::Pool => format!(
            "More pods, each with all slots: kubectl scale deployment/{name} --replicas=N; with a HorizontalPodAutoscaler \
             remove `replicas`."
        ),
    }
}
