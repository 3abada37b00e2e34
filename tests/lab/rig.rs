//! A pm that keeps the lab's three servers, the proxy in front of them, and visitors.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::support::lines::Lines;
use crate::support::ports::is_free;
use crate::support::processes;
use crate::support::programs::{pm_binary, project, reset_ignored_signals};
use crate::support::run_mode::is_proof;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

pub const PORTS: [u16; 3] = [8080, 8081, 8082];
const PROXY_PORT: u16 = 1337;

/// One test at a time has the ports.
static PORTS_LOCK: Mutex<()> = Mutex::new(());

/// A number for `make test`, or one for `make proof`.
pub fn sized(test: usize, proof: usize) -> usize {
    if is_proof() { proof } else { test }
}

/// A running pm. Drop ends it.
pub struct Lab {
    pm: Child,
    pub says: Lines,
    pub prints: Lines,
    _ports: MutexGuard<'static, ()>,
}

/// A running proxy. Drop ends it.
pub struct Proxy(Child);

impl Lab {
    /// As `make run` starts it.
    pub fn with_the_monkey() -> Self {
        Self::start(&[], project(), None)
    }

    /// The same servers, with the odds of a crash at 0.
    pub fn without_the_monkey() -> Self {
        let server = "deno run --allow-read --allow-net web.ts {port} 0".split(' ');
        let options = ["run", "--name", "web", "--ports", "8080-8082", "--"];
        let arguments: Vec<_> = options.into_iter().chain(server).collect();
        Self::start(&arguments, project(), None)
    }

    /// The pools of this file.
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
        let ports = take_ports();
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
        reset_ignored_signals();
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

    /// The pid of the reactor: the only child of the guard, which is the process that was started.
    pub fn reactor(&self) -> Pid {
        eventually("a reactor", || processes::children_of(self.pid()).first().copied())
    }

    /// Waits until all three are ready, and returns their pids.
    pub fn wait_all_ready(&self) -> Vec<Pid> {
        eventually("three workers are ready", || {
            let all: Option<Vec<_>> = (0..PORTS.len()).map(|n| self.last_ready(n)).collect();
            all.filter(|pids| self.workers() == *pids)
        })
    }

    /// Waits until the slot has another ready worker, and returns its pid.
    pub fn wait_ready_again(&self, n: usize, before: Pid) -> Pid {
        eventually("another worker is ready", || {
            self.last_ready(n).filter(|pid| *pid != before && processes::is_alive(*pid))
        })
    }

    /// The pids of the living workers, from /proc, in the order of their ports.
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

    /// The pid in the last message that this slot is ready.
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

    /// Sends requests through the proxy and compares each answer with its file. Fails if one request fails. Returns the
    /// summary.
    pub fn load(&self, arguments: &[&str]) -> String {
        let mut command = deno(&["--allow-net", "--allow-read", "scripts/load.ts"]);
        let output = command.args(arguments).output().expect("deno");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// The CPU time that guard and reactor have used.
    pub fn processor_time(&self) -> Duration {
        processes::processor_time(self.pid()) + processes::processor_time(self.reactor())
    }

    /// Puts the real script and its pages into a folder.
    pub fn repair(&self, folder: &Path) {
        std::os::unix::fs::symlink(project().join("www"), folder.join("www")).expect("www");
        std::fs::copy(project().join("web.ts"), folder.join("web.ts")).expect("web.ts");
    }

    pub fn wait_end(&mut self) -> ExitStatus {
        eventually("pm ends", || self.pm.try_wait().expect("a child"))
    }

    pub fn stop(mut self) {
        processes::send(Signal::SIGTERM, self.pid());
        assert_eq!(self.wait_end().code(), Some(0));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !matches!(self.pm.try_wait(), Ok(None)) {
            return;
        }
        // The test has failed. pm stops its workers.
        processes::send(Signal::SIGTERM, self.pid());
        let _ = self.wait_end();
        let last: Vec<_> = self.says.all().into_iter().rev().take(30).collect();
        eprintln!("the last messages of pm, latest first:\n{}", last.join("\n"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `make demo-held` runs, with so many requests to each server.
pub fn held_demo(requests: usize) -> Output {
    let _ports = take_ports();
    let mut command = Command::new(project().join("scripts/demo_held"));
    command.arg(requests.to_string()).env("PM", pm_binary());
    without_proxy(&mut command).output().expect("bash")
}

fn take_ports() -> MutexGuard<'static, ()> {
    // A poisoned lock is fine: the test that failed has ended its pm, so its ports are free.
    let ports = PORTS_LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for port in PORTS.into_iter().chain([PROXY_PORT]) {
        assert!(is_free(port), "port {port} is in use by another process: end it, then test again");
    }
    ports
}

fn deno(arguments: &[&str]) -> Command {
    let mut command = Command::new("deno");
    command.arg("run").args(arguments);
    without_proxy(&mut command);
    command
}

/// In the folder of the project, with its Deno, which asks the servers themselves.
fn without_proxy(command: &mut Command) -> &mut Command {
    command.current_dir(project()).env("PATH", path());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null())
}

/// PATH with the project's Deno in front.
fn path() -> std::ffi::OsString {
    let own = [PathBuf::from(project()).join(".deno/bin")];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&inherited)));
    path.expect("no folder has a colon in its name")
}
