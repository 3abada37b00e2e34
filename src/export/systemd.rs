//! Units of systemd: a template for each pool, whose instances are its slots, and a target that wants them all.
//!
//! The instance is the port, or the number in a pool without ports. Where a pool with ports asks for `{n}` or `{slot}`
//! too, one name cannot give both: then each slot has a unit of its own, `web.2.service`. Escapes are in [`words`].

mod probe;
mod words;

use std::time::Duration;

use super::filled::{Names, asks_for_number, asks_in, port_of, variables};
use super::{Export, Exported, File, is_job};
use crate::plan::{AliveBy, HoldPort, Limits, Pool, ReadyBy, SlotsSpec, StopTarget};
use crate::supervisor::Restart;

use self::words::{Word, in_line, program};

/// Where systemd looks for a program by default, which `ExecSearchPath=` replaces (systemd.exec(5)).
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `--hardened` adds. Files outside of /usr, /boot and /etc stay writable.
const HARDENED: &str = "\
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
";

/// A port below this one needs a capability (ip(7)).
const FIRST_PORT_FOR_ALL: u16 = 1024;

/// A unit file of a pool: the template, or that of one slot.
struct Unit {
    /// `web@`, or `web.2`.
    stem: String,
    /// The units that it becomes, without their ending: `web@8080`.
    instances: Vec<String>,
    names: Names,
    /// How a file refers to its own instance: `web@%i`, or `web.2`.
    own: String,
}

pub fn export(export: &Export<'_>) -> Exported {
    let mut made = Exported::default();
    let name = &export.wishes.name;
    let mut wanted = Vec::new();
    for pool in &export.pools {
        for unit in units(pool) {
            let text = service(export, pool, &unit);
            made.files.push(File { name: format!("{}.service", unit.stem), text });
            if let HoldPort::Passed(address) = pool.spec.exec.hold_port {
                let text = socket(export, pool, &unit, &address.to_string());
                made.files.push(File { name: format!("{}.socket", unit.stem), text });
            }
            wanted.extend(unit.instances);
        }
    }
    let wants: String = wanted.iter().map(|unit| format!("Wants={unit}.service\n")).collect();
    let text = format!(
        "[Unit]\nDescription=The pools of {}\n{wants}\n[Install]\nWantedBy=multi-user.target\n",
        in_line(export.source)
    );
    made.files.push(File { name: format!("{name}.target"), text });
    made
}

/// The units of a pool.
fn units(pool: &Pool) -> Vec<Unit> {
    let has_ports = match pool.spec.slots {
        SlotsSpec::Ports(_) | SlotsSpec::PortVariable { .. } => true,
        SlotsSpec::Workers(_) => false,
    };
    let name = &pool.name;
    let numbers = 1..=pool.spec.count();
    let of_log = pool.spec.log.as_ref().is_some_and(|log| asks_in(&log.path));
    if has_ports && (of_log || asks_for_number(&pool.spec)) {
        let unit = |n| {
            let names = Names::of_slot(pool, n);
            let own = names.slot.clone();
            Unit { stem: own.clone(), instances: vec![own.clone()], names, own }
        };
        return numbers.map(unit).collect();
    }
    let instance = |n| format!("{name}@{}", port_of(&pool.spec.slots, n).map_or(n, usize::from));
    let specifier = || "%i".to_owned();
    let names = Names {
        port: specifier(),
        n: specifier(),
        slot: format!("{name}.%i"),
        ..Names::of_slot(pool, 1)
    };
    let instances = numbers.map(instance).collect();
    vec![Unit { stem: format!("{name}@"), instances, names, own: format!("{name}@%i") }]
}

fn service(export: &Export<'_>, pool: &Pool, unit: &Unit) -> String {
    let mut text = head(export, pool, unit);
    text += "\n[Service]\n";
    text += &execution(export, pool, unit);
    text += &lifetime(pool);
    text += &settings(export, pool, unit);
    if export.wishes.hardened {
        text += HARDENED;
        let is_low = |n| port_of(&pool.spec.slots, n).is_some_and(|port| port < FIRST_PORT_FOR_ALL);
        let capability =
            if (1..=pool.spec.count()).any(is_low) { "CAP_NET_BIND_SERVICE" } else { "" };
        text += &format!("CapabilityBoundingSet={capability}\n");
        if !capability.is_empty() && pool.spec.exec.identity.is_some() {
            text += &format!("AmbientCapabilities={capability}\n");
        }
    }
    text += &format!("\n[Install]\nWantedBy={}.target\n", export.wishes.name);
    text
}

/// The section `[Unit]`.
fn head(export: &Export<'_>, pool: &Pool, unit: &Unit) -> String {
    let target = &export.wishes.name;
    let mut text = format!(
        "[Unit]\nDescription={} of {}\nPartOf={target}.target\nAfter=network.target\n",
        unit.names.slot,
        in_line(export.source)
    );
    if pool.spec.exec.hold_port != HoldPort::No && pool.spec.exec.hold_port != HoldPort::Calls {
        text += &format!("Requires={0}.socket\nAfter={0}.socket\n", unit.own);
    }
    for needed in export.needs(pool) {
        // With `Requires=` the restart of a worker would restart those that come after it.
        let wants = if is_job(needed) { "Requires" } else { "Wants" };
        for instance in units(needed).into_iter().flat_map(|unit| unit.instances) {
            text += &format!("{wants}={instance}.service\nAfter={instance}.service\n");
        }
    }
    text + &match pool.policy.max_restarts {
        // The first start is counted too.
        Some(most) => format!(
            "StartLimitBurst={}\nStartLimitIntervalSec={}\n",
            most.count.get() + 1,
            seconds(most.within)
        ),
        None => "StartLimitIntervalSec=0\n".to_owned(),
    }
}

/// What is run, where, and with which variables.
fn execution(export: &Export<'_>, pool: &Pool, unit: &Unit) -> String {
    let spec = &pool.spec;
    let kind = match spec.ready.by {
        ReadyBy::Notify => "notify",
        ReadyBy::Exit => "oneshot\nRemainAfterExit=yes",
        ReadyBy::Lived | ReadyBy::Probe(_) | ReadyBy::Line(_) | ReadyBy::Listen => "exec",
    };
    let mut text = format!("Type={kind}\n");
    if spec.notifies() {
        text += "NotifyAccess=all\n";
    }
    let cwd = spec.cwd.as_ref().map(|cwd| unit.names.path(cwd, in_line));
    if let Some(cwd) = &cwd {
        text += &format!("WorkingDirectory={cwd}\n");
    }
    if !spec.exec.path.is_empty() {
        let folders = spec.exec.path.iter().map(|folder| in_line(&folder.to_string_lossy()) + ":");
        text += &format!("ExecSearchPath={}{SEARCHED}\n", folders.collect::<String>());
    }
    for file in export.texts(pool, "env_file") {
        let path = spec.dir.join(file).components().collect::<std::path::PathBuf>();
        text += &format!("EnvironmentFile={}\n", in_line(&path.to_string_lossy()));
    }
    // A file overrides `Environment=`, and env(1) overrides both.
    let mut first = Vec::new();
    for (name, value) in variables(pool) {
        let word = Word::text(&format!("{name}=")).and_value(&value, &unit.names);
        if spec.env_files.iter().any(|(of_file, _)| *of_file == name) {
            first.push(word.for_command());
        } else {
            text += &format!("Environment={}\n", word.for_environment());
        }
    }
    if !first.is_empty() {
        first.insert(0, "/usr/bin/env".to_owned());
    }
    let cwd = spec.cwd.as_ref().map(|cwd| unit.names.path(cwd, |text| Word::text(text).inner()));
    let command = program(&spec.command, &unit.names, cwd.as_deref());
    first.extend(command);
    text += &format!("ExecStart={}\n", first.join(" "));
    text + &probe::lines(export, pool, unit)
}

/// How it is restarted and stopped.
fn lifetime(pool: &Pool) -> String {
    let restart = match pool.policy.restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "no",
    };
    let backoff = pool.policy.backoff;
    let mut text = format!("Restart={restart}\n");
    if pool.policy.restart != Restart::Never {
        text += &format!("RestartSec={}\n", seconds(backoff.first));
    }
    if pool.policy.restart != Restart::Never
        && backoff.max > backoff.first
        && !backoff.first.is_zero()
    {
        // It doubles up to the longest wait.
        let doublings = (1..).find(|n| backoff.first * 2_u32.pow(*n) >= backoff.max).unwrap_or(1);
        text += &format!("RestartSteps={doublings}\nRestartMaxDelaySec={}\n", seconds(backoff.max));
    }
    if let Some(alive) = pool.spec.alive.as_ref().filter(|alive| alive.by == AliveBy::Notify) {
        text += &format!("WatchdogSec={}\n", seconds(alive.every));
    }
    let mode = match pool.stop.to {
        StopTarget::Leader => "mixed",
        StopTarget::Group => "control-group",
    };
    text += &format!("KillMode={mode}\n");
    // `TimeoutStopSec=0` would be no timeout.
    if pool.policy.grace.is_zero() {
        return text + "KillSignal=SIGKILL\n";
    }
    let signal = words::signal(pool.stop.signal);
    text + &format!("KillSignal={signal}\nTimeoutStopSec={}\n", seconds(pool.policy.grace))
}

/// Its user, limits and output.
fn settings(export: &Export<'_>, pool: &Pool, unit: &Unit) -> String {
    let exec = &pool.spec.exec;
    let mut text = String::new();
    for (key, of_unit) in [("user", "User"), ("group", "Group")] {
        for name in export.texts(pool, key) {
            text += &format!("{of_unit}={}\n", in_line(name));
        }
    }
    if let Some(umask) = exec.umask {
        text += &format!("UMask={umask:04o}\n");
    }
    if let Some(nice) = exec.nice {
        text += &format!("Nice={nice}\n");
    }
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, memory_bytes } =
        exec.limits;
    let limits = [
        ("LimitNOFILE", open_files),
        ("LimitNPROC", processes),
        ("LimitFSIZE", file_bytes),
        ("LimitCORE", core_bytes),
        ("LimitSTACK", stack_bytes),
        ("MemoryMax", memory_bytes),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            text += &format!("{name}={limit}\n");
        }
    }
    if let Some(log) = &pool.spec.log {
        let path = unit.names.path(&log.path, in_line);
        text += &format!("StandardOutput=append:{path}\nStandardError=inherit\n");
    }
    text
}

fn socket(export: &Export<'_>, pool: &Pool, unit: &Unit, address: &str) -> String {
    let (port, target) = (&unit.names.port, &export.wishes.name);
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!(
        "[Unit]\nDescription=The port of {} of {}\nPartOf={target}.target\n\n\
         [Socket]\nListenStream={address}:{port}\nFileDescriptorName={}\n\n\
         [Install]\nWantedBy={target}.target\n",
        unit.names.slot,
        in_line(export.source),
        pool.name
    )
}

/// A time as systemd.time(7) has it.
fn seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", time.as_millis()),
        _ => format!("{}us", time.as_micros()),
    }
}
