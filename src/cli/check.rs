//! `pm check`: prints every fault of the file, or a line for each pool and what would fail now. Starts nothing.

use std::ffi::OsString;

use serde_json::json;

use super::args::CheckArgs;
use super::host::HostToCheck;
use super::load::{FileKind, Loaded, of_file};
use super::warnings::{self, Warning};
use super::{Ending, colour, diagnostics, refuse, say};
use crate::plan::procfile::Options;
use crate::plan::text::printable::printable;
use crate::plan::text::{duration, phrase};
use crate::plan::{LoadError, Plan, Pool, Probe, ReadyBy, RestartWord};

/// Reads the file that `pm run` would read, and prints what is in it.
pub fn check(args: &CheckArgs) -> Ending {
    match of_file(args.file.as_deref(), FileKind::FileOrPipe, &Options::default(), &HostToCheck) {
        Ok(Loaded { file, plan, .. }) if args.json => {
            let pools: Vec<_> = plan.pools.iter().map(|pool| described(&plan, pool)).collect();
            let warnings = warnings::of(&plan, &own_variables()).into_iter();
            let warnings =
                warnings.map(|Warning { pool, what }| json!({ "pool": pool, "message": what }));
            let warnings: Vec<_> = warnings.collect();
            let sealed = plan.sealed;
            let found = json!({ "ok": true, "file": file, "sealed": sealed, "pools": pools, "warnings": warnings });
            say(&lines(&found))
        }
        Ok(Loaded { file, plan, .. }) => {
            let workers = phrase::count(plan.slots().count(), "worker");
            let pools: String = plan.pools.iter().map(|pool| summary(pool) + "\n").collect();
            let warnings = warnings::of(&plan, &own_variables()).into_iter();
            let warnings: String = warnings.map(|warning| format!("{warning}\n")).collect();
            let sealed = if plan.sealed { ", sealed" } else { "" };
            let file = printable(&file);
            say(&format!("{file} is OK: {workers}{sealed}\n{pools}{warnings}"))
        }
        Err(LoadError::Faults(found)) if args.json => {
            let (faults, left_out) = (diagnostics::json(&found), found.left_out());
            let note = found.guess().map(|guess| guess.to_string());
            refuse_json(
                &json!({ "ok": false, "faults": faults, "left_out": left_out, "note": note }),
            )
        }
        Err(why) if args.json => {
            refuse_json(&json!({ "ok": false, "faults": [], "error": why.to_string() }))
        }
        Err(why) => refuse(&why, colour::decide(args.colour.color)),
    }
}

fn own_variables() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

fn refuse_json(found: &serde_json::Value) -> Ending {
    match say(&lines(found)) {
        Ending::Done => Ending::Refused,
        other => other,
    }
}

fn lines(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// `web: 3 workers on ports 8080 to 8082, ready when its port accepts a connection: deno run ...`
fn summary(pool: &Pool) -> String {
    let workers = phrase::count(pool.slots.len(), "worker");
    let ports: Vec<_> = pool.slots.iter().filter_map(|slot| slot.port).collect();
    let ports = match ports.as_slice() {
        [] => String::new(),
        ports => format!(" on {}", phrase::ports(ports)),
    };
    let held =
        if pool.slots.iter().any(|slot| slot.exec.hold_port.holds()) { ", held" } else { "" };
    let ends_run = if pool.ends_run { ", ends the run" } else { "" };
    let (ready, command) = (ready(pool), command(pool));
    format!("{}: {workers}{ports}{held}, ready {ready}{ends_run}: {command}", pool.name)
}

fn command(pool: &Pool) -> String {
    let argv = pool.slots.first().map(|slot| slot.exec.argv.join(" ".as_ref()));
    let line = argv.unwrap_or_default().to_string_lossy().into_owned();
    printable(line.strip_prefix("/bin/sh -c ").unwrap_or(&line))
}

/// What makes its workers ready, as the end of a sentence.
fn ready(pool: &Pool) -> String {
    let Some(slot) = pool.slots.first() else { return "at once".into() };
    match &slot.ready.by {
        ReadyBy::Lived if slot.ready.within.is_zero() => "at once".into(),
        ReadyBy::Lived => format!("after {}", duration::words(slot.ready.within)),
        ReadyBy::Probe(Probe::Tcp { .. }) => "when its port accepts a connection".into(),
        ReadyBy::Probe(Probe::Http { target, .. }) => format!("when it answers GET {target}"),
        ReadyBy::Probe(Probe::Exec { .. }) => "when its probe command exits 0".into(),
        ReadyBy::Notify => "when it sends READY=1".into(),
        ReadyBy::Line(line) => format!("when it prints {}", printable(&line.to_string())),
        ReadyBy::Exit => "when it has exited with status 0".into(),
        ReadyBy::Listen => "when it listens on its port".into(),
    }
}

fn described(plan: &Plan, pool: &Pool) -> serde_json::Value {
    let text = |os: &OsString| os.to_string_lossy().into_owned();
    let slots = pool.slots.iter().map(|slot| {
        json!({
            "name": slot.name,
            "port": slot.port,
            "argv": slot.exec.argv.iter().map(text).collect::<Vec<_>>(),
            "cwd": slot.exec.cwd,
        })
    });
    let after = pool.after.iter().map(|other| plan.pools[*other].name.as_str());
    json!({
        "name": pool.name,
        "after": after.collect::<Vec<_>>(),
        "restart": RestartWord::from(pool.policy.restart).written(),
        "ready": ready(pool),
        "ends_run": pool.ends_run,
        "hold_port": pool.slots.iter().any(|slot| slot.exec.hold_port.holds()),
        "grace_ms": u64::try_from(pool.policy.grace.as_millis()).unwrap_or(u64::MAX),
        "slots": slots.collect::<Vec<_>>(),
    })
}
