//! SIGUSR1 reads the file again: unchanged workers stay, changed ones are replaced one by one.

mod kept;
mod refused;
mod replaced;
mod slots;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;

const BEFORE: &str = "
[pool.POOL-web]
command = ['WORKER', 'env', 'MODE', 'listen', '{port}', 'stay']
ports   = [PORT1, PORT2, PORT3]
env     = { MODE = 'one' }

[pool.POOL-job]
command = ['WORKER', 'stay']
workers = 2
ready   = { after = '0s' }
";

fn started() -> (tempfile::TempDir, Pm) {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 4, BEFORE).start();
    for n in 1..=3 {
        pm.wait_slot_ready(&format!("-web.{n}"), 1);
    }
    (folder, pm)
}

fn pids(pm: &Pm) -> Vec<String> {
    pm.ports[..3].iter().map(|port| ask(*port, "pid")).collect()
}
