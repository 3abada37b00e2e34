//! What pm tells the service manager that has started it (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::pool::Pool;

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    /// Waits until it was told this line, and forgets what came before.
    #[track_caller]
    fn wait_for(&mut self, line: &str) {
        loop {
            if let Some(place) = self.heard.iter().position(|heard| heard == line) {
                self.heard.drain(..=place);
                return;
            }
            let mut bytes = [0; 1024];
            let length = self.socket.recv(&mut bytes).unwrap_or_else(|error| {
                panic!("{line} was not told: {error}, but {:?}", self.heard)
            });
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            self.heard.extend(text.lines().map(str::to_owned));
        }
    }
}

#[test]
fn a_service_manager_is_told_when_all_is_ready_and_when_pm_reloads_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut manager = Manager { socket, heard: Vec::new() };
    let text = "[pool.POOL]\ncommand = ['WORKER', 'env', 'NOTIFY_SOCKET', 'listen', '{port}', 'stay']\n\
                ports = [PORT1, PORT2]\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 2, text);
    let pool = pool.with("NOTIFY_SOCKET", path.to_str().unwrap()).with("WATCHDOG_USEC", "200000");
    let mut pm = pool.start();
    manager.wait_for("READY=1");
    manager.wait_for("STATUS=2 of 2 workers are ready");
    pm.prints.wait_for("NOTIFY_SOCKET is not set");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    pm.signal(Signal::SIGUSR1);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    pm.signal(Signal::SIGTERM);
    manager.wait_for("STOPPING=1");
    pm.wait_exit(0);
}
