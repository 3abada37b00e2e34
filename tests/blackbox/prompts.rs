//! A worker that is ready when it prompts: the line that it is awaited to write has no end.

use crate::support::pm::Pm;
use crate::support::pool::Pool;

/// One worker with this script, which is ready by `ready`.
fn started(folder: &tempfile::TempDir, script: &str, ready: &str, other: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"{script}\"\nready = {{ {ready} }}\n{other}\n");
    Pool::of_file(folder.path(), "pm.toml", 0, &text).start()
}

#[test]
fn a_prompt_makes_a_worker_ready() {
    for (ready, other) in [
        ("line = 'repl> '", ""),
        ("line_regex = '^repl> $'", ""),
        ("line = 'repl> '", "pty = true"),
        ("line_regex = '^repl> $'", "pty = true"),
        ("line_regex = '^repl> $'", "pty = true\nraw = true"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo loading; printf 're'; printf 'pl> '; exec sleep 1000";
        let pm = started(&folder, script, ready, other);
        pm.wait_slot_ready(".1", 1);
        pm.stop();
    }
}

#[test]
fn a_prompt_that_is_answered_makes_a_worker_ready_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = "printf 'repl> '; sleep 0.3; echo 1; echo 'repl> '; exec sleep 1000";
    let pm = started(&folder, script, "line = 'repl>'", "");
    pm.prints.wait_for_many(2, "repl>");
    assert_eq!(pm.says.with(".1 is ready").len(), 1);
    pm.stop();
}

#[test]
fn a_line_that_is_too_long_for_a_prompt_has_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = "printf '%02000d repl> ' 0; exec sleep 1000";
    let pm = started(&folder, script, "line = 'repl>', within = '500ms'", "");
    pm.says.wait_for(".1 did not write a line with");
    assert_eq!(pm.says.with(" is ready"), [""; 0]);
    pm.stop();
}
