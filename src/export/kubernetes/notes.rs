//! What is said of the keys of a pool, where it depends on more than the key.

use super::{Kind, Objects, is_key, pod, scaling, secret_name, whole};
use crate::export::filled::asks_in;
use crate::export::{Export, Note, PodPer, UNKNOWN_ID};
use crate::plan::Pool;
use crate::supervisor::Restart;

/// What is said of a key, with the names of this pool in it.
pub fn with_names(export: &Export<'_>, pool: &Pool, words: &str) -> String {
    words.replace("web-env-file", &secret_name(&Objects::of(export), pool))
}

/// The keys of which [`of`] says all.
pub(super) fn keys_said(
    export: &Export<'_>,
    pool: &Pool,
    kind: Kind,
) -> impl Iterator<Item = &'static str> {
    let unknown = pool.spec.exec.identity.iter();
    let unknown = unknown.flat_map(|identity| [("user", identity.uid), ("group", identity.gid)]);
    let unknown = unknown.filter(|(_, id)| *id == UNKNOWN_ID).map(|(key, _)| key);
    unknown.chain(lacks_hook(export, pool, kind).then_some("stop.signal"))
}

/// True if its signal cannot be sent.
fn lacks_hook(export: &Export<'_>, pool: &Pool, kind: Kind) -> bool {
    kind == Kind::Init && export.wishes.pod_per == PodPer::Slot && pod::has_hook(pool)
}

/// What depends on more than the key.
pub(super) fn of(export: &Export<'_>, objects: &Objects, pool: &Pool, kind: Kind) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut add = |key: &str, words: String| notes.push(export.note(pool, key, words));
    if let Some(identity) = &pool.spec.exec.identity {
        for (key, id) in [("user", identity.uid), ("group", identity.gid)] {
            if id == UNKNOWN_ID && export.given(pool, key).is_some() {
                add(
                    key,
                    "not carried over: its number is not known here: give the number".to_owned(),
                );
            }
        }
    }
    let is_whole = export.wishes.pod_per == PodPer::Pool;
    let odd = pool.spec.env.iter().map(|(name, _)| (name, "env")).filter(|_| !is_whole);
    let odd = odd.chain(pool.spec.env_files.iter().map(|(name, _)| (name, "env_file")));
    for (name, key) in odd.filter(|(name, _)| !is_key(name)) {
        add(
            key,
            format!(
                "not carried over: `{name}`, which is no name for Kubernetes: use letters, digits and `_`"
            ),
        );
    }
    if is_whole {
        for (port, key) in
            pod::other_ports(pool).filter(|(port, _)| !whole::ports(pool).any(|own| own == *port))
        {
            add(
                key,
                format!(
                    "in part: pm asks port {port} of the pod, where no other pool is: ask another pool by `exec`"
                ),
            );
        }
    }
    if lacks_hook(export, pool, kind) {
        add(
            "stop.signal",
            "not carried over: an init container has no hook before its end, and gets SIGTERM"
                .to_owned(),
        );
    }
    if kind == Kind::StatefulSet && pool.spec.cwd.as_ref().is_some_and(asks_in) {
        add("cwd", "not carried over: `workingDir` cannot have the number of a pod: change the folder in the command".to_owned());
    }
    if kind == Kind::Init {
        let words = "in part: it is an init container of each pod that comes after it, and runs once for each of them: it must bear that";
        add("command", words.to_owned());
    }
    if scaling::is_told_apart(export, pool, kind) {
        add("command", scaling::NOT_SCALED.to_owned());
    }
    if kind == Kind::Init && pool.policy.restart == Restart::Never {
        add("restart", "in part: an init container that fails is tried again".to_owned());
    }
    if objects.name(pool) != pool.name {
        add(
            "command",
            format!(
                "in part: its objects are called `{}`, a name that Kubernetes takes",
                objects.name(pool)
            ),
        );
    }
    notes
}
