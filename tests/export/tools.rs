//! The engines' own tools read what pm has written.

use std::fs::{self, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::programs::{pm_binary, project};
use crate::support::run_mode::{skip, skip_without};
use crate::{WHOLE_POOLS, export, folder, options};

/// What a tool has printed, if this machine has it.
pub fn said_by(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn write(out: &Path, engine: &str, more: &[&str]) {
    let out = out.to_str().unwrap();
    let said = export(&folder(), &[&options(engine), ["--out", out].as_slice(), more].concat());
    assert_eq!(said.status, Some(0), "{}", said.stderr);
}

/// Makes a unit of each template: systemd-analyze knows no port.
fn make_instances(units: &Path) {
    for entry in units.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.contains("@.") {
            fs::rename(&path, units.join(name.replace("@.", "@8080."))).unwrap();
        }
    }
}

#[test]
fn systemd_analyze_finds_nothing_wrong_in_units() {
    if skip_without(&["systemd-analyze".into()]) {
        return;
    }
    for more in [&[][..], &["--hardened"]] {
        let out = tempfile::tempdir().unwrap();
        write(out.path(), "systemd", more);
        make_instances(out.path());
        let units: Vec<_> =
            out.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(units.len() > 10, "{units:?}");
        let mut analyze = Command::new("systemd-analyze");
        let (_, said) =
            said_by(analyze.args(["verify", "--man=no", "--recursive-errors=no"]).args(&units));
        if said.contains("Failed to initialize manager") {
            return skip(said);
        }
        println!("{said}");
        // The programs of the plan are not here, and systemd 254 brought the steps of a wait.
        let known = ["is not executable: ", "RestartSteps", "RestartMaxDelaySec"];
        let wrong: Vec<_> =
            said.lines().filter(|line| !known.iter().any(|known| line.contains(known))).collect();
        assert_eq!(wrong, [""; 0]);
    }
}

/// A program of the virtual environment that .ci/run fills, or of PATH. Skips the test if there is none.
pub fn of_python(program: &str) -> Option<Command> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project().join("target"), Into::into);
    let own = target.join("venv/bin").join(program);
    if own.is_file() {
        return Some(Command::new(own));
    }
    (!skip_without(&[program.into()])).then(|| Command::new(program))
}

#[test]
fn podman_compose_reads_the_compose_file_as_it_was_meant() {
    let Some(mut compose) = of_python("podman-compose") else { return };
    let out = tempfile::tempdir().unwrap();
    write(out.path(), "compose", &[]);
    fs::copy(folder().join("app.env"), out.path().join("app.env")).unwrap();
    // It asks podman for its version, and here for nothing else.
    let podman = out.path().join("podman");
    fs::write(&podman, "#!/bin/sh\necho podman version 5.0.0\n").unwrap();
    fs::set_permissions(&podman, Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let compose = compose.env("PATH", format!("{}:{path}", out.path().display()));
    let (is_read, said) = said_by(compose.arg("config").current_dir(out.path()));
    assert!(is_read, "{said}");
    // Its variables are filled in: what was a dollar is one again.
    for text in [
        "100% $5",
        "- ${X}",
        "- $(id)",
        "--user \"$USER\"",
        "condition: service_completed_successfully",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
}

#[test]
fn the_compose_file_is_of_the_specification() {
    let Some(mut python) = of_python("python") else { return };
    let said = export(&folder(), &options("compose")).stdout;
    // The Compose Specification has a count there; compose_spec does not read it.
    let text = said.replace("on-failure:3", "on-failure");
    let code =
        "import sys, compose_spec; print(len(compose_spec.PyCompose.from_yaml(sys.stdin.read())))";
    if !said_by(python.args(["-c", "import compose_spec"])).0 {
        return skip("there is no compose_spec");
    }
    let read = |text: &str| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        said_by(of_python("python").expect("as before").args(["-c", code]).stdin(file))
    };
    assert_eq!(read(&text), (true, "18\n".to_owned()));
    assert!(!read(&text.replace("mem_limit", "mem_limits")).0);
}

/// One version with what pm writes in beta, and one that is new.
pub const KUBERNETES: [&str; 2] = ["1.30", "1.36"];

#[test]
fn the_manifests_are_of_the_schemas_of_kubernetes() {
    if of_python("kubernetes-validate").is_none() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let scaled = ["--cpu", "250m", "--autoscale", "3-30"];
    let wishes: [(&str, &[&str]); 3] =
        [("slots", &[]), ("scaled", &scaled), ("pools", &[WHOLE_POOLS, ["--cpu", "2"]].concat())];
    let mut files = Vec::new();
    for (name, more) in wishes {
        let folder = out.path().join(name);
        write(&folder, "kubernetes", &[&["--secrets"], more].concat());
        files.extend(folder.read_dir().unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(files.len() > 24, "{files:?}");
    let validate = |version: &str, files: &[PathBuf]| {
        let mut validate = of_python("kubernetes-validate").expect("as before");
        said_by(validate.args(["--strict", "--quiet", "-k", version]).args(files))
    };
    for version in KUBERNETES {
        assert_eq!(validate(version, &files), (true, String::new()), "{version}");
    }
    for (name, field) in [("scaled", "averageUtilization"), ("pools", "containerPort")] {
        let path = out.path().join(name).join("web.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(field), "{text}");
        fs::write(&path, text.replace(field, &format!("{field}s"))).unwrap();
        assert!(!validate(KUBERNETES[0], &[path]).0, "{field}");
    }
}

#[test]
fn pm_and_a_shell_read_the_procfile() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), "procfile", &[]);
    let checked = said_by(
        Command::new(pm_binary()).args(["check", "-f", "Procfile"]).current_dir(out.path()),
    );
    assert!(checked.0, "{}", checked.1);
    let text = fs::read_to_string(out.path().join("Procfile")).unwrap();
    let lines: Vec<_> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    assert!(lines.len() > 12, "{text}");
    for (name, command) in lines {
        assert_eq!(
            said_by(Command::new("sh").args(["-n", "-c", command])),
            (true, String::new()),
            "{name}"
        );
    }
}

#[test]
fn a_shell_hands_on_the_words_of_a_procfile_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["a b", "", "it's", "$HOME `id`", "say \"x\"", "two\nlines\\n", "100%"];
    let command: Vec<_> =
        ["printf", "<%s>"].iter().chain(&words).map(|word| format!("{word:?}")).collect();
    let text = format!(
        "[pool.w]\ncommand = [{}]\nenv = {{ A = 'x y' }}\numask = '027'\n",
        command.join(", ")
    );
    fs::write(folder.path().join("pm.toml"), text).unwrap();
    let said = export(folder.path(), &["procfile"]).stdout;
    let (_, line) = said.lines().last().unwrap().split_once(": ").unwrap();
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(said_by(Command::new("sh").args(["-c", line])), (true, expected));
}

/// What Nomad refuses in the numbers of a job, as its documentation has it.
#[test]
fn the_numbers_of_a_nomad_job_go_together() {
    let out = tempfile::tempdir().unwrap();
    write(out.path(), "nomad", &["--format", "json"]);
    let mut seen = 0;
    for (name, kind) in [("app", "service"), ("app-batch", "batch")] {
        let text = fs::read_to_string(out.path().join(format!("{name}.nomad.json"))).unwrap();
        let job: Value = serde_json::from_str(&text).unwrap();
        let job = &job["Job"];
        assert_eq!((&job["ID"], &job["Type"]), (&json!(name), &json!(kind)));
        let number = |value: &Value| value.as_u64().unwrap();
        for group in job["TaskGroups"].as_array().unwrap() {
            let restart = &group["RestartPolicy"];
            let [attempts, delay, interval] =
                ["Attempts", "Delay", "Interval"].map(|key| number(&restart[key]));
            assert!(attempts * delay <= interval && interval >= 5_000_000_000, "{group:#}");
            let update = &group["Update"];
            let deadline = update["HealthyDeadline"].as_u64().unwrap_or(300_000_000_000);
            assert!(update["MinHealthyTime"].as_u64().unwrap_or(0) < deadline, "{group:#}");
            assert!(
                update["ProgressDeadline"].as_u64().unwrap_or(600_000_000_000) > deadline,
                "{group:#}"
            );
            let checks = group["Services"].as_array().into_iter().flatten();
            let checks =
                checks.flat_map(|service| service["Checks"].as_array().into_iter().flatten());
            for check in checks {
                assert!(
                    number(&check["Interval"]) >= 1_000_000_000
                        && number(&check["Timeout"]) >= 1_000_000_000
                );
                seen += 1;
            }
            for task in group["Tasks"].as_array().unwrap() {
                assert!(
                    task["Config"]["image"].is_string() && task["Driver"] == "docker",
                    "{task:#}"
                );
            }
        }
    }
    assert!(seen > 5);
}
