//! The column of systemd.

use super::Coverage::{Carried, InPart, Not};
use super::Row;

pub const ROWS: &[Row] = &[
    ("sealed", Carried("the control group of each unit: systemd kills all that is in it")),
    ("log.ring", Not("the journal keeps the lines: set `SystemMaxUse=` in journald.conf")),
    ("chaos", Not("only pm kills its own workers on purpose: use `systemctl kill` on an instance")),
    ("http", Not("only pm has this page: use the tools of the engine")),
    ("command", Carried("`ExecStart=`")),
    ("ports", Carried("the instances of a template unit, `web@8080.service`; `PORT` is set")),
    (
        "hold_port",
        Not(
            "systemd holds no port that a server binds: use `listen = \"fds\"` if the server can take a socket",
        ),
    ),
    ("listen", Carried("a socket unit, `web@.socket`; `LISTEN_FDNAMES` is the name of that unit")),
    ("address", Carried("`ListenStream=`")),
    (
        "spare",
        Not(
            "systemd starts one process for each instance: use `listen = \"fds\"`, so that connections wait",
        ),
    ),
    ("spares", Not("systemd starts one process for each instance: see `spare`")),
    ("spare_max_age", Not("there is no spare: see `spare`")),
    ("workers", Carried("the instances of a template unit, `jobs@1.service`")),
    ("cwd", Carried("`WorkingDirectory=`")),
    (
        "path",
        InPart(
            "`ExecSearchPath=`, before the folders that systemd searches by default; your own PATH is not known there: add its folders",
        ),
    ),
    (
        "env",
        Carried(
            "`Environment=`, or env(1) before the command where a file of `env_file` sets the same name",
        ),
    ),
    (
        "env_file",
        InPart(
            "`EnvironmentFile=`; systemd reads no `export` before a name, and takes ` #` after a value for a part of it: remove these",
        ),
    ),
    (
        "after",
        InPart(
            "`After=`, with `Requires=` on a job and `Wants=` on others: if one of those fails to start, what comes after it starts all the same",
        ),
    ),
    (
        "ends_run",
        Not(
            "a target has no exit status: run `systemctl stop` from an `ExecStopPost=` of the unit",
        ),
    ),
    ("restart", Carried("`Restart=`")),
    (
        "max_restarts.count",
        InPart(
            "`StartLimitBurst=`, one more for the first start; what gives up is `failed` until `systemctl reset-failed`",
        ),
    ),
    ("max_restarts.within", Carried("`StartLimitIntervalSec=`")),
    (
        "ready.tcp",
        InPart(
            "`ExecStartPost=` waits for the port with bash(1), which must be installed; another process on the port counts too",
        ),
    ),
    (
        "ready.http",
        InPart(
            "`ExecStartPost=` asks with curl(1), which must be installed; another process on the port counts too",
        ),
    ),
    (
        "ready.status",
        InPart("curl takes 200 to 399, whatever is set here; use `ready.exec` for others"),
    ),
    ("ready.text", Carried("grep(1) looks for it in what curl gets")),
    ("ready.exec", Carried("`ExecStartPost=` runs it until it exits 0")),
    ("ready.notify", Carried("`Type=notify`, `NotifyAccess=all`")),
    (
        "ready.line",
        Not("systemd does not read the lines of a unit: use `ready.notify` or `ready.exec`"),
    ),
    (
        "ready.line_regex",
        Not("systemd does not read the lines of a unit: use `ready.notify` or `ready.exec`"),
    ),
    ("ready.exit", Carried("`Type=oneshot`, `RemainAfterExit=yes`")),
    (
        "ready.listen",
        InPart(
            "`ExecStartPost=` waits for the port with bash(1), which must be installed; another process on the port counts too",
        ),
    ),
    ("ready.after", Carried("`ExecStartPost=` sleeps that long")),
    ("ready.within", Carried("`TimeoutStartSec=`")),
    (
        "alive.tcp",
        Not("systemd probes nothing: let the worker send WATCHDOG=1, with `alive.notify`"),
    ),
    (
        "alive.http",
        Not("systemd probes nothing: let the worker send WATCHDOG=1, with `alive.notify`"),
    ),
    ("alive.status", Not("see `alive.http`: systemd probes nothing")),
    ("alive.text", Not("see `alive.http`: systemd probes nothing")),
    (
        "alive.exec",
        Not("systemd probes nothing: let the worker send WATCHDOG=1, with `alive.notify`"),
    ),
    ("alive.notify", Carried("`WatchdogSec=`, `NotifyAccess=all`")),
    (
        "alive.every",
        InPart(
            "`WatchdogSec=` with `alive.notify`; with any other probe it is lost, as the probe is",
        ),
    ),
    ("alive.timeout", Not("there is no probe that could take long: see `alive.every`")),
    ("alive.failures", Not("there is no probe that could fail: see `alive.every`")),
    (
        "backoff.first",
        InPart(
            "`RestartSec=`, which also delays the restart of a worker that had been ready; `RestartSec=0` restarts at once",
        ),
    ),
    (
        "backoff.max",
        InPart(
            "`RestartMaxDelaySec=` and `RestartSteps=`, from systemd 254 on; older ones ignore them, with a warning",
        ),
    ),
    (
        "backoff.give_up_after",
        Not("systemd counts starts in a time, not failed ones in a row: use `max_restarts`"),
    ),
    ("stop.to", Carried("`KillMode=mixed` for the leader, else `control-group`")),
    ("stop.signal", Carried("`KillSignal=`")),
    ("stop.grace", Carried("`TimeoutStopSec=`; for `\"0s\"` `KillSignal=SIGKILL`")),
    (
        "log.file",
        InPart(
            "`StandardOutput=append:`; the lines are no longer in the journal: leave the key out to have them there",
        ),
    ),
    (
        "log.max_size",
        Not("systemd rotates no such file: use logrotate(8) with `copytruncate`, or the journal"),
    ),
    (
        "log.keep",
        Not("systemd rotates no such file: use logrotate(8) with `copytruncate`, or the journal"),
    ),
    ("output.color", Not("there is no terminal: `journalctl -t` and `-u` choose units")),
    ("output.prefix", Not("there is no terminal: `journalctl -o cat` leaves the prefix out")),
    ("limits.open_files", Carried("`LimitNOFILE=`")),
    ("limits.processes", Carried("`LimitNPROC=`")),
    ("limits.file_size", Carried("`LimitFSIZE=`")),
    ("limits.core", Carried("`LimitCORE=`")),
    ("limits.stack", Carried("`LimitSTACK=`")),
    ("limits.memory", Carried("`MemoryMax=`")),
    ("user", Carried("`User=`")),
    ("group", Carried("`Group=`")),
    ("umask", Carried("`UMask=`")),
    ("nice", Carried("`Nice=`")),
    ("pty", Not("a unit has no terminal of its own: run the command under script(1)")),
    ("raw", Not("there is no terminal: see `pty`")),
    (
        "stdin",
        Not(
            "a unit reads /dev/null: put `sleep infinity` and a pipe before a program that ends with its stdin",
        ),
    ),
];
