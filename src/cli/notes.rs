//! What `--help` and the manual say beside the options: notes, examples and exit statuses. Both are made of these
//! tables, so that each fact stands in one place. Options and their defaults are in [`super::args`].

use std::fmt::Write as _;

use super::exit_status::{BAD_USAGE, BROKEN, GAVE_UP, NO_PM, NOT_SO, STOPPED};
use crate::sys::guard::{NOT_EXECUTABLE, NOT_FOUND};

/// What is said about one command beside its options.
pub struct Notes {
    /// One sentence or more each.
    pub paragraphs: &'static [&'static str],
    /// What to type, and what it does; empty if that needs no words.
    pub examples: &'static [(&'static str, &'static str)],
    /// An exit status, or a name for several, and what it means.
    pub exit_status: &'static [(Status, &'static str)],
}

/// Exit statuses that mean the same.
#[derive(Clone, Copy)]
pub enum Status {
    /// This one.
    Is(u8),
    /// That of a worker.
    OfWorker,
    /// That of the command of `--init`.
    OfCommand,
}

pub const PM: Notes = Notes {
    paragraphs: &[
        "Without a command, pm takes the options of `pm run`; see `pm run --help`.",
        "Ctrl-C stops all workers and waits for them. A second Ctrl-C kills them.",
    ],
    examples: &[
        ("pm run -f Procfile -m web=3", "run three workers of a Procfile's web"),
        ("pm run --ports 8080-8082 -- ./serve {port}", "run one worker for each port"),
        ("pm run --workers 4 --name jobs -- ./job {n}", "run four workers without ports"),
    ],
    exit_status: &[],
};

pub const RUN: Notes = Notes {
    paragraphs: &[
        "--grace, --restart and --give-up-after replace what a file says.",
        "In CMD, pm replaces {port}, {slot} (web.2), {n} (2), {pool} and {dir}; {{ is a brace.",
        "A worker has PORT, PS, PM_POOL, PM_SLOT and PM_GENERATION in its environment.",
    ],
    examples: &[],
    exit_status: &[
        (Status::Is(STOPPED), "stopped as asked; all processes are gone"),
        (Status::Is(GAVE_UP), "gave up: too many failed starts or crashes"),
        (Status::Is(BAD_USAGE), "wrong command line or configuration"),
        (
            Status::Is(BROKEN),
            "pm itself failed, or left a process that SIGKILL did not end; 128+n if signal n killed its reactor",
        ),
        (Status::OfWorker, "all workers ended by themselves: the first status that is not 0"),
        (Status::OfCommand, "with --init: the status of CMD, or 128+n if signal n killed it"),
        (Status::Is(NOT_EXECUTABLE), "with --init: CMD cannot be executed"),
        (Status::Is(NOT_FOUND), "with --init: CMD is not found"),
    ],
};

/// What the commands that talk to a running pm exit with, beside their own statuses.
const WRONG: (Status, &str) = (Status::Is(BAD_USAGE), "wrong command line, or no such slot");
const NONE_RUNS: (Status, &str) =
    (Status::Is(NO_PM), "no pm to talk to: none runs, it was killed, or it is another user's");
const NOT_IN_TIME: (Status, &str) = (Status::Is(NOT_SO), "it failed, or was not so in time");

pub const STATUS: Notes = Notes {
    paragraphs: &[
        "LAST is how the last worker ended. On a narrow terminal, columns are left out.",
        "The socket is .pm.sock beside pm.toml or Procfile, and .NAME.pm.sock beside NAME.toml.",
    ],
    examples: &[("pm status web :8081", ""), ("pm status -q --phase backoff,given_up", "")],
    exit_status: &[
        (Status::Is(STOPPED), "pm has answered"),
        (Status::Is(NOT_SO), "with --check: a slot that is wanted is not ready"),
        WRONG,
        NONE_RUNS,
    ],
};

pub const WHY: Notes = Notes {
    paragraphs: &[
        "Without SLOT it explains the slots that are not what they should be, the worst first.",
        "Each death is told with the last lines that the worker wrote.",
    ],
    examples: &[("pm why", ""), ("pm why web.2", "")],
    exit_status: &[(Status::Is(STOPPED), "pm has answered"), WRONG, NONE_RUNS],
};

pub const LOGS: Notes = Notes {
    paragraphs: &[
        "pm keeps a limited number of lines; log files have the older ones. A death is a line too.",
    ],
    examples: &[
        ("pm logs web -f", ""),
        ("pm logs web.2 -p", "what did the last worker say before it ended?"),
        ("pm logs -s 5m -g 'error|panic'", ""),
    ],
    exit_status: &[
        (Status::Is(STOPPED), "the lines are printed"),
        (Status::Is(BAD_USAGE), "wrong command line, time or expression, or no such slot"),
        NONE_RUNS,
    ],
};

pub const START: Notes = Notes {
    paragraphs: &["A slot that has given up tries again. What happens meanwhile goes to stderr."],
    examples: &[("pm start web.2", ""), ("pm start all --timeout 2m", "")],
    exit_status: &[(Status::Is(STOPPED), "the slots are ready"), NOT_IN_TIME, WRONG, NONE_RUNS],
};

pub const STOP: Notes = Notes {
    paragraphs: &["The slots stay down until `pm start`."],
    examples: &[("pm stop web.2", ""), ("pm stop jobs --now", "")],
    exit_status: &[(Status::Is(STOPPED), "the slots are stopped"), NOT_IN_TIME, WRONG, NONE_RUNS],
};

pub const RESTART: Notes = Notes {
    paragraphs: &["A slot that is stopped is started."],
    examples: &[("pm restart web --roll", ""), ("pm restart :8081", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the new workers are ready"),
        NOT_IN_TIME,
        WRONG,
        NONE_RUNS,
    ],
};

pub const KILL: Notes = Notes {
    paragraphs: &[
        "What is wanted stays: a worker that ends is replaced. `pm stop --now` keeps a slot down.",
    ],
    examples: &[("pm kill web.2", ""), ("pm kill -s HUP web", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the signal is sent"),
        (Status::Is(NOT_SO), "there is no worker to send it to"),
        (Status::Is(BAD_USAGE), "wrong command line, no such signal, or no such slot"),
        NONE_RUNS,
    ],
};

pub const SCALE: Notes = Notes {
    paragraphs: &[
        "The highest numbers are removed first, and the lowest free ones come back.",
        "A reload keeps the number.",
    ],
    examples: &[("pm scale web=5", ""), ("pm scale web=+1 jobs=0", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the pools have that many workers, and they are ready"),
        NOT_IN_TIME,
        (Status::Is(BAD_USAGE), "wrong command line, no such pool, or more workers than ports"),
        NONE_RUNS,
    ],
};

pub const WAIT: Notes = Notes {
    paragraphs: &[
        "If no pm runs yet, it waits for one. A slot that has given up fails at once.",
        "With --exit, the status is that of the worker, or 128+n if signal n killed it.",
    ],
    examples: &[("pm wait all --timeout 30s", ""), ("pm wait migrate --exit", "")],
    exit_status: &[
        (Status::Is(STOPPED), "it is so"),
        NOT_IN_TIME,
        WRONG,
        (Status::Is(NO_PM), "no pm was started in time"),
        (Status::OfWorker, "with --exit: the first status of a worker that is not 0"),
    ],
};

pub const EVENTS: Notes = Notes {
    paragraphs: &[
        "It begins with the events that pm has kept, and goes on until Ctrl-C or the end of pm.",
    ],
    examples: &[("pm events web --since 10m --no-follow", "")],
    exit_status: &[(Status::Is(STOPPED), "the events are printed"), WRONG, NONE_RUNS],
};

pub const RELOAD: Notes = Notes {
    paragraphs: &["SIGUSR1 does the same. A file with a fault changes nothing."],
    examples: &[("pm reload --dry-run", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the changes are applied"),
        (Status::Is(NOT_SO), "pm is stopping"),
        (Status::Is(BAD_USAGE), "wrong command line, or the file has a fault"),
        NONE_RUNS,
    ],
};

pub const SHUTDOWN: Notes = Notes {
    paragraphs: &[
        "It does what Ctrl-C does in the terminal of pm; `pm stop all` leaves pm running.",
    ],
    examples: &[("pm shutdown", ""), ("pm shutdown --now", "")],
    exit_status: &[
        (Status::Is(STOPPED), "pm has ended"),
        (Status::Is(BAD_USAGE), "wrong command line"),
        NONE_RUNS,
    ],
};

pub const LS: Notes = Notes {
    paragraphs: &["Each pm has a link in $XDG_RUNTIME_DIR/pm; without that folder none is listed."],
    examples: &[("pm ls --json", "")],
    exit_status: &[(Status::Is(STOPPED), "they are listed; there may be none")],
};

pub const CHECK: Notes = Notes {
    paragraphs: &["It reads the file that pm would run, and starts nothing."],
    examples: &[("pm check", ""), ("pm check -f deploy/pm.toml --json", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the file has no fault"),
        (Status::Is(BAD_USAGE), "the file has a fault, or there is no file"),
    ],
};

pub const INIT: Notes = Notes {
    paragraphs: &["It never overwrites a pm.toml."],
    examples: &[],
    exit_status: &[
        (Status::Is(STOPPED), "pm.toml is written"),
        (Status::Is(BAD_USAGE), "there is a pm.toml already, or it cannot be written"),
    ],
};

pub const SCHEMA: Notes = Notes {
    paragraphs: &["Editors complete and check pm.toml with it."],
    examples: &[("pm schema > pm.schema.json", "")],
    exit_status: &[],
};

pub const COMPLETIONS: Notes = Notes {
    paragraphs: &["`make install` installs those for bash, zsh and fish."],
    examples: &[("pm completions bash > ~/.local/share/bash-completion/completions/pm", "")],
    exit_status: &[],
};

pub const MAN: Notes = Notes {
    paragraphs: &[],
    examples: &[
        ("pm man | man -l -", "read pm(1)"),
        ("pm man pm.toml | man -l -", "read pm.toml(5)"),
        ("pm man --out ~/.local/share/man", "write all pages, for man(1)"),
    ],
    exit_status: &[],
};

const NONE: Notes = Notes { paragraphs: &[], examples: &[], exit_status: &[] };

/// The notes of a command, by its name.
pub fn of(command: &str) -> &'static Notes {
    match command {
        "pm" => &PM,
        "run" => &RUN,
        "status" => &STATUS,
        "why" => &WHY,
        "logs" => &LOGS,
        "start" => &START,
        "stop" => &STOP,
        "restart" => &RESTART,
        "kill" => &KILL,
        "scale" => &SCALE,
        "wait" => &WAIT,
        "events" => &EVENTS,
        "reload" => &RELOAD,
        "shutdown" => &SHUTDOWN,
        "ls" => &LS,
        "check" => &CHECK,
        "init" => &INIT,
        "schema" => &SCHEMA,
        "completions" => &COMPLETIONS,
        "man" => &MAN,
        _ => &NONE,
    }
}

impl Notes {
    /// As they stand under the options of `--help`.
    pub fn after_help(&self) -> String {
        let mut parts = Vec::new();
        if !self.paragraphs.is_empty() {
            parts.push(self.paragraphs.join("\n"));
        }
        if !self.examples.is_empty() {
            parts.push(table("Examples:", self.examples.iter().copied()));
        }
        if !self.exit_status.is_empty() {
            let names: Vec<_> = self.exit_status.iter().map(|(status, _)| status.name()).collect();
            let meanings = self.exit_status.iter().map(|(_, meaning)| *meaning);
            parts.push(table("Exit status:", names.iter().map(String::as_str).zip(meanings)));
        }
        // clap takes an `{n}` in a help text for a line break; an escape sequence that changes nothing prevents it.
        parts.join("\n\n").replace("{n}", "{\x1b[0mn}")
    }
}

impl Status {
    /// As it stands in a list.
    pub fn name(self) -> String {
        match self {
            Self::Is(status) => status.to_string(),
            Self::OfWorker => "1-255".to_owned(),
            Self::OfCommand => "0-255".to_owned(),
        }
    }
}

/// A heading and two columns.
fn table<'a>(heading: &str, rows: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let width = rows.clone().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    let mut text = heading.to_owned();
    for (left, right) in rows {
        write!(text, "\n  {left:width$}  {right}").expect("a String takes in everything");
        text.truncate(text.trim_end().len());
    }
    text
}
