//! The column of Procfiles.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

const PROBE: &str = "a Procfile knows no probes: its runner starts all at once";
const HANGS: &str = "a Procfile knows no probes: nothing finds a worker that hangs";
const ENDS: &str = "a Procfile knows no restart: foreman stops all when one ends; let a service manager start the runner";

pub const ROWS: &[Row] = &[
    ("sealed", Not("a runner of Procfiles kills what it knows: run it in a container")),
    ("log.ring", Not("a runner keeps no lines: write its output to a file")),
    ("chaos", Not("only pm kills its own workers on purpose: use kill(1)")),
    ("http", Not("only pm has this page: use the tools of the engine")),
    ("command", Carried("the command of a line")),
    ("ports", Carried("a line for each port, `web-8080`, which sets `PORT`")),
    ("hold_port", Not("a runner holds no port: put a proxy with retries in front")),
    ("listen", Not("a runner passes no socket: let the server open its port, without `listen`")),
    ("address", Not("a runner passes no socket: see `listen`")),
    ("spare", Not("a runner starts one process for each line: see `hold_port`")),
    ("spares", Not("a runner starts one process for each line: see `spare`")),
    ("spare_max_age", Not("there is no spare: see `spare`")),
    (
        "workers",
        InPart(
            "a comment with the `--formation` for foreman; a line for each, `jobs-1`, where a text asks for `{n}` or `{slot}`",
        ),
    ),
    ("cwd", Carried("`cd` before the command")),
    ("path", Carried("`export PATH` before the command")),
    ("env", Carried("`export` before the command")),
    (
        "env_file",
        InPart(
            "foreman reads `.env`, or what `--env` names, for all lines alike: a comment has the option",
        ),
    ),
    (
        "after",
        Not("a runner starts all at once: let a worker try again until what it needs is there"),
    ),
    ("ends_run", InPart("foreman stops all when any line ends: there is no other rule")),
    ("restart", Not(ENDS)),
    ("max_restarts.count", Not(ENDS)),
    ("max_restarts.within", Not(ENDS)),
    ("ready.tcp", Not(PROBE)),
    ("ready.http", Not(PROBE)),
    ("ready.status", Not(PROBE)),
    ("ready.text", Not(PROBE)),
    ("ready.exec", Not(PROBE)),
    ("ready.notify", Not(PROBE)),
    ("ready.line", Not(PROBE)),
    ("ready.line_regex", Not(PROBE)),
    ("ready.exit", Not("a line that ends stops the rest: run the job before the runner")),
    ("ready.listen", Not(PROBE)),
    ("ready.after", Not(PROBE)),
    ("ready.within", Not(PROBE)),
    ("alive.tcp", Not(HANGS)),
    ("alive.http", Not(HANGS)),
    ("alive.status", Not(HANGS)),
    ("alive.text", Not(HANGS)),
    ("alive.exec", Not(HANGS)),
    ("alive.notify", Not(HANGS)),
    ("alive.every", Not(HANGS)),
    ("alive.timeout", Not(HANGS)),
    ("alive.failures", Not(HANGS)),
    ("backoff.first", Not(ENDS)),
    ("backoff.max", Not(ENDS)),
    ("backoff.give_up_after", Not(ENDS)),
    ("stop.to", Not("foreman signals the process group of each line: nothing can be set")),
    (
        "stop.signal",
        Not("foreman sends SIGTERM: let the command trap it and pass another signal on"),
    ),
    ("stop.grace", Not("foreman has one for all lines: `foreman start --timeout SECONDS`")),
    ("log.file", Not("a runner writes to its stdout: let tee(1) copy it")),
    ("log.max_size", Not("a runner writes no files: see `log.file`")),
    ("log.keep", Not("a runner writes no files: see `log.file`")),
    ("output.color", Not("that is for you to say, on the command line of the runner")),
    ("output.prefix", Not("that is for you to say, on the command line of the runner")),
    ("limits.open_files", Carried("`ulimit -n` before the command")),
    ("limits.processes", Carried("`ulimit -u` before the command, or `-p`, as dash has it")),
    ("limits.file_size", InPart("`ulimit -f`, in blocks of 512 bytes, rounded up")),
    ("limits.core", InPart("`ulimit -c`, in blocks of 512 bytes, rounded up")),
    ("limits.stack", InPart("`ulimit -s`, in KiB, rounded up")),
    (
        "limits.memory",
        InPart(
            "`ulimit -v`, of the address space, which V8 and Go reserve much of: use a container for the memory itself",
        ),
    ),
    ("user", Not("a runner starts all as its own user: use setpriv(1) before the command")),
    ("group", Not("a runner starts all as its own group: use setpriv(1) before the command")),
    ("umask", Carried("`umask` before the command")),
    ("nice", Carried("`nice -n` before the command")),
    ("pty", Not("a runner gives no terminal: run the command under script(1)")),
    ("raw", Not("there is no terminal: see `pty`")),
    ("stdin", Not("the stdin of a worker is that of its runner, or none: nothing can be set")),
];
