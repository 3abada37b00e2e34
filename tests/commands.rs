//! The commands that run no worker: `pm check`, `pm init`, `pm schema`, `pm completions`, `pm man`; which file pm runs;
//! and the exit status and hint where it refuses one.

use std::fs;
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
        "pm.toml is right: 2 workers\nweb: 2 workers on ports 8080-8081, ready when its port",
    );
    folder.pm(&["check", "-f", "wrong.toml"]).refuses("wrong.toml:2:22");
    folder.pm(&["check", "-f", "Procfile"]).refuses("Procfile:1:1");
    folder.pm(&["check", "-f", "nothing"]).refuses("there is no file `nothing`");
    folder.pm(&["check", "-f", "."]).refuses("cannot read `.`: it is a folder");
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
fn init_writes_a_file_that_check_accepts_and_overwrites_nothing() {
    for files in [&[][..], &[("web.ts", "")], &[("Procfile", "web: serve {}\n"), (".env", "A=1\n")]]
    {
        let folder = Folder::with(files);
        folder.pm(&["init"]).does().says("wrote `pm.toml`");
        folder.pm(&["check"]).does().says("pm.toml is right");
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
    Folder::with(&all).pm(&["check"]).does().says("pm.toml is right");
    Folder::with(&all[1..]).pm(&["check"]).does().says("Procfile is right");
    Folder::with(&all[2..]).pm(&["check"]).does().says("the lab is right: 3 workers");
    let said = Folder::with(&[]).pm(&["check"]);
    said.refuses("no `pm.toml`, no `Procfile` and no `web.ts` here; `pm init` writes a `pm.toml`");
}

#[test]
fn nothing_runs_from_a_file_with_a_fault() {
    let folder = Folder::with(&[("pm.toml", WRONG), ("Procfile", "web: true\n")]);
    let said = folder.pm(&[]).refuses("did you mean `{port}`?");
    assert!(said.stderr.contains("1 fault\n") && !said.stderr.contains('\x1b'), "{}", said.stderr);
    assert!(folder.pm(&["--color", "always"]).stderr.contains('\x1b'));
    folder.pm(&["-m", "web=1"]).refuses("`-m` goes with a Procfile, and `pm.toml` is none");
    folder.pm(&["--port", "80"]).refuses("`--port` goes with a Procfile");
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
    let man = folder.pm(&["man"]).does().says(".SH PM CHECK").says("{n}");
    assert!(!man.stdout.contains('\x1b'));
}
