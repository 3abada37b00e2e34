//! What `--help` and the manual say beside the options: notes, examples and exit statuses. Both are made of these
//! tables, so that each fact stands in one place. Options and their defaults are in [`super::args`].
//!
//! [`remote`] has those of the commands that talk to a running pm.

mod remote;

use std::fmt::Write as _;

#[cfg(feature = "top")]
pub use self::remote::TOP;
pub use self::remote::{
    ATTACH, CHAOS, EVENTS, KILL, LOGS, LS, OPEN, RELOAD, RESTART, SCALE, SHUTDOWN, START, STATUS,
    STOP, WAIT, WHY,
};
use super::exit_status::{BAD_USAGE, BROKEN, GAVE_UP, NOT_SO, STOPPED};
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
        "--grace, --restart, --give-up-after and --exit-with replace what a file says.",
        "In CMD, pm replaces {port}, {slot} (web.2), {n} (2), {pool} and {dir}; {{ is a brace.",
        "With --json an object has n, at, slot, generation, line; of pm's own: at, slot, event, words.",
        "A worker has PORT, PS, PM_POOL, PM_SLOT and PM_GENERATION in its environment.",
    ],
    examples: &[],
    exit_status: &[
        (Status::Is(STOPPED), "stopped as asked; all processes are gone"),
        (
            Status::Is(GAVE_UP),
            "gave up: too many failed starts or crashes; also of the pool of --exit-with",
        ),
        (Status::Is(BAD_USAGE), "wrong command line or configuration"),
        (
            Status::Is(BROKEN),
            "pm itself failed, or left a process that SIGKILL did not end; 128+n if signal n killed its reactor",
        ),
        (
            Status::OfWorker,
            "all workers, or those of --exit-with, ended: the first status that is not 0",
        ),
        (Status::OfCommand, "with --init: the status of CMD, or 128+n if signal n killed it"),
        (Status::Is(NOT_EXECUTABLE), "with --init: CMD cannot be executed"),
        (Status::Is(NOT_FOUND), "with --init: CMD is not found"),
    ],
};

pub const EXEC: Notes = Notes {
    paragraphs: &[
        "CMD has the environment, folder, user, group, umask, limits and nice value that a worker of the slot would have, \
         and the terminal, stdin, stdout and stderr of the caller. It is made from the file, whether pm runs or not.",
        "PORT, PS, PM_POOL and PM_SLOT are those of the slot. PM_GENERATION, PM_WORKER and NOTIFY_SOCKET are not set: it \
         is no worker, and pm does not know of it. `limits.memory` limits its address space.",
        "In CMD, braces stay as they are: where a shell reads CMD, $PORT is the port.",
    ],
    examples: &[
        ("pm exec web -- env", "see what the first web finds in its environment"),
        ("pm exec web -- ./manage.py shell", "a shell of the app, with its variables and its user"),
        ("pm exec -m web=2 web.2 -- sh -c 'echo $PORT'", "as the second web of a Procfile"),
    ],
    exit_status: &[
        (Status::OfCommand, "that of CMD, which has replaced pm"),
        (Status::Is(BAD_USAGE), "wrong command line or file, or no such pool or slot"),
        (Status::Is(NOT_EXECUTABLE), "CMD cannot be executed, or its settings cannot be applied"),
        (Status::Is(NOT_FOUND), "CMD is not found"),
    ],
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

pub const EXPORT: Notes = Notes {
    paragraphs: &[
        "Each key that the engine does not carry over, or in part, is named on stderr with its line and what to do. \
         docs/export.md has all of them.",
        "Without --out all files go to stdout. The values of `env_file` are not read into them, unless --secrets asks for it.",
    ],
    examples: &[
        ("pm export systemd --out units", "a template unit for each pool, and a target"),
        ("pm export systemd --hardened web", "the units of one pool, confined"),
        ("pm export compose --image app:1", "a Compose file"),
        ("pm export kubernetes --image app:1 | kubectl apply -f -", "manifests"),
        ("pm export kubernetes --image app:1 --pod-per pool", "pm keeps each pool in one pod"),
        ("pm export kubernetes web --image app:1 --cpu 500m --autoscale 3-30", ""),
        ("pm export nomad --image app:1 --out jobs", "job specifications"),
    ],
    exit_status: &[
        (Status::Is(STOPPED), "the files are written"),
        (Status::Is(NOT_SO), "with --strict: a key is not carried over, or in part"),
        (Status::Is(BAD_USAGE), "wrong command line or file, or a file in DIR differs"),
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
        "exec" => &EXEC,
        "status" => &STATUS,
        "why" => &WHY,
        "logs" => &LOGS,
        "start" => &START,
        "stop" => &STOP,
        "restart" => &RESTART,
        "kill" => &KILL,
        "chaos" => &CHAOS,
        "attach" => &ATTACH,
        "scale" => &SCALE,
        "wait" => &WAIT,
        "events" => &EVENTS,
        "reload" => &RELOAD,
        "shutdown" => &SHUTDOWN,
        "open" => &OPEN,
        "ls" => &LS,
        #[cfg(feature = "top")]
        "top" => &TOP,
        "check" => &CHECK,
        "init" => &INIT,
        "export" => &EXPORT,
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
