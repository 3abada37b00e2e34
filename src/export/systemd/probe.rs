//! What makes a unit ready: `ExecStartPost=`, which systemd waits for before it starts what comes after the unit.

use super::words::Word;
use super::{Unit, seconds};
use crate::export::Export;
use crate::export::shell;
use crate::plan::probe::ProbePort;
use crate::plan::{Pool, ProbeSpec, ReadyBy};

/// From one probe to the next, as sleep(1) takes it.
const EVERY: &str = "0.2";

/// The lines about the readiness of a pool, if it is written in its file or if another pool waits for it.
pub fn lines(export: &Export<'_>, pool: &Pool, unit: &Unit) -> String {
    if !export.has_table(pool, "ready") && !export.is_awaited(pool) {
        return String::new();
    }
    let ready = &pool.spec.ready;
    let (names, within) = (&unit.names, format!("TimeoutStartSec={}\n", seconds(ready.within)));
    let probe = match &ready.by {
        ReadyBy::Lived if ready.within.is_zero() => return String::new(),
        ReadyBy::Lived => {
            return format!("ExecStartPost=sleep {}\n", ready.within.as_secs_f64());
        }
        ReadyBy::Probe(ProbeSpec::Tcp { port: ProbePort::Other(port) }) => tcp(&port.to_string()),
        ReadyBy::Probe(ProbeSpec::Tcp { port: ProbePort::Own }) | ReadyBy::Listen => {
            tcp(&names.port)
        }
        ReadyBy::Probe(ProbeSpec::Http { target, text, .. }) => {
            http(&names.port, target, text.as_deref())
        }
        ReadyBy::Probe(ProbeSpec::Exec { argv }) => {
            let words = argv.iter().map(|argument| shell::word(argument, names, escape));
            let command = words.collect::<Vec<_>>().join(" ");
            until("sh", Word::text("until ").and_raw(&command))
        }
        ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => return within,
    };
    format!("{probe}{within}")
}

fn tcp(port: &str) -> String {
    until(
        "bash",
        Word::text("until : </dev/tcp/127.0.0.1/")
            .and_raw(port)
            .and(" || : </dev/tcp/::1/")
            .and_raw(port),
    )
}

fn http(port: &str, target: &str, text: Option<&str>) -> String {
    let target = shell::quoted(target);
    let curl = Word::text("until curl --silent --fail --max-time 5 http://127.0.0.1:")
        .and_raw(port)
        .and(&target);
    until(
        "sh",
        match text {
            Some(text) => {
                curl.and(&format!(" | grep --quiet --fixed-strings -e {}", shell::quoted(text)))
            }
            None => curl.and(" >/dev/null"),
        },
    )
}

/// A loop of a shell around a condition that begins with `until`.
fn until(shell: &str, condition: Word) -> String {
    let script = condition.and(&format!("; do sleep {EVERY}; done 2>/dev/null"));
    format!("ExecStartPost={shell} -c {}\n", script.for_command())
}

/// Text in a script that stands in a word of a command.
fn escape(text: &str) -> String {
    Word::text(text).inner()
}
