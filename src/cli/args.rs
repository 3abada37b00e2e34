//! The command line, as clap reads it: options, their help, their defaults, and what shells complete for them.
//!
//! Defaults that a help text names are those of the plan and the policy, not copies. What a help says beside the
//! options is in [`super::notes`].

mod export;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

pub use self::export::ExportArgs;
use super::notes;
use super::remote::args::RemoteCommand;
use crate::plan::http;
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
const NOT_FOR_INIT: [&str; 15] = [
    "ports",
    "workers",
    "name",
    "restart",
    "give_up_after",
    "exit_with",
    "take_over",
    "sealed",
    "http",
    "http_token_file",
    "http_host",
    "timestamps",
    "quiet",
    "json",
    "log",
];

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep workers running until Ctrl-C; `pm` without a command does the same
    #[command(after_help = notes::RUN.after_help())]
    Run(RunArgs),
    /// Run CMD once with the environment, folder, user and limits of a worker
    #[command(after_help = notes::EXEC.after_help())]
    Exec(ExecArgs),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Print the faults of a pm.toml or Procfile, or its pools if it has none
    #[command(after_help = notes::CHECK.after_help())]
    Check(CheckArgs),
    /// Write a pm.toml: from a Procfile, for the lab, or a template with comments
    #[command(after_help = notes::INIT.after_help())]
    Init,
    /// Write the plan as files of another engine, such as systemd
    #[command(after_help = notes::EXPORT.after_help())]
    Export(ExportArgs),
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
    /// When this pool has ended, stop all others and exit with its status
    #[arg(long, value_name = "POOL", value_hint = ValueHint::Other)]
    pub exit_with: Option<String>,
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
    #[command(flatten)]
    pub http: HttpArgs,
    /// Run CMD once as process 1 of a container: forward signals, reap
    #[arg(long, requires = "command", conflicts_with_all = NOT_FOR_INIT)]
    pub init: bool,
    #[command(flatten)]
    pub view: ViewArgs,
    #[command(flatten)]
    pub colour: ColourArgs,
    /// The program of each worker and its arguments
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Where `pm run` serves its page, and to which clients.
#[derive(Clone, Debug, clap::Args)]
pub struct HttpArgs {
    /// Serve a page and metrics at this address, as 127.0.0.1:9001
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::Other)]
    #[arg(value_parser = http::address)]
    pub http: Option<SocketAddr>,
    /// The file of the token that clients of the page have to know
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub http_token_file: Option<PathBuf>,
    /// Another name by which browsers call the page; may be repeated
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    #[arg(value_parser = http::host)]
    pub http_host: Vec<String>,
}

/// What `pm run` shows on the terminal.
#[derive(Clone, Debug, clap::Args)]
pub struct ViewArgs {
    /// Begin each line with the local time
    #[arg(long)]
    pub timestamps: bool,
    /// Of pm's own lines, print only those about failures
    #[arg(short, long)]
    pub quiet: bool,
    /// Print each line as a JSON object, pm's own lines too
    #[arg(long, conflicts_with = "timestamps")]
    pub json: bool,
    /// Print only the lines of these pools or slots, as in web,jobs.2
    #[arg(long, value_name = "NAMES", value_hint = ValueHint::Other, value_delimiter = ',')]
    pub log: Vec<String>,
}

/// What `pm exec` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ExecArgs {
    /// A slot, as web.2, or a pool, which stands for its first slot
    #[arg(value_name = "POOL|SLOT", value_hint = ValueHint::Other)]
    pub name: String,
    /// The file that has it: TOML if its name ends in .toml, else a Procfile
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// For a Procfile: workers of each process type, as in all=1,web=3
    #[arg(short = 'm', long, value_name = "FORMATION", value_hint = ValueHint::Other)]
    pub formation: Option<String>,
    #[arg(long, value_name = "PORT", value_hint = ValueHint::Other, help = port_help())]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    #[command(flatten)]
    pub colour: ColourArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
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
    // Its help shows the commands; that of `pm run` has these options.
    let pm = pm.mut_args(|arg| arg.hide(true));
    let pm = pm.override_usage("pm [OPTIONS] [-- <CMD>...]\n       pm <COMMAND>");
    pm.mut_subcommand("man", |man| {
        man.mut_arg("page", |page| page.value_parser(PossibleValuesParser::new(pages)))
    })
}

/// What is wrong with the options of a command, with the usage of that command.
pub fn wrong_use_of(name: &str, kind: ErrorKind, words: String) -> clap::Error {
    let mut pm = command();
    // Only then a subcommand knows that it is one of pm.
    pm.build();
    match pm.find_subcommand_mut(name) {
        Some(command) => command.error(kind, words),
        None => pm.error(kind, words),
    }
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
    let is_it = |command: &clap::Command| {
        command.get_name() == written || command.get_all_aliases().any(|name| name == written)
    };
    if written.starts_with('-') || written == "help" || pm.get_subcommands().any(is_it) {
        return Ok(());
    }
    let names: Vec<_> = pm.get_subcommands().map(clap::Command::get_name).collect();
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
        "For a Procfile: first PORT [default: PORT of .env or pm, or {}]",
        defaults::PROCFILE_PORT
    )
}

fn grace_help() -> String {
    let grace = duration::words(Policy::default().grace);
    format!("The time from the stop signal to SIGKILL [default: {grace}]")
}

fn restart_help() -> String {
    let restart = RestartWord::from(Policy::default().restart).written();
    format!("Replace exited workers: always, on-failure, never [default: {restart}]")
}

fn give_up_after_help() -> String {
    let default = match Policy::default().backoff.give_up_after {
        Some(failures) => failures.to_string(),
        None => "never".to_owned(),
    };
    format!("Give up a slot after N failed starts in a row [default: {default}]")
}

#[cfg(test)]
mod tests;
