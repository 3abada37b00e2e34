//! pm(1) and a page for each of its commands, made of the command line and of [`notes`].

use std::io;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold};

use super::{sections, text};
use crate::cli::notes::{self, Notes};

/// The command of pm(1).
pub const PM: &str = "pm";

/// User commands (man-pages(7)).
const SECTION: &str = "1";

/// The commands of pm but `help`, which clap adds.
pub fn own(pm: &Command) -> impl Iterator<Item = &Command> {
    pm.get_subcommands().filter(|command| command.get_name() != "help")
}

/// pm(1).
pub fn pm(pm: &Command) -> String {
    let mut roff = head(pm);
    text::section(&mut roff, "DESCRIPTION", &sections::DESCRIPTION);
    roff.control("SH", ["COMMANDS"]);
    for command in own(pm) {
        let name = command.get_name();
        let meaning = format!("{}. See `pm-{name}`(1).", about(command));
        text::item(&mut roff, [bold(format!("pm {name}"))], &meaning);
    }
    text::item(&mut roff, [bold("pm help [COMMAND]")], "Print the help of pm or of a command.");
    let options = ["Without a command, pm takes the options of `pm-run`(1), and these:"];
    text::section(&mut roff, "OPTIONS", &options);
    let is_own = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    for arg in pm.get_arguments().filter(is_own) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        text::item(&mut roff, [bold(arg.to_string())], &help);
    }
    sections::render(&mut roff);
    exit_status(&mut roff, &notes::RUN);
    examples(&mut roff, &notes::PM);
    let pages = own(pm).map(|command| format!("pm-{}(1)", command.get_name()));
    let others = ["pm.toml(5)", "kill(1)", "signal(7)"].map(str::to_owned);
    let pages: Vec<_> = pages.chain(others).collect();
    text::section(&mut roff, "SEE ALSO", &[pages.join(", ")]);
    text::page(PM, SECTION, &roff)
}

/// pm-run(1) and the like.
pub fn command(command: &Command) -> io::Result<String> {
    let notes = notes::of(command.get_name());
    let mut roff = head(command);
    let about = format!("{}.", about(command));
    let aliases = command.get_visible_aliases();
    let aliases: Vec<_> = aliases.map(|alias| format!("`pm {alias}` is the same.")).collect();
    let paragraphs = std::iter::once(about.as_str()).chain(aliases.iter().map(String::as_str));
    let paragraphs: Vec<_> = paragraphs.chain(notes.paragraphs.iter().copied()).collect();
    text::section(&mut roff, "DESCRIPTION", &paragraphs);
    let mut rest = Roff::new();
    exit_status(&mut rest, notes);
    examples(&mut rest, notes);
    text::section(&mut rest, "SEE ALSO", &["pm(1), pm.toml(5)"]);
    let mut options = Vec::new();
    Man::new(command.clone()).render_options_section(&mut options)?;
    let options = String::from_utf8_lossy(&options);
    Ok(text::page(name(command), SECTION, &roff) + &options + &rest.render())
}

/// Name and synopsis.
fn head(command: &Command) -> Roff {
    let mut roff = Roff::new();
    text::section(&mut roff, "NAME", &[format!("{} - {}", name(command), about(command))]);
    roff.control("SH", ["SYNOPSIS"]);
    let usage = command.clone().render_usage().to_string();
    for (index, line) in usage.trim_start_matches("Usage:").lines().enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        roff.text([bold(line.trim())]);
    }
    roff
}

/// `pm-run`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(PM)
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn exit_status(roff: &mut Roff, notes: &Notes) {
    if notes.exit_status.is_empty() {
        return;
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in notes.exit_status {
        text::item(roff, [bold(status.name())], meaning);
    }
}

fn examples(roff: &mut Roff, notes: &Notes) {
    if notes.examples.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    for (line, meaning) in notes.examples {
        text::item(roff, [bold(*line)], meaning);
    }
}
