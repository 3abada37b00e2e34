//! The command line, as clap reads it.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::plan::{Ports, duration};
use crate::supervisor::Restart;

// clap takes an `{n}` in a help text for a line break; the escape sequence inside it, which stands for nothing, does not
// let it.
/// Keeps a pool of port-bound workers serving, in a foreground terminal
#[derive(Debug, Parser)]
#[command(
    name = "pm",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  pm                                           the lab: three Deno servers, where web.ts is
  pm run --ports 8080-8082 -- ./serve {port}   one worker a port
  pm run --workers 4 --name jobs -- ./job {\x1b[0mn}  four workers without ports

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
enum Command {
    /// Keep the workers of a pool alive until Ctrl-C
    #[command(after_help = "\
In CMD: {port}, {slot} (web.2), {\x1b[0mn} (2), {pool} and {dir} are filled in; {{ is a brace.
A worker finds PORT, PS, PM_POOL, PM_SLOT and PM_GENERATION in its environment.

Exit status: 0 stopped as asked; a worker's own if all have ended by themselves;
1 gave up; 2 bad usage; 3 an error of pm.")]
    Run(Run),
}

/// What `pm run` takes; `pm` alone is `pm run`.
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// One worker for each of these ports: 8080-8082 or 8080,8090
    #[arg(long, value_name = "PORTS", conflicts_with = "workers", requires = "command")]
    pub ports: Option<Ports>,
    /// So many workers, without ports
    #[arg(long, value_name = "N", requires = "command")]
    pub workers: Option<usize>,
    /// The pool's name, before each line of its workers [default: the program's]
    #[arg(long, requires = "command")]
    pub name: Option<String>,
    /// From the stop signal to SIGKILL
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    pub grace: Duration,
    /// Which exits are followed by a new worker
    #[arg(long, value_name = "WHEN", default_value = "always", requires = "command")]
    pub restart: When,
    /// Stop trying after so many failed starts in a row [default: never]
    #[arg(long, value_name = "N")]
    pub give_up_after: Option<NonZeroU32>,
    /// Kill what an earlier pm has left on a port
    #[arg(long)]
    pub take_over: bool,
    /// Run CMD once, as process 1 of a container would: pass signals on, reap, end with its status
    #[arg(long, requires = "command", conflicts_with_all = NOT_FOR_INIT)]
    pub init: bool,
    /// Colour the names of the workers
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Colouring,
    /// The program of each worker and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum When {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Colouring {
    Auto,
    Always,
    Never,
}

impl Args {
    pub fn into_run(self) -> Run {
        match self.command {
            Some(Command::Run(run)) => run,
            None => self.run,
        }
    }
}

impl From<When> for Restart {
    fn from(when: When) -> Self {
        match when {
            When::Always => Self::Always,
            When::OnFailure => Self::OnFailure,
            When::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refused(argv: &[&str]) -> String {
        Args::try_parse_from(argv).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn pm_alone_is_pm_run() {
        let alone = Args::try_parse_from(["pm", "--grace", "2s"]).unwrap().into_run();
        let run = Args::try_parse_from(["pm", "run", "--grace", "2s"]).unwrap().into_run();
        assert_eq!((alone.grace, run.grace), (Duration::from_secs(2), Duration::from_secs(2)));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let backwards = refused(&["pm", "run", "--ports", "8082-8080", "--", "job"]);
        assert!(backwards.contains("did you mean `8080-8082`?"), "{backwards}");
        let no_unit = refused(&["pm", "--grace", "5"]);
        assert!(no_unit.contains("did you mean `5s`?"), "{no_unit}");
        let typo = refused(&["pm", "run", "--port", "8080", "--", "job"]);
        assert!(typo.contains("'--ports'"), "{typo}");
        let both = refused(&["pm", "run", "--ports", "1", "--workers", "2", "--", "job"]);
        assert!(both.contains("cannot be used with"), "{both}");
        let init = refused(&["pm", "run", "--init", "--workers", "2", "--", "job"]);
        assert!(init.contains("cannot be used with"), "{init}");
        let no_command = refused(&["pm", "run", "--ports", "8080"]);
        assert!(no_command.contains("<CMD>"), "{no_command}");
    }

    #[test]
    fn the_help_fits_a_screen() {
        for mut command in
            [Args::command(), Args::command().get_subcommands().next().unwrap().clone()]
        {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 40, "{help}");
            assert!(help.contains("{n}"), "{help}");
        }
    }
}
