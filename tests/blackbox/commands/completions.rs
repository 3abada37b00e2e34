//! Shells complete the names of the slots of the pm that the command would talk to.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Run, pm, say, settled, started};
use crate::support::pool::Pool;
use crate::support::programs::pm_binary;
use crate::support::run_mode::skip;
use crate::support::terminal::Terminal;

const ONE: &str = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";

fn script(shell: &str) -> String {
    pm(Path::new("/"), &["completions", shell]).ends(0).stdout
}

/// What bash completes in this folder: the last of these words.
fn bash(folder: &Path, words: &str) -> String {
    let asked = format!(
        "{}\nCOMP_WORDS=('{}' {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
         _pm \"${{COMP_WORDS[0]}}\" \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
         echo \"${{COMPREPLY[*]}}\"",
        script("bash"),
        pm_binary().display()
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &asked]).current_dir(folder).env_remove("PM_SOCKET");
    say(&mut bash).stdout
}

#[test]
fn bash_completes_the_names_of_the_slots_of_the_running_pm() {
    let run = settled();
    let completed = |words: &str| bash(run.folder.path(), words).replace(&run.pm.name, "@");
    let name = &run.pm.name;
    assert_eq!(completed(&format!("stop {name}-w")), "@-web @-web.1 @-web.2 @-web.3\n");
    assert_eq!(completed(&format!("logs -f {name}-b")), "@-bad @-bad.1\n");
    assert_eq!(completed("wait al"), "all\n");
    assert_eq!(completed(&format!("scale {name}-w")), "@-web=\n");
    assert_eq!(completed("restart --ro"), "--roll\n");
}

/// Two pms in one folder: of pm.toml, and of `a b.toml`.
struct Two {
    run: Run,
    other: crate::support::pm::Pm,
}

fn two() -> Two {
    let run = started(0, ONE);
    let other = Pool::of_file(run.folder.path(), "a b.toml", 0, ONE);
    let other = other.without("PM_SOCKET").start();
    other.says.wait_for("keeping");
    Two { run, other }
}

/// Words before the last one that mean the pm of `a b.toml`, as they are typed.
const OTHER: [&str; 7] = [
    "stop --socket '.a b.pm.sock'",
    "stop --socket=.a\\ b.pm.sock",
    "stop -f \"a b.toml\"",
    "stop --now -f'a b.toml'",
    "logs --file 'a b.toml' -f",
    "logs -f --file='a b.toml'",
    "kill --signal HUP --file a\\ b.toml",
];

#[test]
fn bash_completes_for_the_pm_that_is_named() {
    let two = two();
    let folder = two.run.folder.path();
    // Each word as readline has it, and not as the shell would.
    let typed = |words: &str| {
        let mut quoted = Vec::new();
        let mut word = String::new();
        let mut quote = None;
        let mut is_escaped = false;
        for c in words.chars() {
            match c {
                ' ' if quote.is_none() && !is_escaped => quoted.push(std::mem::take(&mut word)),
                '=' if quote.is_none() => {
                    quoted.extend([std::mem::take(&mut word), "=".into()]);
                }
                '\'' | '"' if quote.is_none() => {
                    quote = Some(c);
                    word.push(c);
                }
                _ => {
                    if quote == Some(c) {
                        quote = None;
                    }
                    word.push(c);
                }
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        quoted.push(word);
        let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
        quoted.iter().map(quote).collect::<Vec<_>>().join(" ")
    };
    for words in OTHER {
        let completed = bash(folder, &typed(&format!("{words} t")));
        let slot = two.other.slot(1);
        assert_eq!(completed, format!("{} {slot}\n", two.other.name), "{words}");
    }
    assert_eq!(bash(folder, "stop -f nothing.toml t"), "\n");
    // A command that would be run for it is not.
    let made = "$(touch made)";
    assert_eq!(bash(folder, &typed(&format!("stop --socket \"{made}\" t"))), "\n");
    assert!(!folder.join("made").exists());
    assert_eq!(bash(folder, "stop --socket '=' t"), "\n", "this is a path");
}

/// What fish completes in this folder: the last word of this line. `None` if there is no fish.
fn fish(folder: &Path, line: &str) -> Option<String> {
    fs::write(folder.join("pm.fish"), script("fish")).unwrap();
    fs::write(folder.join("line"), line).unwrap();
    let asked = "source pm.fish; complete -C (cat line)";
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", asked]).current_dir(folder).env_remove("PM_SOCKET");
    // It keeps its history and variables there.
    fish.env("HOME", folder).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
    let path = pm_binary().parent().unwrap().display().to_string();
    fish.env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()));
    fish.output().ok().map(|output| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn fish_completes_for_the_pm_that_is_named() {
    let two = two();
    let folder = two.run.folder.path();
    let completed = |line: &str| fish(folder, line);
    let slot = two.other.slot(1);
    let of_other = format!("{}\n{slot}\n", two.other.name);
    for words in OTHER {
        let Some(completed) = completed(&format!("pm {words} t")) else {
            return skip("there is no fish");
        };
        assert_eq!(completed, of_other, "{words}");
    }
    let by_variable = completed("PM_SOCKET='.a b.pm.sock' pm stop t").unwrap();
    assert_eq!(by_variable, of_other);
    assert_eq!(completed("pm stop -f nothing.toml t").unwrap(), "");
}

#[test]
fn attach_is_completed_with_the_slots_that_have_a_terminal() {
    let text = "[pool.POOL-no]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n\
        [pool.POOL-tty]\ncommand = ['WORKER', 'stay']\npty = true\nworkers = 2\n";
    let run = started(0, text);
    let folder = run.folder.path();
    let named = |text: String| text.replace(&run.pm.name, "@");
    run.pm(&["status", "-q", "--terminal"]).ends(0).prints("@-tty.1\n@-tty.2\n");
    let listed = run.pm(&["status", "--json", "--terminal"]).ends(0).json();
    assert_eq!(listed["slots"].as_array().unwrap().len(), 2);
    assert_eq!(named(bash(folder, "attach ''")), "@-tty.1 @-tty.2\n");
    assert_eq!(bash(folder, "attach a"), "\n", "`all` is not one slot");
    assert_eq!(named(bash(folder, &format!("stop {}-n", run.pm.name))), "@-no @-no.1\n");
    if let Some(completed) = fish(folder, "pm attach ") {
        assert_eq!(named(completed), "@-tty.1\n@-tty.2\n");
    }
    // Up to where the two slots differ; the other pool begins as they do.
    let before = [format!("{} attach", pm_binary().display())];
    let typed = format!("{}-", run.pm.name);
    zsh_completes(folder, &before, &typed, &format!("{typed}tty."));
    run.pm.stop();
}

/// In this folder zsh completes `typed` behind each of these beginnings of a line, to something with `wanted` in it.
/// False if there is no zsh.
fn zsh_completes(folder: &Path, before: &[String], typed: &str, wanted: &str) -> bool {
    if Command::new("zsh").args(["-fc", "true"]).status().is_err() {
        return false;
    }
    fs::write(folder.join("_pm"), script("zsh")).unwrap();
    let terminal = Terminal::open();
    terminal.resize(24, 250);
    let line = || terminal.line();
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-i"]).current_dir(folder).env_remove("PM_SOCKET").env("TERM", "dumb");
    let mut zsh = zsh.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
    let lines = terminal.lines();
    terminal
        .type_keys("PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D\n");
    terminal.type_keys("bindkey -e; source ./_pm; print rea''dy\n");
    lines.wait_for("ready");
    for (n, words) in (0..).zip(before) {
        // What was completed is printed.
        terminal.type_keys(&format!("{words} {typed}\t\x01print -r -- line {n}: \n"));
        lines.wait_for_all(&[&format!("line {n}: "), wanted]);
    }
    terminal.type_keys("exit\n");
    zsh.wait().unwrap();
    true
}

#[test]
fn zsh_completes_for_the_pm_that_is_named() {
    let two = two();
    let program = pm_binary();
    let mut before = OTHER.map(|words| format!("{} {words}", program.display())).to_vec();
    before.push(format!("PM_SOCKET='.a b.pm.sock' {} stop", program.display()));
    let typed = format!("{}.", two.other.name);
    if !zsh_completes(two.run.folder.path(), &before, &typed, &two.other.slot(1)) {
        skip("there is no zsh");
    }
}
