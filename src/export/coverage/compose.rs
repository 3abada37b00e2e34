//! The column of Compose files.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

const HTTP: &str = "a `healthcheck` asks with curl(1), which the image must have";

pub const ROWS: &[Row] = &[
    ("sealed", Carried("each container is a pid namespace, which ends with its first process")),
    ("log.ring", Not("the log driver keeps the lines: set `logging` in an override file")),
    (
        "chaos",
        Not("only pm kills its own workers on purpose: use `docker compose kill` on a service"),
    ),
    ("http", Not("only pm has this page: use the tools of the engine")),
    ("command", Carried("`entrypoint`, so that one of the image is not put before it")),
    (
        "ports",
        Carried("a service for each port, `web-8080`, which is published as it is; `PORT` is set"),
    ),
    (
        "hold_port",
        Not(
            "no engine of containers holds a port for its workers: put a proxy with retries in front",
        ),
    ),
    (
        "listen",
        Not("no socket is passed to a container: let the server open its port, without `listen`"),
    ),
    ("address", Not("no socket is passed to a container: see `listen`")),
    ("spare", Not("there is no spare container: run one more service behind a proxy")),
    ("spares", Not("there is no spare container: see `spare`")),
    ("spare_max_age", Not("there is no spare: see `spare`")),
    (
        "workers",
        Carried(
            "`deploy.replicas`; a service for each, `jobs-1`, where a text asks for `{n}` or `{slot}`",
        ),
    ),
    ("cwd", Carried("`working_dir`, a folder of the image")),
    (
        "path",
        InPart(
            "`PATH` in `environment`, before the folders of most images; if the image has another PATH, set it in `env`",
        ),
    ),
    ("env", Carried("`environment`")),
    (
        "env_file",
        InPart(
            "`env_file`, relative to the Compose file; Compose fills in `$NAME` in a value: quote such a value with `'`",
        ),
    ),
    (
        "after",
        InPart(
            "`depends_on`; for the start only: Compose stops what comes after first, and restarts nothing",
        ),
    ),
    (
        "ends_run",
        Not(
            "a Compose file cannot say it: start it with `docker compose up --exit-code-from SERVICE`",
        ),
    ),
    ("restart", Carried("`restart`: `always`, `on-failure` or `no`")),
    (
        "max_restarts.count",
        InPart(
            "`restart: on-failure:N`, only with `restart = \"on-failure\"`; the count has no time and never ends",
        ),
    ),
    ("max_restarts.within", Not("restarts are counted without a time: watch `docker events`")),
    ("ready.tcp", InPart("a `healthcheck` connects with bash(1), which the image must have")),
    ("ready.http", InPart(HTTP)),
    (
        "ready.status",
        InPart("curl takes 200 to 399, whatever is set here; use `ready.exec` for others"),
    ),
    ("ready.text", Carried("grep(1) looks for it in what curl gets")),
    ("ready.exec", Carried("`healthcheck.test`")),
    (
        "ready.notify",
        Not(
            "no socket for notifications is passed to a container: use `ready.http` or `ready.exec`",
        ),
    ),
    (
        "ready.line",
        Not("Compose does not read the lines of a service: use `ready.http` or `ready.exec`"),
    ),
    (
        "ready.line_regex",
        Not("Compose does not read the lines of a service: use `ready.http` or `ready.exec`"),
    ),
    ("ready.exit", Carried("`depends_on` with `service_completed_successfully`")),
    ("ready.listen", InPart("a `healthcheck` connects with bash(1), which the image must have")),
    (
        "ready.after",
        Not("Compose takes a service for started at once: use `ready.http` or `ready.exec`"),
    ),
    (
        "ready.within",
        InPart(
            "`healthcheck.start_period`; a container that is not ready by then is marked as unhealthy, and not stopped",
        ),
    ),
    (
        "alive.tcp",
        InPart(
            "a `healthcheck`; an unhealthy container is marked, and restarted only by Swarm or a tool such as autoheal",
        ),
    ),
    (
        "alive.http",
        InPart(
            "a `healthcheck` with curl(1), which the image must have; an unhealthy container is marked, and restarted only by Swarm or a tool such as autoheal",
        ),
    ),
    (
        "alive.status",
        InPart("curl takes 200 to 399, whatever is set here; use `alive.exec` for others"),
    ),
    ("alive.text", Carried("grep(1) looks for it in what curl gets")),
    (
        "alive.exec",
        InPart(
            "a `healthcheck`; an unhealthy container is marked, and restarted only by Swarm or a tool such as autoheal",
        ),
    ),
    (
        "alive.notify",
        Not(
            "no socket for notifications is passed to a container: use `alive.http` or `alive.exec`",
        ),
    ),
    (
        "alive.every",
        InPart("`healthcheck.interval`; with `alive.notify` it is lost, as the notification is"),
    ),
    ("alive.timeout", Carried("`healthcheck.timeout`")),
    ("alive.failures", Carried("`healthcheck.retries`")),
    ("backoff.first", Not("Docker waits 100 ms, doubling up to a minute: nothing can be set")),
    ("backoff.max", Not("Docker waits 100 ms, doubling up to a minute: nothing can be set")),
    (
        "backoff.give_up_after",
        InPart(
            "`restart: on-failure:N`, only with `restart = \"on-failure\"`; the count never ends",
        ),
    ),
    (
        "stop.to",
        InPart(
            "Docker signals the first process alone; `--with-pm` puts one there that passes it on to its child",
        ),
    ),
    ("stop.signal", Carried("`stop_signal`")),
    ("stop.grace", Carried("`stop_grace_period`")),
    (
        "log.file",
        Not(
            "the log driver has the lines, `docker compose logs`: set `logging` in an override file",
        ),
    ),
    ("log.max_size", Not("set `logging.options.max-size` in an override file; see `log.file`")),
    ("log.keep", Not("set `logging.options.max-file` in an override file; see `log.file`")),
    ("output.color", Not("that is for you to say: `docker compose up --no-color`")),
    ("output.prefix", Not("that is for you to say: `docker compose up --no-log-prefix`")),
    ("limits.open_files", Carried("`ulimits.nofile`")),
    ("limits.processes", Carried("`ulimits.nproc`")),
    ("limits.file_size", Carried("`ulimits.fsize`")),
    ("limits.core", Carried("`ulimits.core`")),
    ("limits.stack", Carried("`ulimits.stack`")),
    ("limits.memory", Carried("`mem_limit`")),
    ("user", InPart("`user`, a name that the image must know: give a number if it does not")),
    (
        "group",
        InPart("`user: USER:GROUP`, a name that the image must know: give a number if it does not"),
    ),
    (
        "umask",
        Not(
            "a container has the umask of its engine: write `umask 027; exec` before the command, as a string",
        ),
    ),
    ("nice", Not("a container has no nice value: use `cpu_shares` in an override file")),
    ("pty", Carried("`tty`")),
    ("raw", Carried("`docker compose up` passes on all that comes")),
    (
        "stdin",
        InPart("`stdin_open`, whose input does not end; what is typed comes with `docker attach`"),
    ),
];
