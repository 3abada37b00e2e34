//! The command line, as clap reads it: options, their help, their defaults, and what shells complete for them.
//!
//! Defaults that a help text names are those of the plan and the policy, not copies. What a help says beside the
//! options is in [`super::notes`].

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::notes;
use crate::plan::text::duration;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{Ports, RestartWord, defaults};
use crate::supervisor::Policy;

/// Keeps a pool of port-bound workers running, in a foreground terminal
#[derive(Debug, Parser)]
#[command(
    name = "pm",
    version,
    args_conflicts_with_subcommands = true,
    after_help = notes::PM.after_help()
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// `--init` runs one command and no pool, so these have no meaning with it.
const NOT_FOR_INIT: [&str; 7] =
    ["ports", "workers", "name", "restart", "give_up_after", "take_over", "sealed"];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep workers running until Ctrl-C; `pm` without a command does the same
    #[command(after_help = notes::RUN.after_help())]
    Run(RunArgs),
    /// Print the faults of a pm.toml or Procfile, or its pools if it has none
    #[command(after_help = notes::CHECK.after_help())]
    Check(CheckArgs),
    /// Write a pm.toml: from a Procfile, for the lab, or a template with comments
    #[command(after_help = notes::INIT.after_help())]
    Init,
    /// Print the JSON schema of pm.toml
    #[command(after_help = notes::SCHEMA.after_help())]
    Schema,
    /// Print the completion script for a shell
    #[command(after_help = notes::COMPLETIONS.after_help())]
    Completions {
        /// The shell: bash, elvish, fish, powershell or zsh
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
    /// Print a page of the manual, or write all pages
    #[command(after_help = notes::MAN.after_help())]
    Man(ManArgs),
}

/// What `pm run` takes; `pm` without a command is `pm run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Run this file: a pm.toml or a Procfile, by its name or its text
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "command")]
    pub file: Option<PathBuf>,
    /// For a Procfile: workers of each process type, as in all=1,web=3
    #[arg(short = 'm', long, value_name = "FORMATION", value_hint = ValueHint::Other)]
    #[arg(conflicts_with = "command")]
    pub formation: Option<String>,
    #[arg(long, value_name = "PORT", value_hint = ValueHint::Other, help = port_help())]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// One worker for each of these ports: 8080-8082 or 8080,8090
    #[arg(long, value_name = "PORTS", value_hint = ValueHint::Other)]
    #[arg(conflicts_with = "workers", requires = "command")]
    pub ports: Option<Ports>,
    /// The number of workers, for a pool without ports
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, requires = "command")]
    pub workers: Option<usize>,
    /// The name of the pool [default: the name of the program]
    #[arg(long, value_hint = ValueHint::Other, requires = "command")]
    pub name: Option<String>,
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, help = grace_help())]
    #[arg(value_parser = duration::argument, allow_hyphen_values = true)]
    pub grace: Option<Duration>,
    #[arg(long, value_name = "WHEN", hide_possible_values = true, help = restart_help())]
    pub restart: Option<RestartWord>,
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, help = give_up_after_help())]
    #[arg(value_parser = failures, allow_hyphen_values = true)]
    pub give_up_after: Option<NonZeroU32>,
    /// Kill the workers that an earlier pm left on a port
    #[arg(long)]
    pub take_over: bool,
    /// Keep all processes in a pid namespace: none can outlive pm
    #[arg(long)]
    pub sealed: bool,
    /// The control socket, or none [default: .pm.sock beside the file]
    #[arg(long, value_name = "PATH", env = "PM_SOCKET", value_hint = ValueHint::FilePath)]
    #[arg(hide_env = true)]
    pub socket: Option<OsString>,
    /// Run CMD once as process 1 of a container: forward signals, reap
    #[arg(long, requires = "command", conflicts_with_all = NOT_FOR_INIT)]
    pub init: bool,
    #[command(flatten)]
    pub colour: ColourArgs,
    /// The program of each worker and its arguments
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What `pm check` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Check this file: a pm.toml or a Procfile, by its name or its text
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub colour: ColourArgs,
}

/// What `pm man` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// The page: a command, or pm.toml [default: pm]
    #[arg(value_name = "PAGE", hide_possible_values = true)]
    pub page: Option<String>,
    /// Write all pages into this folder, under man1 and man5
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ColourArgs {
    /// When to colour the output: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColourChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ColourChoice {
    Auto,
    Always,
    Never,
}

/// The page of `pm man` that no command has.
pub const PM_TOML_PAGE: &str = "pm.toml";

/// The whole command line.
pub fn command() -> clap::Command {
    let pm = Args::command();
    let commands = pm.get_subcommands().map(clap::Command::get_name);
    let pages: Vec<_> = std::iter::once(pm.get_name())
        .chain(commands)
        .chain([PM_TOML_PAGE])
        .map(|page| PossibleValue::new(page.to_owned()))
        .collect();
    pm.mut_subcommand("man", |man| {
        man.mut_arg("page", |page| page.value_parser(PossibleValuesParser::new(pages)))
    })
}

/// Reads a command line.
///
/// # Errors
/// What is wrong with it, or the text of the help or version that it asks for.
pub fn read(argv: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(first) = argv.get(1) {
        check_name(&first.to_string_lossy())?;
        // clap takes these for a command that `help` is to explain.
        if first == "help" {
            argv.retain(|argument| argument != "--help" && argument != "-h");
        }
    }
    let matches = command().try_get_matches_from(argv)?;
    let args = Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))?;
    let command = args.command.unwrap_or(Command::Run(args.run));
    if let Command::Run(RunArgs { port: Some(port), command, .. }) = &command
        && !command.is_empty()
    {
        let words = format!(
            "`--port` is the first PORT of a Procfile and cannot be used with a command; \
             did you mean `--ports {port}`?"
        );
        return Err(self::command().error(ErrorKind::ArgumentConflict, words));
    }
    Ok(command)
}

/// A first argument that is no option is a command.
fn check_name(written: &str) -> Result<(), clap::Error> {
    let mut pm = command();
    let names: Vec<_> = pm.get_subcommands().map(clap::Command::get_name).collect();
    if written.starts_with('-') || written == "help" || names.contains(&written) {
        return Ok(());
    }
    let suggestion = Suggestion::of(written, names);
    let words = format!("there is no command `{written}`; {suggestion}");
    Err(pm.error(ErrorKind::InvalidSubcommand, words))
}

/// Reads a number of failed starts.
fn failures(text: &str) -> Result<NonZeroU32, String> {
    let count = text.parse().ok();
    count.ok_or_else(|| "give 1 or more; without the option pm never gives up".to_owned())
}

fn port_help() -> String {
    format!(
        "For a Procfile: the first PORT [default: PORT of .env or pm, or {}]",
        defaults::PROCFILE_PORT
    )
}

fn grace_help() -> String {
    let grace = duration::words(Policy::default().grace);
    format!("The time from the stop signal to SIGKILL [default: {grace}]")
}

fn restart_help() -> String {
    let restart = RestartWord::from(Policy::default().restart).written();
    format!("Replace exited workers: always, on-failure or never [default: {restart}]")
}

fn give_up_after_help() -> String {
    let default = match Policy::default().backoff.give_up_after {
        Some(failures) => failures.to_string(),
        None => "never".to_owned(),
    };
    format!("Give up a slot after N failed starts in a row [default: {default}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(argv: &[&str]) -> Result<Command, clap::Error> {
        super::read(argv.iter().map(Into::into))
    }

    fn refused(argv: &[&str]) -> String {
        read(argv).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn pm_without_a_command_is_pm_run() {
        for argv in [["pm", "--grace=2s"].as_slice(), &["pm", "run", "--grace=2s"]] {
            let Command::Run(run) = read(argv).unwrap() else { panic!("{argv:?}") };
            assert_eq!(run.grace, Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn a_wrong_option_is_refused_with_the_right_one() {
        let backwards = refused(&["pm", "run", "--ports", "8082-8080", "--", "job"]);
        assert!(backwards.contains("did you mean `8080-8082`?"), "{backwards}");
        let no_unit = refused(&["pm", "--grace", "5"]);
        assert!(no_unit.contains("did you mean `5s`?"), "{no_unit}");
        let typo = refused(&["pm", "run", "--port", "8080", "--", "job"]);
        assert!(typo.contains("did you mean `--ports 8080`?"), "{typo}");
        let both = refused(&["pm", "run", "--ports", "1", "--workers", "2", "--", "job"]);
        assert!(both.contains("cannot be used with"), "{both}");
        let init = refused(&["pm", "run", "--init", "--workers", "2", "--", "job"]);
        assert!(init.contains("cannot be used with"), "{init}");
        let file = refused(&["pm", "run", "-f", "Procfile", "--", "job"]);
        assert!(file.contains("cannot be used with"), "{file}");
        let no_command = refused(&["pm", "run", "--ports", "8080"]);
        assert!(no_command.contains("<CMD>"), "{no_command}");
        let page = refused(&["pm", "man", "chek"]);
        assert!(page.contains("a similar value exists: 'check'"), "{page}");
    }

    #[test]
    fn help_has_a_command_of_its_own() {
        for argv in [["pm", "help", "run"].as_slice(), &["pm", "run", "--help"]] {
            let help = read(argv).unwrap_err();
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            assert!(help.to_string().contains("Usage: pm run"), "{help}");
        }
        assert!(read(&["pm", "help"]).unwrap_err().to_string().contains("  check "));
    }

    #[test]
    fn each_help_fits_a_screen_and_shows_what_to_type() {
        let mut pm = command();
        pm.build();
        for mut command in std::iter::once(pm.clone()).chain(pm.get_subcommands().cloned()) {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 41, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        }
        assert!(pm.render_help().to_string().contains("{n}"));
    }

    #[test]
    fn a_help_names_the_defaults_that_hold() {
        let help = command().render_help().to_string();
        for default in ["[default: 5s]", "[default: always]", "[default: never]", "or 5000]"] {
            assert!(help.contains(default), "{default}\n{help}");
        }
    }

    #[test]
    fn a_help_names_each_value_that_an_option_takes() {
        for command in command().get_subcommands() {
            // The pages of the manual are the commands: their list is the help of pm.
            for arg in command.get_arguments().filter(|arg| arg.get_id() != "page") {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                for value in arg.get_possible_values() {
                    let is_flag = !arg.get_action().takes_values();
                    assert!(is_flag || help.contains(value.get_name()), "{arg}: {help}");
                }
            }
        }
    }

    #[test]
    fn the_readme_has_each_command_and_each_option_of_pm_run() {
        let readme = include_str!("../../README.md");
        let pm = command();
        for command in pm.get_subcommands().map(clap::Command::get_name) {
            assert!(readme.contains(&format!("pm {command} ")), "pm {command}");
        }
        let run = pm.find_subcommand("run").unwrap();
        for long in run.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(readme.contains(&format!("`--{long}")), "--{long}");
        }
    }

    #[test]
    fn each_command_has_its_notes() {
        for command in command().get_subcommands() {
            let after_help = command.get_after_help().map(ToString::to_string);
            let notes = notes::of(command.get_name()).after_help().replace("\x1b[0m", "");
            assert_eq!(after_help.unwrap_or_default(), notes, "{}", command.get_name());
            assert!(!notes.is_empty(), "{}", command.get_name());
        }
    }
}
