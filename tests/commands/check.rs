//! What `pm check` says of a file: its pools, its faults, and what is missing on this machine.

use std::fs;

use crate::{Folder, RIGHT, Said, WRONG};

#[test]
fn check_prints_a_line_for_each_pool_or_every_fault() {
    let folder =
        Folder::with(&[("pm.toml", RIGHT), ("wrong.toml", WRONG), ("Procfile", "web x\n")]);
    let said = folder.pm(&["check"]).does();
    said.says(
        "pm.toml is OK: 2 workers\nweb: 2 workers on ports 8080 to 8081, ready when its port",
    );
    folder.pm(&["check", "-f", "wrong.toml"]).refuses("wrong.toml:2:22");
    folder.pm(&["check", "-f", "Procfile"]).refuses("Procfile:1:1");
    folder.pm(&["check", "-f", "nothing"]).refuses("there is no file `nothing`");
    folder.pm(&["check", "-f", "a\u{1b}[31m\nb"]).refuses(r"no file `a\u{1b}[31m\nb`");
    folder.pm(&["check", "-f", "."]).refuses("cannot read `.`: it is a folder");
}

#[test]
fn check_says_in_json_why_a_file_cannot_be_read() {
    let folder = Folder::with(&[]);
    fs::write(folder.0.path().join("latin"), b"\xe9").unwrap();
    for (file, why) in [("nosuch", "there is no file `nosuch`"), ("latin", "is not UTF-8")] {
        let said = folder.pm(&["check", "--json", "-f", file]).refuses("");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(json["ok"], false);
        assert!(json["error"].as_str().unwrap().contains(why), "{json}");
    }
}

#[test]
fn faults_beyond_the_first_hundred_are_counted() {
    let keys: String = (0..1_000).map(|n| format!("zqx{n} = 1\n")).collect();
    let folder = Folder::with(&[("pm.toml", &format!("[pool.w]\ncommand = 'x'\n{keys}"))]);
    folder.pm(&["check"]).refuses("1000 faults; only the first 100 are shown");
}

#[test]
fn check_says_whether_the_run_is_sealed() {
    let sealed = format!("sealed = true\n{RIGHT}");
    let folder = Folder::with(&[("pm.toml", RIGHT), ("sealed.toml", &sealed)]);
    let sealed = folder.pm(&["check", "-f", "sealed.toml"]).does();
    sealed.says("sealed.toml is OK: 2 workers, sealed\n");
    let json = folder.pm(&["check", "--json"]).does();
    assert!(json.stdout.contains("\"sealed\": false"), "{}", json.stdout);
}

#[test]
fn check_warns_of_a_missing_probe_command() {
    let text = "[pool.web]\ncommand = 'sleep 9'\nready = { exec = ['no-such-program'] }\n\
                [pool.job]\ncommand = 'sleep 9'\nalive = { exec = ['./probe'] }\n\
                [pool.sh]\ncommand = 'sleep 9'\nalive = { exec = ['true'] }\n";
    let said = Folder::with(&[("pm.toml", text)]).pm(&["check"]).does();
    let web = "warning: web cannot be probed now: no-such-program: not found on PATH; it would never be ready\n";
    let said = said.says(web).says("/probe: no such file or directory; it would not be watched\n");
    assert!(!said.stdout.contains("warning: sh"), "{}", said.stdout);
}

#[test]
fn check_prints_json_on_stdout_with_and_without_faults() {
    let folder = Folder::with(&[("pm.toml", RIGHT), ("wrong.toml", WRONG)]);
    let json = |said: &Said| serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    let right = json(&folder.pm(&["check", "--json"]).does());
    assert_eq!(right["ok"], true);
    assert_eq!(right["pools"][0]["slots"][1]["argv"][1], "8081");
    let said = folder.pm(&["check", "--json", "-f", "wrong.toml"]).refuses("");
    let wrong = json(&said);
    assert_eq!(wrong["ok"], false);
    assert_eq!(wrong["faults"][0]["column"], 22);
}

#[test]
fn check_refuses_a_missing_folder_and_warns_of_a_missing_program() {
    let text = "[pool.web]\ncommand = ['no-such-program']\n[pool.job]\ncommand = ['./job']\n\
                [pool.sh]\ncommand = 'no-such-program'\n";
    let missing = format!("{text}cwd = 'missing'\n");
    let folder = Folder::with(&[("pm.toml", text), ("missing.toml", &missing)]);
    let said = folder.pm(&["check"]).does();
    let said = said.says("warning: web cannot start now: no-such-program: not found on PATH\n");
    assert!(said.stdout.contains("/job: no such file or directory\n"), "{}", said.stdout);
    assert!(!said.stdout.contains("warning: sh"), "{}", said.stdout);
    let said = folder.pm(&["check", "--json"]).does();
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["warnings"][0]["pool"], "web");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 2);
    folder.pm(&["check", "-f", "missing.toml"]).refuses("there is no folder `");
}

#[test]
fn check_refuses_a_log_file_that_no_line_can_be_written_to_or_that_pm_reads() {
    let pool = |name: &str, log: &str| {
        format!("[pool.{name}]\ncommand = 'true'\nenv_file = 'x.env'\nlog = {{ file = '{log}' }}\n")
    };
    let folder = Folder::with(&[("x.env", "A=1\n"), ("good.log", "")]);
    let at = |name: &str| folder.0.path().join(name);
    fs::create_dir(at("D")).unwrap();
    let refused = |texts: &[String], words: &str| {
        fs::write(at("pm.toml"), texts.concat()).unwrap();
        folder.pm(&["check"]).refuses(words);
    };
    refused(&[pool("w", "/dev/null")], "`/dev/null` is not a regular file");
    refused(&[pool("w", "..")], "`..` is a folder");
    refused(&[pool("w", "D")], "`D` is a folder");
    refused(&[pool("w", "pm.toml/x.log")], "`pm.toml/x.log` would be in a file");
    refused(&[pool("w", &"x".repeat(300))], "this path is longer than the kernel accepts");
    refused(&[pool("w", "x.env")], "`x.env` is read by pm");
    refused(&[pool("w", "D/../pm.toml")], "`D/../pm.toml` is this file itself");
    refused(&[pool("w", "x"), pool("v", "D/../x")], "`w.1` and `v.1` would write to one file");
    fs::hard_link(at("good.log"), at("link.log")).unwrap();
    refused(&[pool("w", "good.log"), pool("v", "link.log")], "would write to one file");
    fs::write(at("pm.toml"), pool("w", "good.log")).unwrap();
    fs::hard_link(at("pm.toml"), at("linked")).unwrap();
    fs::write(at("pm.toml"), pool("w", "linked")).unwrap();
    folder.pm(&["check"]).refuses("`linked` is this file itself");
    fs::write(at("pm.toml"), pool("w", "good.log")).unwrap();
    folder.pm(&["check"]).does();
}

#[test]
fn check_refuses_a_limit_that_cannot_be_given_and_a_folder_whose_path_is_too_long() {
    let text = "[pool.w]\ncommand = 'true'\nlimits = { open_files = 9999999999 }\n";
    let folder = Folder::with(&[("pm.toml", text)]);
    folder.pm(&["check"]).refuses("pm may not raise `open_files` to ");
    let long = format!("[pool.w]\ncommand = 'true'\ncwd = '{}'\n", "a/".repeat(2_100));
    let folder = Folder::with(&[("pm.toml", &long)]);
    folder.pm(&["check"]).refuses("this path is longer than the kernel accepts");
}

#[test]
fn check_says_which_pool_ends_the_run() {
    let folder = Folder::with(&[("pm.toml", "[pool.tests]\ncommand = 'x'\nends_run = true\n")]);
    folder.pm(&["check"]).does().says("tests: 1 worker, ready after 1s, ends the run: x\n");
    folder.pm(&["check", "--json"]).does().says("\"ends_run\": true");
}
