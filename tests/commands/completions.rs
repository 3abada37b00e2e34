//! The completions, in the shells that they are for.

use std::fs;
use std::process::Command;

use crate::{Folder, tool};

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
        ("pm che", "check"),
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
