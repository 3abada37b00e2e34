//! The column of Nomad. The names are those of a job specification; in JSON they are those of the API.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

const ANSWER: &str =
    "Nomad takes 200 to 299, curl 200 to 399, whatever is set here; use `exec` for others";
const NOTIFY: &str = "no socket for notifications is passed to a container: use `http` or `exec`";
const LINES: &str = "Nomad does not read the lines of a task: use `ready.http` or `ready.exec`";
const SCRIPT: &str =
    "a check of the type script, for which the services are those of Consul, which must be there";
const ROTATES: &str = "Nomad rotates the lines of each task: set its `logs`";

pub const ROWS: &[Row] = &[
    ("sealed", Carried("each container is a pid namespace, which ends with its first process")),
    ("log.ring", Not(ROTATES)),
    ("chaos", Not("only pm kills its own workers on purpose: use `nomad alloc signal`")),
    ("http", Not("only pm has this page: use the tools of the engine")),
    ("command", Carried("`entrypoint` of the driver docker; Nomad fills in nothing in it")),
    (
        "ports",
        InPart(
            "all workers of a group listen on its first port, each in an allocation with a port of its own outside; `PORT` is the first port: find them by the service",
        ),
    ),
    (
        "hold_port",
        Not(
            "no worker waits on a port while its allocation is replaced: let clients try again, or run more workers",
        ),
    ),
    (
        "listen",
        Not("no socket is passed to a container: let the server open its port, without `listen`"),
    ),
    ("address", Not("no socket is passed to a container: see `listen`")),
    (
        "spare",
        Not("there is no spare allocation: run one more worker, which the service then has too"),
    ),
    ("spares", Not("there is no spare allocation: see `spare`")),
    ("spare_max_age", Not("there is no spare: see `spare`")),
    (
        "workers",
        Carried("`count`; a group for each, `jobs-1`, where a text asks for `{n}` or `{slot}`"),
    ),
    ("cwd", Carried("`work_dir`, a folder of the image")),
    (
        "path",
        InPart(
            "`PATH`, before the folders of most images; if the image has another PATH, set it in `env`",
        ),
    ),
    ("env", Carried("`env`")),
    (
        "env_file",
        InPart(
            "a template of a Nomad variable, `nomad/jobs/NAME/GROUP`, which wins over `env`: fill it with `nomad var put`; `--secrets` writes the values into `env`",
        ),
    ),
    (
        "after",
        InPart(
            "a job is a prestart task, and those of one group start together; there is no order among groups: let a worker try again until what it needs is there",
        ),
    ),
    (
        "ends_run",
        Not("no job of Nomad ends another: run `nomad job stop` when the batch is complete"),
    ),
    (
        "restart",
        Carried(
            "`restart`, also of a prestart task; what is not always restarted is a job of its own, of the type batch",
        ),
    ),
    (
        "max_restarts.count",
        Carried("`restart.attempts` with the mode fail, and no attempt of `reschedule`"),
    ),
    ("max_restarts.within", InPart("`restart.interval`, at least 5 s")),
    (
        "ready.tcp",
        InPart(
            "a check from outside: the worker must listen on all addresses of its container; a port that is not its own needs bash(1) in the image",
        ),
    ),
    (
        "ready.http",
        InPart(
            "a check from outside, or with `text` a script with curl(1): the worker must listen on all addresses of its container",
        ),
    ),
    ("ready.status", InPart(ANSWER)),
    ("ready.text", InPart(SCRIPT)),
    ("ready.exec", InPart(SCRIPT)),
    ("ready.notify", Not(NOTIFY)),
    ("ready.line", Not(LINES)),
    ("ready.line_regex", Not(LINES)),
    (
        "ready.exit",
        Carried("a prestart task of the groups that come after it, else a group of the batch"),
    ),
    (
        "ready.listen",
        InPart(
            "a check connects to the port from outside: the worker must listen on all addresses of its container",
        ),
    ),
    ("ready.after", InPart("`update.min_healthy_time`: it delays an update, not the service")),
    (
        "ready.within",
        InPart(
            "`update.healthy_deadline`, and `progress_deadline` after it, with a `min_healthy_time` of half of it up to 10 s: it is for updates, and nothing is stopped by it at other times",
        ),
    ),
    (
        "alive.tcp",
        InPart(
            "a check from outside with `check_restart`: the worker must listen on all addresses of its container",
        ),
    ),
    (
        "alive.http",
        InPart(
            "a check from outside, or with `text` a script with curl(1), with `check_restart`: the worker must listen on all addresses of its container",
        ),
    ),
    ("alive.status", InPart(ANSWER)),
    ("alive.text", InPart(SCRIPT)),
    ("alive.exec", InPart(SCRIPT)),
    ("alive.notify", Not(NOTIFY)),
    (
        "alive.every",
        InPart(
            "`interval` of the check, at least 1 s; with `alive.notify` it is lost, as the notification is",
        ),
    ),
    ("alive.timeout", InPart("`timeout` of the check, at least 1 s")),
    ("alive.failures", Carried("`check_restart.limit`")),
    (
        "backoff.first",
        InPart(
            "`restart.delay`, the same before each restart, also of a worker that had been ready",
        ),
    ),
    ("backoff.max", Not("the wait does not grow: set `restart.delay` to what suits you")),
    (
        "backoff.give_up_after",
        InPart(
            "`restart.attempts`, only with `restart = \"on-failure\"`; the time between the failures counts, not that they come in a row",
        ),
    ),
    (
        "stop.to",
        InPart(
            "Docker signals the first process alone; `--with-pm` puts one there that passes it on to its child",
        ),
    ),
    ("stop.signal", Carried("`kill_signal`, if the signal has a name")),
    (
        "stop.grace",
        InPart(
            "`kill_timeout`, at most `max_kill_timeout` of the client, which is 30 s unless it is set",
        ),
    ),
    ("log.file", Not(ROTATES)),
    ("log.max_size", Not(ROTATES)),
    ("log.keep", Not(ROTATES)),
    ("output.color", Not("there is no terminal: `nomad alloc logs` prints the lines as they are")),
    ("output.prefix", Not("there is no terminal: `nomad alloc logs` prints the lines of one task")),
    ("limits.open_files", Carried("`ulimit` of the driver docker")),
    ("limits.processes", Carried("`ulimit` of the driver docker")),
    ("limits.file_size", Carried("`ulimit` of the driver docker")),
    ("limits.core", Carried("`ulimit` of the driver docker")),
    ("limits.stack", Carried("`ulimit` of the driver docker")),
    ("limits.memory", InPart("`resources.memory`, in MiB, rounded up, at least 10")),
    ("user", InPart("`user`, a name that the image must know: give a number if it does not")),
    (
        "group",
        InPart(
            "`user`, as USER:GROUP, a name that the image must know: give a number if it does not",
        ),
    ),
    (
        "umask",
        Not(
            "a container has the umask of its engine: write `umask 027; exec` before the command, as a string",
        ),
    ),
    ("nice", Not("a container has no nice value: set `resources.cpu`")),
    ("pty", Carried("`tty`")),
    ("raw", Carried("`nomad alloc logs` passes on all that comes")),
    (
        "stdin",
        InPart(
            "`interactive`, whose input does not end; what is typed comes with `nomad alloc exec`",
        ),
    ),
];
