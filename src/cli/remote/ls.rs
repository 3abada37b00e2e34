//! `pm ls`: every running pm of this user.

use std::path::Path;

use serde_json::{Value, json};

use super::args::LsArgs;
use super::failure::Failure;
use super::print::{Printer, printable, stderr_line};
use super::session::Session;
use super::status::row::is_as_wanted;
use super::times::{between, short};
use crate::cli::exit_status::STOPPED;
use crate::sys::control_socket::registry::Registry;
use crate::wire::Status;

/// Prints a line for each.
///
/// # Errors
/// If the folder of the sockets cannot be read.
pub fn ls(args: &LsArgs) -> Result<u8, Failure> {
    let registry = Registry::of_user();
    let links = registry.as_ref().map_or_else(|| Ok(Vec::new()), Registry::list)?;
    let running: Vec<_> = links
        .iter()
        .filter_map(|(pid, socket)| match Session::at(socket).status(&[]) {
            Ok((status, _)) => Some((pid.as_raw(), socket.as_path(), status)),
            // It may have ended meanwhile.
            Err(failure) => {
                stderr_line(&format!("pid {pid}: {failure}"));
                None
            }
        })
        .collect();
    let mut printer = Printer::new();
    if args.json {
        let all: Vec<_> =
            running.iter().map(|(pid, socket, status)| described(*pid, socket, status)).collect();
        printer.json(&all)?;
    } else if registry.is_none() {
        stderr_line("XDG_RUNTIME_DIR is not a folder of this user, so no running pm is listed");
    } else if running.is_empty() {
        stderr_line("no pm runs");
    } else {
        for line in lines(&running) {
            printer.line(&line)?;
        }
    }
    printer.flush()?;
    Ok(STOPPED)
}

fn described(pid: i32, socket: &Path, status: &Status) -> Value {
    json!({
        "pid": pid,
        "socket": socket.to_string_lossy(),
        "plan": status.pm.plan,
        "started_at": status.pm.started_at,
        "slots": status.slots.len(),
        "ready": status.slots.iter().filter(|slot| is_as_wanted(slot)).count(),
    })
}

/// `PID UP READY SOCKET`
fn lines(running: &[(i32, &Path, Status)]) -> Vec<String> {
    let rows = running.iter().map(|(pid, socket, status)| {
        let ready = status.slots.iter().filter(|slot| is_as_wanted(slot)).count();
        let up = short(between(status.pm.started_at, status.now));
        let socket = printable(&socket.to_string_lossy());
        (pid.to_string(), up, format!("{ready}/{}", status.slots.len()), socket)
    });
    let head = ["PID", "UP", "READY"].map(str::to_owned);
    let [pid, up, ready] = head;
    let rows: Vec<_> = [(pid, up, ready, "SOCKET".to_owned())].into_iter().chain(rows).collect();
    let width =
        |of: fn(&(String, String, String, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (pid, up, ready) =
        (width(|row| row.0.len()), width(|row| row.1.len()), width(|row| row.2.len()));
    rows.iter()
        .map(|row| format!("{:>pid$}  {:>up$}  {:>ready$}  {}", row.0, row.1, row.2, row.3))
        .collect()
}
