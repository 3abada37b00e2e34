//! pm on the lab's three servers, the proxy before them, and visitors.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::harness::{eventually, is_free, pm_binary};
use crate::lines::Lines;
use crate::processes;
use crate::terminal::Terminal;

pub const PORTS: [u16; 3] = [8080, 8081, 8082];
const PROXY_PORT: u16 = 1337;

/// There is one set of ports.
static PORTS_LOCK: Mutex<()> = Mutex::new(());

/// True under `make proof`: full numbers, claims about time and memory asserted.
pub fn is_proof() -> bool {
    std::env::var_os("PM_PROOF").is_some()
}

/// A number for `make test`, and one for `make proof`.
pub fn sized(test: usize, proof: usize) -> usize {
    if is_proof() { proof } else { test }
}

/// Says what was measured; cargo shows it with `--nocapture`.
pub fn proof(what: &str, figure: &str) {
    println!("proof: {what:<26} {}", figure.trim().replace('\n', "; "));
}

/// A running pm. Dropped, it is ended.
pub struct Lab {
    pm: Child,
    pub says: Lines,
    pub prints: Lines,
    _ports: MutexGuard<'static, ()>,
}

/// A running proxy. Dropped, it is ended.
pub struct Proxy(Child);

impl Lab {
    /// As `make run` starts it.
    pub fn with_the_monkey() -> Self {
        Self::start(&[], project(), None)
    }

    /// The same servers, with odds of 0.
    pub fn without_the_monkey() -> Self {
        let server = "deno run --allow-read --allow-net web.ts {port} 0".split(' ');
        let options = ["run", "--name", "web", "--ports", "8080-8082", "--"];
        let arguments: Vec<_> = options.into_iter().chain(server).collect();
        Self::start(&arguments, project(), None)
    }

    /// What this file says.
    pub fn on_file(file: &Path) -> Self {
        let file = file.to_str().expect("text");
        Self::start(&["run", "-f", file], project(), None)
    }

    /// The lab of another folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::start(&[], folder, None)
    }

    /// The lab in a terminal of its own.
    pub fn in_terminal(terminal: &Terminal) -> Self {
        Self::start(&[], project(), Some(terminal))
    }

    fn start(arguments: &[&str], folder: &Path, terminal: Option<&Terminal>) -> Self {
        // A test that failed gave the ports back when it ended its pm.
        let ports = PORTS_LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for port in PORTS.into_iter().chain([PROXY_PORT]) {
            assert!(is_free(port), "somebody else has port {port}: end it, then test again");
        }
        let mut command = match terminal {
            Some(_) => Command::new("setsid"),
            None => Command::new(pm_binary()),
        };
        if terminal.is_some() {
            command.arg("--ctty").arg(pm_binary());
        }
        command.args(arguments).current_dir(folder).env("PATH", path());
        match terminal {
            Some(terminal) => {
                let [stdin, stdout, stderr] = [(); 3].map(|()| terminal.line());
                command.stdin(stdin).stdout(stdout).stderr(stderr)
            }
            None => command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        crate::harness::have_no_signal_ignored();
        let mut pm = command.spawn().expect("pm can be started");
        let (says, prints) = match terminal {
            Some(terminal) => (terminal.lines(), terminal.lines()),
            None => (Lines::of(pm.stderr.take().unwrap()), Lines::of(pm.stdout.take().unwrap())),
        };
        Self { pm, says, prints, _ports: ports }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.pm.id().try_into().expect("a pid"))
    }

    /// The pid of the reactor, the only child of the process that was started, which is the guard.
    pub fn reactor(&self) -> Pid {
        eventually("a reactor", || processes::children_of(self.pid()).first().copied())
    }

    /// Waits until all three serve, and returns their pids.
    pub fn are_ready(&self) -> Vec<Pid> {
        eventually("three workers serve", || {
            let all: Option<Vec<_>> = (0..PORTS.len()).map(|n| self.last_ready(n)).collect();
            all.filter(|pids| self.workers() == *pids)
        })
    }

    /// Waits until the slot has another worker than this one, and returns its pid.
    pub fn is_ready_again(&self, n: usize, before: Pid) -> Pid {
        eventually("another worker serves", || {
            self.last_ready(n).filter(|pid| *pid != before && processes::is_alive(*pid))
        })
    }

    /// The pids of the workers that live now, as the kernel has them, in the order of their ports.
    pub fn workers(&self) -> Vec<Pid> {
        let children = processes::children_of(self.reactor());
        let on_port = |port: &u16| {
            let wanted = format!("PORT={port}");
            let has_port = |pid: &&Pid| {
                let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|text| text == wanted.as_bytes())
            };
            children.iter().find(has_port).copied()
        };
        PORTS.iter().filter_map(on_port).collect()
    }

    /// The pid that pm gave the last ready worker of this slot.
    fn last_ready(&self, n: usize) -> Option<Pid> {
        let lines = self.says.with(&format!("web.{} is ready", n + 1));
        let (_, pid) = lines.last()?.split_once("(pid ")?;
        Some(Pid::from_raw(pid.split_once(',')?.0.parse().expect("a number")))
    }

    /// The proxy, once it serves.
    pub fn proxy(&self) -> Proxy {
        let mut command = deno(&["--allow-net", "proxy.ts"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("deno");
        eventually("the proxy serves", || (!is_free(PROXY_PORT)).then_some(()));
        Proxy(child)
    }

    /// Visitors through the proxy, each answer compared with its file. Returns what they say, if none failed.
    pub fn load(&self, arguments: &[&str]) -> String {
        let mut command = deno(&["--allow-net", "--allow-read", "scripts/load.ts"]);
        let output = command.args(arguments).output().expect("deno");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// What pm itself has used of a processor.
    pub fn processor_time(&self) -> Duration {
        processes::processor_time(self.pid()) + processes::processor_time(self.reactor())
    }

    /// Puts the real script and page into a folder.
    pub fn repair(&self, folder: &Path) {
        std::os::unix::fs::symlink(project().join("www"), folder.join("www")).expect("www");
        std::fs::copy(project().join("web.ts"), folder.join("web.ts")).expect("web.ts");
    }

    pub fn ends(&mut self) -> ExitStatus {
        eventually("pm ends", || self.pm.try_wait().expect("a child"))
    }

    pub fn stop(mut self) {
        processes::send(Signal::SIGTERM, self.pid());
        assert_eq!(self.ends().code(), Some(0));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !matches!(self.pm.try_wait(), Ok(None)) {
            return;
        }
        // A failed test: its workers go with pm, in good order.
        processes::send(Signal::SIGTERM, self.pid());
        let _ = self.ends();
        let last: Vec<_> = self.says.all().into_iter().rev().take(30).collect();
        eprintln!("pm said last, latest first:\n{}", last.join("\n"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn deno(arguments: &[&str]) -> Command {
    let mut command = Command::new("deno");
    command.arg("run").args(arguments).current_dir(project()).env("PATH", path());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// PATH with the project's Deno in front.
fn path() -> std::ffi::OsString {
    let own = [PathBuf::from(project()).join(".deno/bin")];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&inherited)));
    path.expect("no folder has a colon in its name")
}
