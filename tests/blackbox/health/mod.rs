//! How pm finds out which workers are ready and which hang: each kind of probe, and workers that make it difficult.

mod cost;
mod hangs;
mod notifications;
mod probe_commands;
mod ready;

use crate::support::pm::Pm;
use crate::support::pool::Pool;

/// A pool of one worker on one port, with these orders and these lines in its table.
fn probed_pool(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = PORT1\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 1, &text).start()
}

/// The same without a port.
fn portless(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 0, &text).start()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

const HTTP: &str = "ready = { http = '/up', text = 'pid', within = '10s' }";

/// A pool of this many slots.
fn crowd(folder: &tempfile::TempDir, slots: usize, orders: &str, lines: &str) -> Pm {
    let ports: Vec<String> = (1..=slots).map(|n| format!("PORT{n},")).rev().collect();
    let text = format!(
        "[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = [{}]\n{lines}\n",
        ports.concat()
    );
    Pool::of_file(folder.path(), "pm.toml", slots, &text).start()
}
