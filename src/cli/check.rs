//! `pm check`: is the file right? Every fault of it, or a line for each pool.

use serde_json::json;

use super::args::Check;
use super::load::{Loaded, NoPlan, of_file};
use super::{Ending, colour, diagnostics, refuse, say};
use crate::plan::procfile::Options;
use crate::plan::{Plan, Pool, Probe, ReadyBy, RestartWord};

/// Reads what `pm run` would, and says what it makes of it.
pub fn check(check: &Check) -> Ending {
    match of_file(check.file.as_deref(), &Options::default()) {
        Ok(Loaded { file, plan, .. }) if check.json => {
            let pools: Vec<_> = plan.pools.iter().map(|pool| described(&plan, pool)).collect();
            say(&lines(&json!({ "ok": true, "file": file, "pools": pools })))
        }
        Ok(Loaded { file, plan, .. }) => {
            let workers = plan.slots().count();
            let workers =
                if workers == 1 { "1 worker".into() } else { format!("{workers} workers") };
            let pools: String = plan.pools.iter().map(|pool| summary(pool) + "\n").collect();
            say(&format!("{file} is right: {workers}\n{pools}"))
        }
        Err(NoPlan::Faults(found)) if check.json => {
            let found = json!({ "ok": false, "faults": diagnostics::json(&found) });
            match say(&lines(&found)) {
                Ending::Done => Ending::Refused,
                other => other,
            }
        }
        Err(why) => refuse(&why, colour::decide(check.paint.color).stderr),
    }
}

fn lines(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// `web: 3 workers on ports 8080-8082, ready when the port accepts: deno run ...`
fn summary(pool: &Pool) -> String {
    let Pool { name, slots, .. } = pool;
    let count = match slots.len() {
        1 => "1 worker".into(),
        several => format!("{several} workers"),
    };
    let ports = match ports(pool).as_slice() {
        [] => String::new(),
        [one] => format!(" on port {one}"),
        [first, .., last] if usize::from(last.abs_diff(*first)) + 1 == slots.len() => {
            format!(" on ports {first}-{last}")
        }
        several => {
            let several: Vec<_> = several.iter().map(u16::to_string).collect();
            format!(" on ports {}", several.join(", "))
        }
    };
    format!("{name}: {count}{ports}, ready {}: {}", ready(pool), command(pool))
}

fn ports(pool: &Pool) -> Vec<u16> {
    pool.slots.iter().filter_map(|slot| slot.port).collect()
}

fn command(pool: &Pool) -> String {
    let argv = pool.slots.first().map(|slot| slot.exec.argv.join(" ".as_ref()));
    let line = argv.unwrap_or_default().to_string_lossy().into_owned();
    let line = line.strip_prefix("/bin/sh -c ").unwrap_or(&line);
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    line.chars().map(shown).collect()
}

fn ready(pool: &Pool) -> String {
    let Some(slot) = pool.slots.first() else { return "at once".into() };
    match &slot.ready.by {
        ReadyBy::Lived if slot.ready.within.is_zero() => "at once".into(),
        ReadyBy::Lived => {
            format!("after {}", crate::plan::text::duration::words(slot.ready.within))
        }
        ReadyBy::Probe(Probe::Tcp { .. }) => "when its port accepts".into(),
        ReadyBy::Probe(Probe::Http { target, .. }) => format!("when it answers {target}"),
        ReadyBy::Probe(Probe::Exec { .. }) => "when its check succeeds".into(),
        ReadyBy::Notify => "when it says so".into(),
        ReadyBy::Line(_) => "when it has written its line".into(),
        ReadyBy::Exit => "when it has ended well".into(),
    }
}

fn described(plan: &Plan, pool: &Pool) -> serde_json::Value {
    let text = |os: &std::ffi::OsString| os.to_string_lossy().into_owned();
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
        "grace_ms": u64::try_from(pool.policy.grace.as_millis()).unwrap_or(u64::MAX),
        "slots": slots.collect::<Vec<_>>(),
    })
}
