//! The commands that run no worker: `pm check`, `pm init`, `pm schema`, `pm completions`, `pm man`; which file pm runs;
//! and the exit status and hint where it refuses one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder to run pm in.
struct Folder(TempDir);

/// What pm has printed, and its exit status.
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(folder.0.path().join(name), text).unwrap();
        }
        folder
    }

    fn pm(&self, arguments: &[&str]) -> Said {
        // timeout(1) stops a pm that runs where it should have ended. Its exit status, 124, is not one of pm's.
        let mut pm = Command::new("timeout");
        let pm = pm.args(["20", env!("CARGO_BIN_EXE_pm")]).args(arguments);
        let pm = pm.current_dir(self.0.path()).env_remove("PORT");
        let Output { status, stdout, stderr } = pm.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

impl Said {
    #[track_caller]
    fn refuses(self, words: &str) -> Self {
        assert_eq!(self.status, Some(2), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(words), "{}", self.stderr);
        self
    }

    #[track_caller]
    fn does(self) -> Self {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{}", self.stdout);
        self
    }
}

const RIGHT: &str = "[pool.web]\ncommand = ['serve', '{port}']\nports = '8080-8081'\n";
const WRONG: &str = "[pool.web]\ncommand = ['serve', '{prot}']\nports = '8080-8081'\n";

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
fn only_pools_and_slots_that_are_there_can_be_shown() {
    let folder = Folder::with(&[("pm.toml", RIGHT)]);
    folder
        .pm(&["run", "--log", "wbe"])
        .refuses("`--log wbe`: there is no pool or slot `wbe`; did you mean `web`?");
    folder.pm(&["--log", "web.1,web.3"]).refuses("no pool or slot `web.3`; did you mean `web.");
    folder.pm(&["--log", "jobs"]).refuses("use `web`, `web.1` or `web.2`");
    folder.pm(&["--json", "--timestamps"]).refuses("cannot be used with");
    folder.pm(&["run", "--init", "-q", "--", "true"]).refuses("cannot be used with");
}

#[test]
fn the_text_of_a_pipe_decides_what_it_is() {
    let folder = Folder::with(&[("pm.toml", RIGHT), ("Procfile", "web: serve {}\n")]);
    for (file, expected) in [("pm.toml", "web: 2 workers on ports"), ("Procfile", "web: 1 worker")]
    {
        let pipe = folder.0.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = folder.read(file);
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::write(pipe, text).unwrap())
        };
        folder.pm(&["check", "-f", "pipe"]).does().says("pipe is OK").says(expected);
        writer.join().unwrap();
        fs::remove_file(pipe).unwrap();
    }
}

#[test]
fn a_name_or_the_text_decides_what_a_file_is() {
    let dotted = "pool.web.command = 'serve'\n";
    let wrong_procfile = "web: serve\nworker: work\n[ -f x ]\n";
    let wrong_toml = "[pool.web]\ncomand = 'x'\n";
    let folder = Folder::with(&[
        ("P.TOML", RIGHT),
        ("pm.toml.bak", RIGHT),
        ("dotted", dotted),
        ("procs", wrong_procfile),
        ("conf", wrong_toml),
    ]);
    for toml in ["P.TOML", "pm.toml.bak", "dotted"] {
        folder.pm(&["check", "-f", toml]).does().says(&format!("{toml} is OK"));
    }
    let said = folder.pm(&["check", "-f", "procs"]).refuses("procs:3:1");
    assert!(said.stderr.contains("1 fault\nnote: `procs`: it was read as a Procfile because most"));
    let said = folder.pm(&["check", "-f", "conf"]).refuses("did you mean `command`?");
    assert!(said.stderr.contains("note: `conf`: it was read as a pm.toml because it is TOML"));
}

#[test]
fn a_file_that_is_stdin_is_read_as_a_pipe_is_and_its_folder_is_the_current_one() {
    let text = format!("{RIGHT}env_file = 'x.env'\n");
    let folder = Folder::with(&[("text", &text), ("x.env", "A=1\n")]);
    let shell = format!("exec {} check -f /dev/stdin < text", env!("CARGO_BIN_EXE_pm"));
    let mut command = Command::new("sh");
    let output = command.args(["-c", &shell]).current_dir(folder.0.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
fn a_dangling_link_is_an_error_and_no_other_file_is_read() {
    let folder = Folder::with(&[("Procfile", "web: true\n")]);
    std::os::unix::fs::symlink("nosuch", folder.0.path().join("pm.toml")).unwrap();
    folder.pm(&["check"]).refuses("`pm.toml`: it is a symlink to `nosuch`, which is not there");
    fs::remove_file(folder.0.path().join("pm.toml")).unwrap();
    std::os::unix::fs::symlink("nosuch", folder.0.path().join(".env")).unwrap();
    folder.pm(&["check"]).refuses("`.env`: it is a symlink to `nosuch`, which is not there");
}

#[test]
fn a_port_of_the_environment_that_is_empty_is_named() {
    let folder = Folder::with(&[("Procfile", "web: true\n")]);
    let mut pm = Command::new(env!("CARGO_BIN_EXE_pm"));
    let output = pm.arg("check").env("PORT", "").current_dir(folder.0.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PORT is empty") && said.contains("remove it, or give 1 to"), "{said}");
}

#[test]
fn a_file_of_another_encoding_is_named() {
    let folder = Folder::with(&[]);
    fs::write(folder.0.path().join("pm.toml"), b"\xff\xfe[\0p\0").unwrap();
    folder.pm(&["check"]).refuses("it looks like UTF-16; save it as UTF-8");
}

#[test]
fn a_command_line_that_is_wrong_is_refused_in_words_of_pm() {
    let folder = Folder::with(&[]);
    folder.pm(&["chekc"]).refuses("there is no command `chekc`; did you mean `check`?");
    folder.pm(&["--grace", "-5s"]).refuses("`-5s` is not a duration; write it like `5s`");
    let zero = ["run", "--give-up-after", "0", "--", "x"];
    folder.pm(&zero).refuses("give 1 or more; without the option pm never gives up");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::with(&[("pm.toml", RIGHT)]);
    let said = folder.pm(&["man", "--out", "/proc/x"]);
    assert_eq!(said.status, Some(3));
    let expected = "pm: cannot create the folder `/proc/x/man1`: no such file or directory\n";
    assert_eq!(said.stderr, expected);
    let shell = format!("{} check >/dev/full", env!("CARGO_BIN_EXE_pm"));
    let mut command = Command::new("sh");
    let output = command.args(["-c", &shell]).current_dir(folder.0.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "pm: cannot write to stdout: no space left on device\n");
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
fn an_option_that_makes_a_key_of_the_file_useless_is_refused() {
    let text = "[pool.job]\ncommand = 'true'\nrestart = 'on-failure'\nready = { exit = true }\n\
                [pool.web]\ncommand = 'true'\nrestart = 'never'\nstop = { signal = 'INT' }\n\
                [pool.app]\ncommand = 'true'\nbackoff = { first = '1s' }\n";
    let folder = Folder::with(&[("pm.toml", text)]);
    folder.pm(&["--restart", "always"]).refuses("would run the job `job` again and again");
    folder.pm(&["--restart", "never"]).refuses("`backoff` of `app` has no effect");
    folder.pm(&["--grace", "0s"]).refuses("the stop signal of `web` is never sent");
    let both =
        ["run", "--restart", "never", "--give-up-after", "2", "--workers", "1", "--", "true"];
    folder.pm(&both).refuses("`--give-up-after` has no effect");
}

#[test]
fn a_run_exits_with_a_pool_that_there_is_and_that_is_not_always_restarted() {
    let text = "[pool.tests]\ncommand = 'exit 3'\n[pool.web]\ncommand = 'exec sleep 60'\n\
                [pool.tried]\ncommand = 'exit 5'\nbackoff = { first = '1s' }\n";
    let folder =
        Folder::with(&[("pm.toml", text), ("Procfile", "job: exit 4\nweb: exec sleep 60\n")]);
    folder.pm(&["--exit-with", "test"]).refuses("there is no such pool; did you mean `tests`?");
    folder.pm(&["--exit-with", "x"]).refuses("use `tests`, `web` or `tried`");
    let always = ["--exit-with", "tests", "--restart", "always"];
    folder.pm(&always).refuses("`--restart always` would run `tests` again and again");
    folder
        .pm(&["--exit-with", "tried"])
        .refuses("`tried` is not restarted, and its `backoff` has no effect");
    let none = ["-f", "Procfile", "-m", "web=1", "--exit-with", "job"];
    folder.pm(&none).refuses("`--exit-with job`: there is no such pool; use `web`");
    assert_eq!(folder.pm(&["--exit-with", "tests"]).status, Some(3));
    assert_eq!(folder.pm(&["-f", "Procfile", "--exit-with", "job"]).status, Some(4));
    let command = [
        "run",
        "--exit-with",
        "job",
        "--name",
        "job",
        "--workers",
        "1",
        "--",
        "sh",
        "-c",
        "exit 6",
    ];
    assert_eq!(folder.pm(&command).status, Some(6));
}

#[test]
fn check_says_which_pool_ends_the_run() {
    let folder = Folder::with(&[("pm.toml", "[pool.tests]\ncommand = 'x'\nends_run = true\n")]);
    folder.pm(&["check"]).does().says("tests: 1 worker, ready after 1s, ends the run: x\n");
    folder.pm(&["check", "--json"]).does().says("\"ends_run\": true");
}

#[test]
fn init_writes_a_file_that_check_accepts_and_overwrites_nothing() {
    for files in [&[][..], &[("web.ts", "")], &[("Procfile", "web: serve {}\n"), (".env", "A=1\n")]]
    {
        let folder = Folder::with(files);
        folder.pm(&["init"]).does().says("wrote `pm.toml`");
        folder.pm(&["check"]).does().says("pm.toml is OK");
        let written = folder.read("pm.toml");
        folder.pm(&["init"]).refuses("`pm.toml` is here already and stays as it is");
        assert_eq!(folder.read("pm.toml"), written);
    }
    let folder = Folder::with(&[("Procfile", "web serve\n")]);
    folder.pm(&["init"]).refuses("did you mean `web: serve`?");
    assert!(!folder.0.path().join("pm.toml").exists());
}

#[test]
fn pm_toml_wins_over_a_procfile_and_a_procfile_wins_over_the_lab() {
    let all = [("pm.toml", RIGHT), ("Procfile", "a: b\n"), ("web.ts", "")];
    Folder::with(&all).pm(&["check"]).does().says("pm.toml is OK");
    Folder::with(&all[1..]).pm(&["check"]).does().says("Procfile is OK");
    Folder::with(&all[2..]).pm(&["check"]).does().says("the lab is OK: 3 workers");
    let said = Folder::with(&[]).pm(&["check"]);
    said.refuses("no `pm.toml`, no `Procfile` and no `web.ts` here; `pm init` writes a `pm.toml`");
}

#[test]
fn nothing_runs_from_a_file_with_a_fault() {
    let folder = Folder::with(&[("pm.toml", WRONG), ("Procfile", "web: true\n")]);
    let said = folder.pm(&[]).refuses("did you mean `{port}`?");
    assert!(said.stderr.contains("1 fault\n") && !said.stderr.contains('\x1b'), "{}", said.stderr);
    assert!(folder.pm(&["--color", "always"]).stderr.contains('\x1b'));
    folder.pm(&["-m", "web=1"]).refuses("`-m` is only for a Procfile, and `pm.toml` is not one");
    folder.pm(&["--port", "80"]).refuses("`--port` is only for a Procfile");
    folder.pm(&["-f", "Procfile", "-m", "wbe=1"]).refuses("did you mean `web`?");
    folder.pm(&["run", "--port", "80", "--", "x"]).refuses("did you mean `--ports 80`?");
}

#[test]
fn options_win_over_the_file() {
    let text = "[pool.a]\ncommand = 'exit 7'\nrestart = 'always'\n";
    let folder =
        Folder::with(&[("pm.toml", text), ("Procfile", "a: exit $((PORT - 6000))\nb: true\n")]);
    assert_eq!(folder.pm(&["--restart", "never"]).status, Some(7));
    let scaled = ["-f", "Procfile", "-m", "a=1", "--port", "6003", "--restart", "never"];
    assert_eq!(folder.pm(&scaled).status, Some(3));
    assert_eq!(folder.pm(&["--give-up-after", "2"]).status, Some(1));
}

#[test]
fn schema_completions_and_manual_are_complete() {
    let folder = Folder::with(&[]);
    let schema = folder.pm(&["schema"]).does();
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["$defs"]["PoolTable"]["properties"]["command"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        folder.pm(&["completions", shell]).does().says("formation");
    }
    let man =
        folder.pm(&["man"]).does().says(".SH SIGNALS").says(".SH \"EXIT STATUS\"").says("{n}");
    assert!(!man.stdout.contains('\x1b'));
    folder.pm(&["man", "run"]).does().says(".TH pm-run 1").says("give\\-up\\-after");
    folder.pm(&["man", "status"]).does().says("pm ps").says(".SH OPTIONS").says("check");
    folder.pm(&["man", "pm.toml"]).does().says(".TH pm.toml 5").says("max_restarts");
    folder.pm(&["man", "nothing"]).refuses("[possible values: pm, run, exec, status");
}

#[test]
fn the_pm_toml_of_the_readme_and_of_the_manual_is_right() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (readme, _) = rest.split_once("```").unwrap();
    let manual = include_str!("../src/cli/man/example.toml");
    for text in [readme, manual] {
        Folder::with(&[("pm.toml", text), (".env", "")]).pm(&["check"]).does().says("4 workers");
    }
}

#[test]
fn pm_help_is_what_help_options_print() {
    let folder = Folder::with(&[]);
    assert_eq!(folder.pm(&["help"]).does().stdout, folder.pm(&["--help"]).does().stdout);
    assert_eq!(folder.pm(&["help", "run"]).stdout, folder.pm(&["run", "--help"]).stdout);
    assert_eq!(folder.pm(&["help", "--help"]).does().stdout, folder.pm(&["--help"]).stdout);
    folder.pm(&["help", "rnu"]).refuses("rnu");
}

#[test]
fn make_install_installs_what_make_uninstall_removes() {
    let root = tempfile::tempdir().unwrap();
    // Nothing is at the places that a shell would split this into.
    let destination = root.path().join("a package");
    make(&["install", "PREFIX=/usr"], &destination);
    let expected = [
        "usr/bin/pm",
        "usr/share/bash-completion/completions/pm",
        "usr/share/fish/vendor_completions.d/pm.fish",
        "usr/share/man/man1/pm-attach.1",
        "usr/share/man/man1/pm-check.1",
        "usr/share/man/man1/pm-completions.1",
        "usr/share/man/man1/pm-events.1",
        "usr/share/man/man1/pm-exec.1",
        "usr/share/man/man1/pm-init.1",
        "usr/share/man/man1/pm-kill.1",
        "usr/share/man/man1/pm-logs.1",
        "usr/share/man/man1/pm-ls.1",
        "usr/share/man/man1/pm-man.1",
        "usr/share/man/man1/pm-reload.1",
        "usr/share/man/man1/pm-restart.1",
        "usr/share/man/man1/pm-run.1",
        "usr/share/man/man1/pm-scale.1",
        "usr/share/man/man1/pm-schema.1",
        "usr/share/man/man1/pm-shutdown.1",
        "usr/share/man/man1/pm-start.1",
        "usr/share/man/man1/pm-status.1",
        "usr/share/man/man1/pm-stop.1",
        "usr/share/man/man1/pm-wait.1",
        "usr/share/man/man1/pm-why.1",
        "usr/share/man/man1/pm.1",
        "usr/share/man/man5/pm.toml.5",
        "usr/share/zsh/site-functions/_pm",
    ];
    assert_eq!(files(&destination), expected);
    let pm = Command::new(destination.join("usr/bin/pm")).arg("--version").output().unwrap();
    assert!(pm.stdout.starts_with(b"pm "));
    make(&["uninstall", "PREFIX=/usr"], &destination);
    assert_eq!(files(&destination), Vec::<String>::new());
}

#[test]
fn shells_parse_the_completions() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.0.path().join(shell);
        fs::write(&script, folder.pm(&["completions", shell]).does().stdout).unwrap();
        if let Some(found) = tool(Command::new(shell).arg("-n").arg(&script)) {
            assert_eq!((found.status, found.stderr.as_str()), (Some(0), ""), "{shell}");
        }
    }
}

#[test]
fn bash_completes_commands_options_and_the_command_after_two_dashes() {
    let folder = Folder::with(&[]);
    let script = folder.pm(&["completions", "bash"]).does().stdout;
    let completed = |words: &str| {
        // As bash calls it: the words, the index of the last one, and then name, word and word before.
        let asked = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _pm pm \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
             echo \"${{COMPREPLY[*]}}\""
        );
        tool(Command::new("bash").args(["--norc", "-c", &asked])).map(|said| said.stdout)
    };
    for (words, expected) in [
        ("pm ch", "check"),
        ("pm run --give", "--give-up-after"),
        ("pm run --restart on", "on-failure"),
        ("pm run --ports ''", ""),
        ("pm run -- compge", "compgen"),
        ("pm exec web --form", "--formation"),
        ("pm exec web -- compge", "compgen"),
        ("pm --workers 2 -- compge", "compgen"),
        ("pm man pm.", "pm.toml"),
    ] {
        let Some(completed) = completed(words) else { return };
        assert!(
            completed.split_whitespace().eq(expected.split_whitespace()),
            "{words}: {completed}"
        );
    }
}

#[test]
fn man_renders_each_page_without_a_warning() {
    let folder = Folder::with(&[]);
    folder.pm(&["man", "--out", "man"]).does();
    let pages = files(&folder.0.path().join("man"));
    assert_eq!(pages.len(), 23, "{pages:?}");
    for page in pages {
        let page = folder.0.path().join("man").join(page);
        if let Some(found) = tool(Command::new("groff").args(["-man", "-ww", "-Tutf8"]).arg(&page))
        {
            assert_eq!(found.stderr, "", "{}", page.display());
        }
        if let Some(found) = tool(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page)) {
            // There is no date, so that the same pm makes the same page.
            let warnings = found.stdout.lines().filter(|line| !line.contains("missing date"));
            assert_eq!(warnings.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }
}

/// Runs a target of the Makefile for this pm.
#[track_caller]
fn make(arguments: &[&str], destination: &Path) {
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    make.arg(format!("DESTDIR={}", destination.display()));
    make.arg(format!("PM={}", env!("CARGO_BIN_EXE_pm")));
    // Those of a `make test` that runs this.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL");
    let Output { status, stdout, stderr } = make.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(status.success(), "{}{}", text(stdout), text(stderr));
}

/// What a program says; `None` if this machine does not have it.
fn tool(command: &mut Command) -> Option<Said> {
    let Output { status, stdout, stderr } = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// The files below a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
