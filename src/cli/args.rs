//! The command line, as clap reads it.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::plan::text::duration;
use crate::plan::{Ports, RestartWord};

// clap takes an `{n}` in a help text for a line break; the escape sequence inside it, which stands for nothing, does not
// let it.
/// Keeps a pool of port-bound workers serving, in a foreground terminal
#[derive(Debug, Parser)]
#[command(
    name = "pm",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  pm                                            run what is here: pm.toml, Procfile, or web.ts
  pm run -f Procfile -m web=3                   three workers of a Procfile's web
  pm run --ports 8080-8082 -- ./serve {port}    one worker a port
  pm run --workers 4 --name jobs -- ./job {\x1b[0mn}   four workers without ports

Ctrl-C stops all workers and waits for them; a second one kills them."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

/// There is no pool under `--init`.
const NOT_FOR_INIT: [&str; 7] =
    ["ports", "workers", "name", "grace", "restart", "give_up_after", "take_over"];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep workers alive until Ctrl-C; pm alone is pm run
    #[command(after_help = "\
--grace, --restart and --give-up-after win over what a file says.
In CMD: {port}, {slot} (web.2), {\x1b[0mn} (2), {pool} and {dir} are filled in; {{ is a brace.
A worker finds PORT, PS, PM_POOL, PM_SLOT and PM_GENERATION in its environment.

Exit status: 0 stopped as asked; a worker's own if all have ended by themselves;
1 gave up; 2 bad usage or configuration; 3 an error of pm.")]
    Run(Run),
    /// Say what is wrong with a pm.toml or Procfile, or what it keeps alive
    #[command(after_help = "\
Examples:
  pm check                     the file that pm would run
  pm check -f deploy/pm.toml --json

Exit status: 0 it is right; 2 it is not.")]
    Check(Check),
    /// Write a pm.toml: from a Procfile, for the lab, or one that explains itself
    #[command(after_help = "A pm.toml that is there is left as it is.")]
    Init,
    /// Print the JSON schema of pm.toml
    #[command(after_help = "Example:\n  pm schema > pm.schema.json")]
    Schema,
    /// Print a script that completes pm's command line
    #[command(after_help = "\
Example:
  pm completions bash > ~/.local/share/bash-completion/completions/pm")]
    Completions { shell: Shell },
    /// Print the manual page
    #[command(after_help = "Example:\n  pm man | man -l -")]
    Man,
}

/// What `pm run` takes; `pm` alone is `pm run`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Run {
    /// Run this file: TOML if it ends in .toml, else a Procfile
    #[arg(short, long, value_name = "FILE", conflicts_with = "command")]
    pub file: Option<PathBuf>,
    /// Of a Procfile: how many of each, as in all=1,web=3
    #[arg(short = 'm', long, value_name = "FORMATION", conflicts_with = "command")]
    pub formation: Option<String>,
    /// Of a Procfile: where PORT begins [default: as in .env, or 5000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// One worker for each of these ports: 8080-8082 or 8080,8090
    #[arg(long, value_name = "PORTS", conflicts_with = "workers", requires = "command")]
    pub ports: Option<Ports>,
    /// So many workers, without ports
    #[arg(long, value_name = "N", requires = "command")]
    pub workers: Option<usize>,
    /// The pool's name [default: the program's]
    #[arg(long, requires = "command")]
    pub name: Option<String>,
    /// From the stop signal to SIGKILL [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration::argument)]
    pub grace: Option<Duration>,
    /// Replace a worker that ends: always, on-failure or never
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    pub restart: Option<RestartWord>,
    /// Stop trying after so many failed starts in a row [default: never]
    #[arg(long, value_name = "N")]
    pub give_up_after: Option<NonZeroU32>,
    /// Kill what an earlier pm has left on a port
    #[arg(long)]
    pub take_over: bool,
    /// Run CMD once, guarded and reaping: process 1 of a container
    #[arg(long, requires = "command", conflicts_with_all = NOT_FOR_INIT)]
    pub init: bool,
    #[command(flatten)]
    pub paint: Paint,
    /// The program of each worker and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What `pm check` takes.
#[derive(Clone, Debug, ClapArgs)]
pub struct Check {
    /// Look at this file: TOML if it ends in .toml, else a Procfile
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Say it in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub paint: Paint,
}

#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct Paint {
    /// Colour what is printed: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Colouring,
}

/// Reads a command line.
///
/// # Errors
/// What is wrong with it, or the text of the help or version that it asks for.
pub fn read(argv: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let args = Args::try_parse_from(argv)?;
    let command = args.command.unwrap_or(Command::Run(args.run));
    if let Command::Run(Run { port: Some(port), command, .. }) = &command
        && !command.is_empty()
    {
        let words = format!(
            "`--port` is where the PORTs of a Procfile begin, and this is a command; \
             did you mean `--ports {port}`?"
        );
        return Err(Args::command().error(ErrorKind::ArgumentConflict, words));
    }
    Ok(command)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Colouring {
    Auto,
    Always,
    Never,
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
        Args::command().debug_assert();
    }

    #[test]
    fn pm_alone_is_pm_run() {
        for argv in [["pm", "--grace=2s"].as_slice(), &["pm", "run", "--grace=2s"]] {
            let Command::Run(run) = read(argv).unwrap() else { panic!("{argv:?}") };
            assert_eq!(run.grace, Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
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
    }

    #[test]
    fn each_help_fits_a_screen_and_shows_what_to_type() {
        let mut pm = Args::command();
        pm.build();
        for mut command in std::iter::once(pm.clone()).chain(pm.get_subcommands().cloned()) {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 40, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        }
        assert!(pm.render_help().to_string().contains("{n}"));
    }
}
