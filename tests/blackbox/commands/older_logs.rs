//! `pm logs -n`: the lines that pm keeps no more come from log files, with no line twice and none left out.

use std::fs::{self, OpenOptions};

use super::{Run, started};
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

/// A worker that is a shell with this script, a small memory for lines, and small files.
fn run(script: &str, keep: u32) -> Run {
    started(0, &text(script, keep))
}

fn text(script: &str, keep: u32) -> String {
    format!(
        "log.ring = '64KiB'\n[pool.POOL]\ncommand = ['sh', '-c', \"\"\"{script}\"\"\"]\n\
         ready = {{ after = '0s' }}\nlog = {{ file = 'web.log', max_size = '20kB', keep = {keep} }}\n"
    )
}

/// Numbered lines, and then none.
const NUMBERS: &str = "seq 1 40000; echo done; exec sleep 1000";

/// All 40,000 lines are read.
fn numbered() -> Run {
    let run = run(NUMBERS, 100);
    run.pm.prints.wait_for("done");
    run
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn older_lines_come_from_the_files_and_the_seam_has_no_hole_and_no_line_twice() {
    let run = numbered();
    let kept = numbers(&run.pm(&["logs", "--raw"]).ends(0).quietly().stdout);
    assert!(kept.len() < 30_000, "pm keeps a part only");
    let all = numbers(&run.pm(&["logs", "--raw", "-n", "all"]).ends(0).quietly().stdout);
    assert!(all.iter().copied().eq(1..=40_000), "{} lines", all.len());
    let said = run.pm(&["logs", "-n", "35000"]).ends(0).quietly();
    assert!(said.stdout.starts_with("@.1 | 5002\n"), "{}", &said.stdout[..100]);
    assert_eq!(said.stdout.lines().count(), 35_000);
    let said = run.pm(&["logs", "--raw", "-n", "3", "-g", "^77.?$"]).ends(0).quietly();
    assert_eq!(said.stdout, "777\n778\n779\n");
    let few = run.pm(&["logs", "--raw", "-n", "2"]).ends(0).quietly();
    assert_eq!(few.stdout, "40000\ndone\n");
}

#[test]
fn lines_of_a_file_have_no_time_and_no_generation() {
    let run = numbered();
    let said = run.pm(&["logs", "-t", "-n", "all"]).ends(0).quietly();
    assert!(said.stdout.starts_with(&format!("{:<23} @.1 | 1\n", "-")), "{}", &said.stdout[..80]);
    let said = run.pm(&["logs", "--json", "-n", "all"]).ends(0);
    let first: serde_json::Value =
        serde_json::from_str(said.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["at"]), (&"1".into(), &serde_json::Value::Null));
    assert!(first["file"].as_str().unwrap().ends_with("/web.log"), "{first}");
    // Which of them are meant is not known.
    let said = run.pm(&["logs", "--raw", "-n", "all", "-s", "1h"]).ends(0).quietly();
    assert!(numbers(&said.stdout).len() < 30_000);
}

#[test]
fn lines_that_are_all_the_same_are_counted_right() {
    let run = run("yes tick | head -n 40000; echo done; exec sleep 1000", 100);
    run.pm.prints.wait_for("done");
    let said = run.pm(&["logs", "--raw", "-n", "all"]).ends(0).quietly();
    assert_eq!(said.stdout.matches("tick\n").count(), 40_000);
}

#[test]
fn files_are_joined_while_they_are_written_and_rotated() {
    let script =
        "n=0; while :; do i=0; while [ $i -lt 50 ]; do n=$((n+1)); i=$((i+1)); echo $n; done
                  sleep 0.01; done";
    let run = run(script, 3);
    let rotated = run.folder.path().join("web.log.3");
    eventually("all files that are kept", || rotated.exists().then_some(()));
    let mut joined = 0;
    eventually("three looks at older lines", || {
        let said = run.pm(&["logs", "--no-prefix", "-n", "all"]).ends(0).quietly();
        // pm does not wait for a slow reader, and says so.
        if !said.stdout.contains("lines were lost") {
            let numbers = numbers(&said.stdout);
            let hole = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
            assert_eq!(hole, None, "a hole, or a line twice");
            joined += 1;
        }
        (joined == 3).then_some(())
    });
}

#[test]
fn the_lines_of_an_earlier_run_come_before_those_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.log"), "hello\n").unwrap();
    fs::write(folder.path().join("web.log.1"), "good morning\n").unwrap();
    let text = text("echo hello; exec sleep 1000", 1);
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text).without("PM_SOCKET");
    let run = Run { pm: pool.start(), folder };
    run.pm.prints.wait_for("hello");
    let said = run.pm(&["logs", "--raw", "-n", "all"]).ends(0).quietly();
    assert_eq!(said.stdout, "good morning\nhello\nhello\n");
    assert_eq!(run.pm(&["logs", "--raw"]).ends(0).stdout, "hello\n");
}

#[test]
fn a_file_that_others_have_changed_is_left_out_and_said_to_be() {
    let run = numbered();
    let file = run.folder.path().join("web.log");
    OpenOptions::new().write(true).open(&file).unwrap().set_len(3).unwrap();
    let said = run.pm(&["logs", "--raw", "-n", "all"]).ends(0);
    let said = said.notes("@.1: older lines are left out: those of ");
    let numbers = numbers(&said.stdout);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a hole, or a line twice");
    assert_eq!(numbers.last(), Some(&40_000));
}

#[test]
fn older_lines_come_before_those_that_are_followed() {
    let script = "seq 1 40000; while [ ! -e go ]; do sleep 0.01; done; seq 40001 40010
                  exec sleep 1000";
    let run = run(script, 100);
    run.pm.prints.wait_for("40000");
    let mut logs = super::command(run.folder.path(), &["logs", "-f", "--raw", "-n", "all"]);
    let mut logs = logs.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufReader::new(logs.stdout.take().unwrap());
    let mut numbers =
        std::io::BufRead::lines(lines).map(|line| line.unwrap().parse::<u64>().unwrap());
    assert!(numbers.by_ref().take(40_000).eq(1..=40_000));
    fs::write(run.folder.path().join("go"), "").unwrap();
    assert!(numbers.by_ref().take(10).eq(40_001..=40_010));
    run.pm.stop();
    assert!(logs.wait().unwrap().success());
}

#[test]
fn a_file_that_could_not_be_written_is_left_out_while_pm_keeps_the_lines_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log"), "in the way").unwrap();
    let script = "while :; do echo tick; sleep 0.02; done";
    let text = text(script, 1).replace("'web.log'", "'log/web.log'");
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text).without("PM_SOCKET");
    let run = Run { pm: pool.start(), folder };
    run.pm.says.wait_for("cannot write ");
    fs::remove_file(run.folder.path().join("log")).unwrap();
    run.pm.says.wait_for("can be written again");
    let said = run.pm(&["logs", "--raw", "-n", "all"]).ends(0);
    said.prints("tick\n")
        .notes("@.1: older lines are left out: ")
        .notes("has not all lines that pm keeps");
}
