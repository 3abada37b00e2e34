//! The sections of pm(1) that neither the options nor the notes have: what it is, signals, files, environment.

use clap_mangen::roff::{Roff, bold};

use super::text;
use crate::cli::load::{PM_TOML, PROCFILE};
use crate::cli::remote::target::VARIABLE;
use crate::plan::{environment, lab};

pub const DESCRIPTION: [&str; 5] = [
    "pm runs in the foreground of a terminal and keeps pools of workers running, each worker on its own port. A worker \
     that exits after it was ready is replaced at once, on the same port. A worker that exits before it is ready is a \
     failed start: the next try waits, longer after each failed start in a row.",
    "When pm ends, however it ends, no worker and no descendant of a worker is left. pm is two processes for this: the \
     reactor starts and reaps the workers; the guard kills what is left if the reactor is killed. Only if both are \
     killed in the same instant can children of workers be left; `--sealed` prevents that too.",
    "stdout carries the lines of the workers, each after the name of its slot, as in `web.2`. stderr carries the \
     messages of pm.",
    "A worker runs in a process group of its own, with /dev/null as stdin, no controlling terminal, an empty signal \
     mask and default signal dispositions.",
    "Without a command, pm does the same as `pm run`. It runs the first of these that is in the current folder: \
     `pm.toml`, `Procfile`, `web.ts`.",
];

const SIGNALS: [(&str, &str); 8] = [
    (
        "SIGINT, SIGTERM",
        "Stop: send the stop signal to the process group of each worker, wait for the grace, then send SIGKILL, then \
         exit. A second one sends SIGKILL at once.",
    ),
    ("SIGHUP", "Stop, as SIGTERM does. The terminal was closed."),
    ("SIGQUIT", "Send SIGKILL to all workers at once, then exit."),
    (
        "SIGUSR1",
        "Read the file again, apply what changed, and reopen the log files. During the start it waits. While the \
         program is still being loaded, some milliseconds, it ends pm, unless what starts pm blocks it.",
    ),
    ("SIGUSR2", "No effect; reserved."),
    (
        "SIGTSTP",
        "Suspend the workers and pm (Ctrl-Z). The time that pm is suspended counts for no deadline.",
    ),
    ("SIGCONT", "Continue the workers and pm."),
    ("SIGWINCH", "Give the new size to the terminals of workers that have one."),
];

const IGNORED: &str = "A signal that was ignored when pm started (`nohup`(1)) stays ignored. With --init, pm \
                       forwards each signal to the process group of the command, and SIGTERM to what the \
                       command leaves behind; then SIGINT and SIGQUIT send SIGKILL at once.";

/// What each variable of a worker says. `tests` holds the names against those that are set.
const OF_WORKERS: [(&str, &str); 8] = [
    ("PORT", "The port of its slot. For a Procfile, the PORT of its process type."),
    ("PS, PM_SLOT", "The name of its slot: `web.2`."),
    ("PM_POOL", "The name of its pool: `web`."),
    ("PM_GENERATION", "The n-th worker of its slot, from 1."),
    ("PM_WORKER", "The mark by which pm finds processes that left the worker's process group."),
    (
        "NOTIFY_SOCKET",
        "Where it sends READY=1 and WATCHDOG=1, if `ready.notify` or `alive.notify` is set.",
    ),
    (
        "WATCHDOG_USEC",
        "The time in microseconds within which it sends WATCHDOG=1, if `alive.notify` is set. WATCHDOG_PID is not set: \
         each process of the worker may send it.",
    ),
    (
        "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
        "1, the worker's pid and the name of its slot, if `listen` is set: its descriptor 3 is the socket of its port.",
    ),
];

const OF_PM: [(&str, &str); 8] = [
    ("NO_COLOR", "No colour, unless --color says otherwise."),
    ("CLICOLOR_FORCE, CLICOLOR", "Colour even where there is no terminal; 0: no colour."),
    ("PORT", "The first PORT of a Procfile, unless --port or `.env` sets it."),
    (
        VARIABLE,
        "The control socket: where `pm run` makes it, and where the commands find it. `none`: `pm run` makes none.",
    ),
    ("XDG_RUNTIME_DIR", "The folder of the links that `pm ls` reads."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by a service manager: pm notifies it when all workers are ready, when it reloads and stops, and that it \
         lives.",
    ),
    ("TZ", "The time zone of the times that `pm logs`, `pm events` and `pm why` read and print."),
    ("PATH", "Where programs are found, after the folders of the key `path`."),
];

/// SIGNALS, FILES and ENVIRONMENT.
pub fn render(roff: &mut Roff) {
    roff.control("SH", ["SIGNALS"]);
    items(roff, &SIGNALS);
    text::paragraph(roff, IGNORED);
    roff.control("SH", ["FILES"]);
    let files = [
        (PM_TOML, "The pools, in TOML: see `pm.toml`(5)."),
        (
            PROCFILE,
            "One `name: command` on each line, as of foreman. Used if there is no `pm.toml`.",
        ),
        (
            ".env",
            "`NAME=value` lines, read beside a Procfile. A `pm.toml` names it with `env_file`.",
        ),
        (
            ".pm.sock",
            "The control socket of a running pm, beside its `pm.toml` or `Procfile`. Beside `NAME.toml` it is \
             `.NAME.pm.sock`, and so it is for a pool NAME of the command line. Only its user and root may connect.",
        ),
        (
            "$XDG_RUNTIME_DIR/pm",
            "A link to the control socket of each running pm, for `pm ls`. For root without that variable: `/run/pm`.",
        ),
        (
            lab::SCRIPT,
            "If only this is there, pm runs the pool of its own lab: Deno on 8080, 8081 and 8082.",
        ),
    ];
    items(roff, &files);
    text::section(roff, "ENVIRONMENT", &["pm reads:"]);
    items(roff, &OF_PM);
    text::paragraph(roff, "A worker has all variables of pm, and:");
    items(roff, &OF_WORKERS);
    let removed = environment::NOT_FOR_WORKERS.join(", ");
    let prefix = String::from_utf8_lossy(environment::NOT_FOR_WORKERS_PREFIX);
    text::paragraph(
        roff,
        &format!(
            "These variables of pm are not passed to workers: {removed}, and all that begin with {prefix}."
        ),
    );
}

fn items(roff: &mut Roff, rows: &[(&str, &str)]) {
    for (names, meaning) in rows {
        text::item(roff, [bold(*names)], meaning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_that_a_worker_is_given_is_explained() {
        let of_slot = environment::of_slot("web", "web.2", Some(8081));
        let of_slot = of_slot.iter().map(|(name, _)| name.as_str());
        let others =
            ["PM_GENERATION", "PM_WORKER", environment::NOTIFY_SOCKET, environment::WATCHDOG_USEC];
        for name in of_slot.chain(others).chain(environment::FOR_SOCKETS) {
            let mut rows = OF_WORKERS.iter();
            let is_known = rows.any(|(names, _)| names.split(", ").any(|known| known == name));
            assert!(is_known, "{name}");
        }
    }
}
