//! What `pm run` shows: times, JSON, only failures, only some pools.

use serde_json::{Value, json};

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::programs::{shell, worker};

/// True for `12:01:09.402 ` and a line.
fn has_time(line: &str) -> bool {
    let shape = line.bytes().take(13).map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"00:00:00.000 ")
}

fn objects(lines: Vec<String>) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn two_pools(folder: &std::path::Path) -> Pool {
    let text = "
        [pool.POOL]
        command = ['WORKER', 'say', 'one']
        workers = 2
        restart = 'never'
        log     = { file = '{slot}.log' }
        [pool.other]
        command = ['WORKER', 'say', 'two']
        restart = 'never'
        log     = { file = '{slot}.log' }
    ";
    Pool::of_file(folder, "pm.toml", 0, text)
}

#[test]
fn with_timestamps_each_line_begins_with_the_local_time() {
    let run = |zone: &str| {
        let pool = Pool::of(worker("say one exit 5")).of_size(1).option("--restart", "never");
        let mut pm = pool.flag("--timestamps").with("TZ", zone).start();
        pm.wait_exit(5);
        (pm.prints.all_to_the_end(), pm.says.all_to_the_end(), pm.slot(1))
    };
    let (prints, says, slot) = run("UTC");
    assert_eq!(prints[0][13..], format!("{slot} | one"));
    assert!(says.len() >= 2 && says.iter().chain(&prints).all(|line| has_time(line)), "{says:?}");
    assert!(says[1][13..].starts_with("pm "), "{says:?}");
    let hour = |line: &str| line[..2].parse::<u32>().unwrap();
    let (east, ..) = run("XYZ-5");
    let later = (hour(&east[0]) + 24 - hour(&prints[0])) % 24;
    assert!(later == 5 || later == 6, "{prints:?} {east:?}");
}

#[test]
fn with_json_each_line_is_an_object_on_stdout() {
    let script = "printf 'a \"b\" \\\\ \\033[1mc\\n\\377\\n'; exit 3";
    let pool = Pool::of(shell(script)).of_size(1).option("--restart", "never").flag("--json");
    let mut pm = pool.start();
    pm.wait_exit(3);
    let all = objects(pm.prints.all_to_the_end());
    assert_eq!(pm.says.all_to_the_end(), [""; 0]);
    let slot = pm.slot(1);
    let lines: Vec<_> = all.iter().filter(|object| object.get("line").is_some()).collect();
    let expected = ["a \"b\" \\ \u{1b}[1mc", "\u{fffd}"];
    assert_eq!(lines.len(), expected.len(), "{all:?}");
    for (n, (line, text)) in (1..).zip(lines.iter().zip(expected)) {
        let at = line["at"].as_str().unwrap();
        assert!(at.ends_with('Z') && at.len() == "2026-11-25T01:02:03.004Z".len(), "{at}");
        let object = json!({ "n": n, "at": at, "slot": slot, "generation": 1, "line": text });
        assert_eq!(**line, object);
    }
    let reports = all.iter().filter(|object| object.get("event").is_some());
    let reports: Vec<_> = reports.map(|report| (&report["event"], &report["slot"])).collect();
    assert_eq!(reports[0], (&json!("started"), &Value::Null));
    assert_eq!(*reports.last().unwrap(), (&json!("failed_start"), &json!(slot)));
    let words = all.last().unwrap()["words"].as_str().unwrap();
    assert!(words.starts_with(&format!("{slot} exited 3 after ")), "{words}");
}

#[test]
fn the_numbers_of_json_lines_have_no_hole_but_deaths() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '3000']
        workers = 2
        restart = 'never'
    ";
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, text).flag("--json").start();
    pm.wait_exit(0);
    let all = objects(pm.prints.all_to_the_end());
    let numbers: Vec<_> = all.iter().filter_map(|object| object["n"].as_u64()).collect();
    assert_eq!(numbers.len(), 6_000);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    // Each death may stand between lines: those of the other worker, or what was left in the pipe of its own.
    assert!(*numbers.last().unwrap() <= 6_002, "{numbers:?}");
}

#[test]
fn quiet_leaves_out_what_is_usual() {
    let says = |mut pm: Pm, status| {
        pm.wait_exit(status);
        pm.says.all_to_the_end()
    };
    let quiet = |orders: &str| {
        Pool::of(worker(orders)).of_size(1).option("--restart", "never").flag("-q").start()
    };
    assert_eq!(says(quiet("say one"), 0), [""; 0]);
    let failed = says(quiet("say one exit 7"), 7);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("exited 7 after "), "{failed:?}");
    let pm = Pool::of(worker("say up stay")).of_size(2).flag("--quiet").start();
    pm.prints.wait_for_many(2, "| up");
    pm.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(says(pm, 0), [""; 0]);
}

#[test]
fn quiet_says_that_a_reload_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = ['WORKER', 'say', 'up', 'stay']\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).flag("-q").start();
    pm.prints.wait_for("| up");
    pm.reload("[pool.POOL]\ncomand = 'x'\n");
    pm.says.wait_for("did you mean `command`?");
    pm.stop();
}

#[test]
fn only_the_pools_and_slots_that_are_asked_for_are_shown() {
    let run = |names: &str| {
        let folder = tempfile::tempdir().unwrap();
        let pool = two_pools(folder.path());
        let names = pool.filled_in(names);
        let mut pm = pool.option("--log", &names).start();
        pm.wait_exit(0);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("other.1.log"), "two\n");
        assert_eq!(read(&format!("{}.log", pm.slot(1))), "one\n");
        let mut lines = pm.prints.all_to_the_end();
        lines.sort();
        let cut = |line: &String| line.split('|').next().unwrap().trim().replace(&pm.name, "POOL");
        lines.iter().map(cut).collect::<Vec<_>>()
    };
    assert_eq!(run("other"), ["other.1"]);
    assert_eq!(run("POOL.2"), ["POOL.2"]);
    let mut both = run("other,POOL.1");
    both.sort();
    assert_eq!(both, ["POOL.1", "other.1"]);
}

#[test]
fn the_name_of_a_slot_stands_before_its_lines_as_its_pool_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = |output: &str| {
        format!("[pool.POOL]\ncommand = 'while :; do echo tick; sleep 0.02; done'\n{output}\n")
    };
    let coloured = text("");
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &coloured).option("--color", "always");
    let pm = pool.start();
    pm.prints.wait_for(&format!("{} |\u{1b}[0m tick", pm.slot(1)));
    // The worker stays, and its next lines are shown by the new rules.
    pm.reload(&text("output = { color = false }"));
    let plain = format!("{} | tick", pm.slot(1));
    crate::support::waiting::eventually("a line without colours", || {
        pm.prints.with("tick").contains(&plain).then_some(())
    });
    pm.reload(&text("output = { prefix = false }"));
    crate::support::waiting::eventually("a line without a name", || {
        pm.prints.with("tick").contains(&"tick".to_owned()).then_some(())
    });
    assert_eq!(pm.says.with("replacing"), [""; 0]);
    pm.stop();
}
