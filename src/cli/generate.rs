//! `pm schema` and `pm completions`: made of the types of `pm.toml` and of the command line, so there is nothing here
//! to keep in step with them. The manual is in [`super::man`]; [`slots`] completes the names of slots.

mod slots;

use clap::builder::Resettable;
use clap::{Arg, Command, Id};
use clap_complete::Shell;

use super::{Ending, args, say};
use crate::plan::pm_toml;

/// The JSON schema of `pm.toml`.
pub fn schema() -> Ending {
    say(&format!("{:#}\n", pm_toml::schema()))
}

/// The script that lets a shell complete pm's command line.
pub fn completions(shell: Shell) -> Ending {
    say(&script(shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut without_cmd(&args::command()), "pm", &mut script);
    let mut script = String::from_utf8(script).expect("a script is text");
    for (before, after) in after_dashes(shell).iter().chain(slots::additions(shell)) {
        let after = slots::filled_in(after);
        script = script.replacen(before, &format!("{before}{after}"), 1);
    }
    script
}

/// The command line without the `CMD` that stands after `--`.
///
/// clap_complete 4.6 takes it for one that stands anywhere: zsh then offers every program beside the commands, and does
/// not know the command of `pm run` any more; fish offers files. [`after_dashes`] completes `CMD` instead.
fn without_cmd(command: &Command) -> Command {
    let options = command.get_arguments().filter(|arg| !arg.is_last_set()).map(known);
    let mut copy = Command::default()
        .name(command.get_name().to_owned())
        .args(options)
        .subcommands(command.get_subcommands().map(without_cmd));
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    match command.get_version() {
        Some(version) => copy.version(version.to_owned()),
        None => copy,
    }
}

/// An option that names no other: `CMD` is one of those that it would name. No script tells which options go together.
/// What a help leaves out is completed.
fn known(arg: &Arg) -> Arg {
    arg.clone()
        .hide(false)
        .requires(Resettable::<Id>::Reset)
        .conflicts_with(Resettable::<Id>::Reset)
}

/// What completes the command after `--`: texts that go into the script, each with the one it comes after.
fn after_dashes(shell: Shell) -> &'static [(&'static str, &'static str)] {
    match shell {
        Shell::Bash => &[("_pm() {\n", BASH)],
        Shell::Zsh => &[("_pm() {\n", ZSH)],
        Shell::Fish => &[("function __fish_pm_needs_command\n", FISH_NO_COMMAND), ("", FISH)],
        _ => &[],
    }
}

/// `_comp_command_offset` is bash-completion 2.12's, `_command_offset` that of the versions before; it may be missing.
const BASH: &str = "    \
    local word
    for ((word = 1; word < COMP_CWORD; word++)); do
        if [[ ${COMP_WORDS[word]} == -- ]]; then
            COMPREPLY=()
            if declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset $((word + 1))
            elif declare -F _command_offset >/dev/null; then
                _command_offset $((word + 1))
            elif ((COMP_CWORD == word + 1)); then
                COMPREPLY=($(compgen -c -- \"${COMP_WORDS[COMP_CWORD]}\"))
            fi
            return 0
        fi
    done
";

const ZSH: &str = "    \
    local dashes=${words[(i)--]}
    if (( dashes < CURRENT )); then
        words=(\"${(@)words[dashes + 1,-1]}\")
        (( CURRENT -= dashes ))
        _normal
        return
    fi
";

const FISH_NO_COMMAND: &str = "    \
    contains -- -- (commandline -opc)
    and return 1
";

/// Files only where an option wants one.
const FISH: &str = "\
function __fish_pm_complete_cmd
    set -l words (commandline -opc)
    set -l dashes (contains -i -- -- $words)
    set -e words[1..$dashes]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c pm -f
complete -c pm -n \"contains -- -- (commandline -opc)\" -a \"(__fish_pm_complete_cmd)\"

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_completes_the_command_after_two_dashes() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for (_, after) in after_dashes(shell).iter().chain(slots::additions(shell)) {
                assert!(script.contains(&slots::filled_in(after)), "{shell}\n{script}");
            }
            assert!(!script.contains("The program of each worker"), "{shell}\n{script}");
        }
    }

    #[test]
    fn a_script_knows_every_command_and_option() {
        let pm = args::command();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for command in pm.get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
                for long in command.get_arguments().filter_map(Arg::get_long) {
                    assert!(script.contains(long), "{shell}: --{long}");
                }
            }
        }
    }
}
