//! What completes the names of slots: the scripts ask the running pm for them, and complete nothing if there is none.
//!
//! It is the pm that the command would talk to: `--socket`, `--file` and `-f` are passed on, and so is a PM_SOCKET that
//! stands before the command. bash alone does not show that one to its completions.

use clap_complete::Shell;

/// The commands that take names of slots, with their aliases.
const COMMANDS: [&str; 13] = [
    "status", "ps", "why", "logs", "start", "stop", "restart", "kill", "attach", "wait", "events",
    "scale", "top",
];

/// The options of these commands that take a value: what follows one is no slot.
const OPTIONS: [&str; 15] = [
    "--socket",
    "--file",
    "--color",
    "--timeout",
    "--phase",
    "--lines",
    "-n",
    "--since",
    "-s",
    "--until",
    "-u",
    "--grep",
    "-g",
    "--signal",
    "--detach-key",
];

/// Texts that go into a script, each with the one it comes after.
pub fn additions(shell: Shell) -> &'static [(&'static str, &'static str)] {
    match shell {
        Shell::Bash => &[("_pm() {\n", BASH)],
        Shell::Zsh => &[("_pm() {\n", ZSH)],
        Shell::Fish => &[("", FISH)],
        _ => &[],
    }
}

/// With the commands and options in place of their names.
pub fn filled_in(text: &str) -> String {
    text.replace("@COMMANDS@", &COMMANDS.join("|"))
        .replace("@WORDS@", &COMMANDS.join(" "))
        .replace("@OPTIONS@", &OPTIONS.join("|"))
}

/// `-f` is a file but for `logs`. A pool is completed beside its slots; in `web=5` the pool is. `attach` takes one slot
/// that has a terminal.
///
/// A word is as it was typed: quotes are taken from those in which nothing is expanded. `=` is a word of its own.
const BASH: &str = "    \
    local own=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}
    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == @(@COMMANDS@) && $own != [-=]* && $last != @(@OPTIONS@|=) ]] &&
        [[ $last != -f || ${COMP_WORDS[1]} == logs ]]; then
        local slot slots pools= at word option= target=() only=()
        [[ ${COMP_WORDS[1]} != attach ]] || only=(--terminal)
        for ((at = 2; at < COMP_CWORD; at++)); do
            word=${COMP_WORDS[at]}
            [[ $word == *[\\$\\`\\(\\)\\<\\>\\;\\&\\|]* ]] || eval \"word=$word\"
            case ${COMP_WORDS[1]}:$word in
                *:--socket | *:--file) option=$word ;;
                logs:-f) ;;
                *:-f) option=--file ;;
                *:=) ;;
                *:--socket=* | *:--file=*) target=(\"$word\") ;;
                logs:-f*) ;;
                *:-f*) target=(\"--file=${word#-f}\") ;;
                *)
                    [[ -z $option ]] || target=(\"$option=$word\")
                    option=
                    ;;
            esac
        done
        slots=$(\"${COMP_WORDS[0]}\" status -q \"${only[@]}\" \"${target[@]}\" 2>/dev/null)
        for slot in $slots; do
            pools+=\" ${slot%.*}\"
        done
        if [[ ${COMP_WORDS[1]} == scale ]]; then
            compopt -o nospace 2>/dev/null
            COMPREPLY=($(compgen -S = -W \"$pools\" -- \"$own\" | sort -u))
        elif [[ ${COMP_WORDS[1]} == attach ]]; then
            COMPREPLY=($(compgen -W \"$slots\" -- \"$own\"))
        else
            COMPREPLY=($(compgen -W \"$slots $pools all\" -- \"$own\" | sort -u))
        fi
        return 0
    fi
";

const ZSH: &str = "    \
    if (( CURRENT > 2 )) && [[ ${words[2]} == (@COMMANDS@) && ${words[CURRENT]} != -* &&
        ${words[CURRENT-1]} != (@OPTIONS@) && ( ${words[CURRENT-1]} != -f || ${words[2]} == logs ) ]]; then
        local -aU slots
        local -a target only
        local word option named
        [[ ${words[2]} != attach ]] || only=(--terminal)
        for word in ${words[3,CURRENT-1]}; do
            word=${(Q)word/#\\~\\//$HOME/}
            case ${words[2]}:$word in
                *:--socket | *:--file) option=$word ;;
                logs:-f*) ;;
                *:-f) option=--file ;;
                *:--socket=* | *:--file=*) target=($word) ;;
                *:-f*) target=(--file=${word#-f}) ;;
                *)
                    [[ -z $option ]] || target=($option=$word)
                    option=
                    ;;
            esac
        done
        for word in ${(z)LBUFFER}; do
            case $word in
                PM_SOCKET=*) named=${(Q)${word#*=}} ;;
                ';' | '&' | '&&' | '|' | '||') named= ;;
            esac
        done
        [[ -z $named ]] || local -x PM_SOCKET=$named
        slots=(${(f)\"$(${(Q)words[1]} status -q $only $target 2>/dev/null)\"})
        if [[ ${words[2]} == scale ]]; then
            slots=(${slots%.*})
            compadd -S = -a slots
        elif [[ ${words[2]} == attach ]]; then
            compadd -a slots
        else
            slots+=(${slots%.*} all)
            compadd -a slots
        fi
        return
    fi
";

const FISH: &str = "\
function __fish_pm_slots
    set -l words (commandline -opc)
    set -l option
    set -l target
    set -l only
    test \"$words[2]\" = attach; and set only --terminal
    for word in $words[3..]
        switch \"$words[2]:$word\"
            case '*:--socket' '*:--file'
                set option $word
            case 'logs:-f*'
            case '*:-f'
                set option --file
            case '*:--socket=*' '*:--file=*'
                set target $word
            case '*:-f*'
                set target --file=(string sub -s 3 -- $word)
            case '*'
                test -n \"$option\"; and set target $option=$word
                set option
        end
    end
    set -l slots (command $words[1] status -q $only $target 2>/dev/null)
    set -l pools (string replace -r '[.][0-9]+$' '' -- $slots | sort -u)
    if contains -- scale (commandline -opc)
        test -n \"$pools\"; and printf '%s=\\n' $pools
    else if test -n \"$only\"
        test -n \"$slots\"; and printf '%s\\n' $slots
    else
        printf '%s\\n' $slots $pools all
    end
end
complete -c pm -n \"__fish_pm_using_subcommand @WORDS@\" -a \"(__fish_pm_slots)\"
";
