//! What engines of containers have in common: the command, the folders, the probes as commands of the image.

use super::Export;
use super::filled::{Names, variables};
use super::shell;
use crate::plan::probe::ProbePort;
use crate::plan::{Pool, ProbeSpec};

/// The PATH of most images, which the folders of `path` are put before.
pub const IMAGE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command of a worker, under pm if that is wished. `escape` is for what the engine would take for its own.
pub fn command(
    export: &Export<'_>,
    pool: &Pool,
    names: &Names,
    escape: fn(&str) -> String,
) -> Vec<String> {
    let pm: &[&str] = if export.wishes.with_pm { &["pm", "run", "--init", "--"] } else { &[] };
    let own = pool.spec.command.iter().map(|argument| names.fill(argument, escape));
    pm.iter().map(|word| (*word).to_owned()).chain(own).collect()
}

/// The variables of a worker, with PATH if its pool has folders for it. Those of `env_file` are not among them.
pub fn environment(
    pool: &Pool,
    names: &Names,
    escape: fn(&str) -> String,
) -> Vec<(String, String)> {
    let mut all: Vec<_> = variables(pool)
        .into_iter()
        .map(|(name, value)| (name, names.fill(&value, escape)))
        .collect();
    let folders = pool.spec.exec.path.iter().map(|folder| escape(&folder.to_string_lossy()) + ":");
    let folders: String = folders.collect();
    if !folders.is_empty() && all.iter().all(|(name, _)| name != "PATH") {
        all.push(("PATH".to_owned(), folders + IMAGE_PATH));
    }
    all
}

/// A probe as a script of sh(1); what connects to a port needs bash(1) or curl(1).
pub fn script(probe: &ProbeSpec, names: &Names, escape: fn(&str) -> String) -> String {
    match probe {
        ProbeSpec::Tcp { port } => connect(&match port {
            ProbePort::Own => names.port.clone(),
            ProbePort::Other(port) => port.to_string(),
        }),
        ProbeSpec::Http { target, text, .. } => {
            let target = escape(&shell::quoted(target));
            let curl = format!("curl --silent --fail http://127.0.0.1:{}{target}", names.port);
            match text {
                Some(text) => format!(
                    "{curl} | grep --quiet --fixed-strings -e {}",
                    escape(&shell::quoted(text))
                ),
                None => format!("{curl} >/dev/null"),
            }
        }
        ProbeSpec::Exec { argv } => argv
            .iter()
            .map(|argument| shell::word(argument, names, escape))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// A script that succeeds if a port accepts connections.
pub fn connect(port: &str) -> String {
    format!("bash -c ': </dev/tcp/127.0.0.1/{port}'")
}
