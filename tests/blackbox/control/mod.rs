//! The control socket: a running pm is asked and told.

mod commands;
mod names;
mod questions;
mod socket_file;
mod waits;

use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;

/// A pm with its socket in a folder of its own.
struct Controlled {
    folder: TempDir,
    pm: Pm,
    api: Api,
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join(".pm.sock")
}

/// A pm that runs this text.
fn run(ports: usize, text: &str) -> Controlled {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket(&folder);
    let pool = Pool::of_file(folder.path(), "pm.toml", ports, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    // The socket is made before.
    pm.says.wait_for("keeping");
    let api = Api::at(&socket);
    Controlled { folder, pm, api }
}

const THREE: &str = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                     ports = [PORT1, PORT2, PORT3]\n";

/// Three ready workers.
fn three() -> Controlled {
    let run = run(3, THREE);
    for n in 1..=3 {
        run.pm.wait_slot_ready(&format!(".{n}"), 1);
    }
    run
}

impl Controlled {
    /// The name of the pool.
    fn pool(&self) -> &str {
        &self.pm.name
    }

    fn slot(&self, n: usize) -> String {
        self.pm.slot(n)
    }

    fn pid(&self, n: usize) -> String {
        ask(self.pm.ports[n - 1], "pid")
    }
}
