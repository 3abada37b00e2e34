//! What is typed after `:`, read by the parser of the command line: what changes something is sent to pm, what shows
//! something is shown here.

use std::ffi::OsString;

use super::super::args::RemoteCommand;
use super::super::commands;
use crate::cli::args::{self, Command};
use crate::client::Request;
use crate::wire::SlotStatus;

/// A request that changes something.
#[derive(Debug)]
pub struct Order {
    pub request: Request,
    /// The command, as it is shown while it is carried out.
    pub words: String,
}

/// What a command means here.
#[derive(Debug)]
pub enum Typed {
    Order(Order),
    /// Select these slots.
    Status(Vec<String>),
    /// Select them, and explain the first one.
    Why(Vec<String>),
    /// Show their lines.
    Logs {
        slots: Vec<String>,
        grep: Option<String>,
    },
    Quit,
}

/// Reads a command, without `pm`.
///
/// # Errors
/// What is wrong with it.
pub fn read(typed: &str) -> Result<Typed, String> {
    let mut words: Vec<_> = typed.split_whitespace().collect();
    if words == ["q"] {
        return Ok(Typed::Quit);
    }
    if words.first() != Some(&"pm") {
        words.insert(0, "pm");
    }
    let argv = words.into_iter().map(OsString::from);
    let command = match args::read(argv) {
        Ok(Command::Remote(command)) => command,
        Ok(
            Command::Run(_)
            | Command::Exec(_)
            | Command::Check(_)
            | Command::Init
            | Command::Export(_)
            | Command::Schema
            | Command::Completions { .. }
            | Command::Man(_),
        ) => return Err(elsewhere(typed)),
        Err(error) if error.use_stderr() => return Err(first_line(&error)),
        Err(_) => return Err("help is at `?`, and that of a command at `pm help COMMAND`".into()),
    };
    let is_another =
        command.place().is_some_and(|place| place.socket.is_some() || place.file.is_some());
    if is_another {
        return Err("a command goes to the pm that is shown, so it names none".into());
    }
    if let Some(request) = commands::request(&command) {
        return Ok(Typed::Order(Order { request, words: format!("{typed} ...") }));
    }
    match command {
        RemoteCommand::Status(args) => Ok(Typed::Status(args.slots)),
        RemoteCommand::Why(args) => Ok(Typed::Why(args.slots)),
        RemoteCommand::Logs(args) => Ok(Typed::Logs { slots: args.slots, grep: args.grep }),
        RemoteCommand::Start(_)
        | RemoteCommand::Stop(_)
        | RemoteCommand::Restart(_)
        | RemoteCommand::Kill(_)
        | RemoteCommand::Attach(_)
        | RemoteCommand::Scale(_)
        | RemoteCommand::Wait(_)
        | RemoteCommand::Events(_)
        | RemoteCommand::Reload(_)
        | RemoteCommand::Shutdown(_)
        | RemoteCommand::Top(_)
        | RemoteCommand::Chaos(_)
        | RemoteCommand::Open(_)
        | RemoteCommand::Ls(_) => Err(elsewhere(typed)),
    }
}

/// True if this word means the slot: `web`, `web.2`, `:8081` or `all`.
pub fn means(word: &str, slot: &SlotStatus) -> bool {
    let port = word.strip_prefix(':').and_then(|port| port.parse().ok());
    word == slot.slot || word == slot.pool || word == "all" || port.is_some() && port == slot.port
}

fn elsewhere(typed: &str) -> String {
    let verb = typed.split_whitespace().next().unwrap_or_default();
    format!("`{verb}` needs a terminal of its own: `pm {typed}`")
}

/// What is wrong, without how the command is used.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let words = lines.collect::<Vec<_>>().join(" ");
    words.strip_prefix("error: ").unwrap_or(&words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::ready;
    use super::*;

    #[test]
    fn a_command_is_that_of_the_command_line() {
        for typed in [
            "restart web.1",
            "pm stop --now web",
            "scale web=+1",
            "reload",
            "down",
            "kill -s HUP web",
        ] {
            assert!(matches!(read(typed), Ok(Typed::Order(_))), "{typed}");
        }
        assert!(matches!(read("why web.1"), Ok(Typed::Why(slots)) if slots == ["web.1"]));
        assert!(matches!(
            read("logs web -g error"),
            Ok(Typed::Logs { slots, grep }) if slots == ["web"] && grep.as_deref() == Some("error")
        ));
        assert!(matches!(read("ps"), Ok(Typed::Status(_))));
        assert!(matches!(read("q"), Ok(Typed::Quit)));
    }

    #[test]
    fn what_cannot_be_done_here_is_said() {
        for (typed, said) in [
            ("restart", "<SEL>..."),
            ("restrat web", "there is no command `restrat`; did you mean `restart`?"),
            ("attach web.1", "`attach` needs a terminal of its own: `pm attach web.1`"),
            ("run", "needs a terminal of its own"),
            ("stop web -f other.toml", "names none"),
            ("help", "help is at `?`"),
            ("scale web=x", "is not a number of workers"),
        ] {
            let error = read(typed).unwrap_err();
            assert!(error.contains(said), "{typed}: {error}");
            assert!(!error.contains('\n'), "{typed}: {error}");
        }
    }

    #[test]
    fn a_word_means_what_it_means_to_pm() {
        let slot = ready("web.1", 8080, 1.0);
        for (word, is_meant) in [
            ("web", true),
            ("web.1", true),
            (":8080", true),
            ("all", true),
            (":80", false),
            ("we", false),
        ] {
            assert_eq!(means(word, &slot), is_meant, "{word}");
        }
    }
}
