//! What `--help` and the manual say of the commands that talk to a running pm. Each sentence has a test in
//! `tests/blackbox/commands`.

use super::{Notes, Status};
use crate::cli::exit_status::{BAD_USAGE, BROKEN, NO_PM, NOT_SO, STOPPED};

/// What the commands that talk to a running pm exit with, beside their own statuses.
const WRONG: (Status, &str) = (Status::Is(BAD_USAGE), "wrong command line, or no such slot");
const NONE_RUNS: (Status, &str) =
    (Status::Is(NO_PM), "no pm to talk to: none runs, it was killed, or it is another user's");
const SILENT: (Status, &str) = (Status::Is(NOT_SO), "pm does not answer, or ends before it has");
const UNREADABLE: (Status, &str) =
    (Status::Is(BROKEN), "the answer cannot be read, or the result cannot be printed");
const NOT_IN_TIME: (Status, &str) = (Status::Is(NOT_SO), "it failed, or was not so in time");

pub const STATUS: Notes = Notes {
    paragraphs: &[
        "CPU and MEM are of all processes of the worker. CPU is the mean since its start, or with --watch since it was \
         shown last.",
        "LAST is how the last worker ended. On a narrow terminal, columns are left out.",
        "The socket is .pm.sock beside pm.toml or Procfile, and .NAME.pm.sock beside NAME.toml.",
    ],
    examples: &[("pm status web :8081", ""), ("pm status -q --phase backoff,given_up", "")],
    exit_status: &[
        (Status::Is(STOPPED), "pm has answered"),
        (
            Status::Is(NOT_SO),
            "with --check: a slot that is wanted is not ready; or pm does not answer",
        ),
        WRONG,
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const WHY: Notes = Notes {
    paragraphs: &[
        "Without SLOT it explains the slots that are not what they should be, the worst first.",
        "Each death is told with the last lines that the worker wrote.",
    ],
    examples: &[("pm why", ""), ("pm why web.2", "")],
    exit_status: &[(Status::Is(STOPPED), "pm has answered"), SILENT, WRONG, UNREADABLE, NONE_RUNS],
};

pub const LOGS: Notes = Notes {
    paragraphs: &[
        "pm keeps a limited number of lines. If -n asks for more, the older ones come from log files, for each slot as \
         many as are missing.",
        "Lines of a file have no times, so --since and --until leave them out. A death is a line too.",
    ],
    examples: &[
        ("pm logs web -f", ""),
        ("pm logs web.2 -p", "what did the last worker say before it ended?"),
        ("pm logs -s 5m -g 'error|panic'", ""),
    ],
    exit_status: &[
        (Status::Is(STOPPED), "the lines are printed"),
        SILENT,
        (Status::Is(BAD_USAGE), "wrong command line, time or expression, or no such slot"),
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const START: Notes = Notes {
    paragraphs: &["A slot that has given up tries again. What happens meanwhile goes to stderr."],
    examples: &[("pm start web.2", ""), ("pm start all --timeout 2m", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the slots are ready"),
        NOT_IN_TIME,
        WRONG,
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const STOP: Notes = Notes {
    paragraphs: &["The slots stay down until `pm start`."],
    examples: &[("pm stop web.2", ""), ("pm stop jobs --now", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the slots are stopped"),
        NOT_IN_TIME,
        WRONG,
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const RESTART: Notes = Notes {
    paragraphs: &["A slot that is stopped is started."],
    examples: &[("pm restart web --roll", ""), ("pm restart :8081", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the new workers are ready"),
        NOT_IN_TIME,
        WRONG,
        UNREADABLE,
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
        (Status::Is(NOT_SO), "there is no worker to send it to; or pm does not answer"),
        (Status::Is(BAD_USAGE), "wrong command line, no such signal, or no such slot"),
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const CHAOS: Notes = Notes {
    paragraphs: &[
        "Faults come at random, on average as often as was asked for, each to one of the workers that are ready. After \
         the last one it waits up to a minute until all are ready again.",
        "The gap of a killed or hung worker lasts from the signal until the next one is ready, that of a stopped one \
         from its end. READY is the part of the time in which there was a ready worker.",
        "pm notices a hang by `alive`. A worker that it does not notice continues after --hang-for, and at the end.",
        "The file has to say `chaos = true`; --yes does without. --seed causes the same faults again.",
    ],
    examples: &[
        ("pm chaos --kill 1/20s --stop 1/1m --for 5m", ""),
        ("pm chaos web --hang 1/30s --yes", "does `alive` notice a worker that hangs?"),
    ],
    exit_status: &[
        (Status::Is(STOPPED), "every slot has come back"),
        (Status::Is(NOT_SO), "a slot has not; or pm does not answer, or ends before it has"),
        (
            Status::Is(BAD_USAGE),
            "wrong command line, no such slot, no ready worker, or no chaos is wanted there",
        ),
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const ATTACH: Notes = Notes {
    paragraphs: &[
        "The pool needs `pty = true`. Ctrl-C and all other keys go to the worker, but for the one that detaches; pressed \
         twice, that one goes to the worker too. The worker's terminal gets the size of yours, and its own again later.",
        "If the worker ends, it is said how, and the terminal is that of the next one. Keys may come from a pipe: its end \
         detaches. Several may be attached: all see the output, all may type, and the smallest terminal sets the size.",
    ],
    examples: &[
        ("pm attach web.2", "answer the prompt of a debugger"),
        ("echo continue | pm attach web.2", ""),
    ],
    exit_status: &[
        (Status::Is(STOPPED), "detached, or pm has ended"),
        (Status::Is(NOT_SO), "the slot has no worker, or lost its terminal"),
        (Status::Is(BAD_USAGE), "wrong command line, not one slot, or no terminal"),
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
        UNREADABLE,
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
        UNREADABLE,
        (Status::Is(NO_PM), "no pm was started in time"),
        (Status::OfWorker, "with --exit: the first status of a worker that is not 0"),
    ],
};

pub const EVENTS: Notes = Notes {
    paragraphs: &[
        "It begins with the events that pm has kept, and goes on until Ctrl-C or the end of pm.",
    ],
    examples: &[("pm events web --since 10m --no-follow", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the events are printed"),
        SILENT,
        WRONG,
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const RELOAD: Notes = Notes {
    paragraphs: &[
        "SIGUSR1 does the same. A file with a fault changes nothing.",
        "What could not be started now, as a program that is not there, is warned of on stderr, and applied.",
    ],
    examples: &[("pm reload --dry-run", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the changes are applied"),
        (Status::Is(NOT_SO), "pm is stopping, or does not answer"),
        (Status::Is(BAD_USAGE), "wrong command line, or the file has a fault"),
        UNREADABLE,
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
        (Status::Is(NOT_SO), "pm does not answer"),
        (Status::Is(BAD_USAGE), "wrong command line"),
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const OPEN: Notes = Notes {
    paragraphs: &[
        "It prints the address of the page, and becomes $BROWSER or xdg-open, if one of them is there.",
        "pm has a page if it was started with --http, or its file has a line `http = \"127.0.0.1:9001\"`. A browser asks \
         for the token of a page that has one, as a password; the user name does not matter.",
    ],
    examples: &[("pm open", ""), ("BROWSER=firefox pm open -f staging.toml", "")],
    exit_status: &[
        (Status::Is(STOPPED), "the address is printed; or that of the opener"),
        (Status::Is(NOT_SO), "pm has no page, or does not answer"),
        (Status::Is(BAD_USAGE), "wrong command line"),
        UNREADABLE,
        NONE_RUNS,
    ],
};

pub const LS: Notes = Notes {
    paragraphs: &[
        "Each pm has a link in $XDG_RUNTIME_DIR/pm, or for root without that folder in /run/pm; otherwise none is \
         listed.",
    ],
    examples: &[("pm ls --json", "")],
    exit_status: &[
        (Status::Is(STOPPED), "they are listed; there may be none"),
        (Status::Is(BROKEN), "the folder of the links is not one of this user alone"),
    ],
};

#[cfg(feature = "top")]
pub const TOP: Notes = Notes {
    paragraphs: &[
        "It shows what pm is at, and its end stops nothing. `?` lists the keys; `:` takes the commands of pm.",
        "CPU and MEM are of all processes of the worker, over the last seconds.",
        "NO_COLOR and --color never leave out colours. The mouse stays with the terminal, unless `m` takes it.",
        "If pm ends, the last screen stays, and it goes on with the next pm.",
    ],
    examples: &[("pm top", ""), ("pm top web --ascii", "")],
    exit_status: &[
        (Status::Is(STOPPED), "left by q or Ctrl-C"),
        SILENT,
        (Status::Is(BAD_USAGE), "wrong command line, no such slot, or no terminal"),
        UNREADABLE,
        NONE_RUNS,
    ],
};
