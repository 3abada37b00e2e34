//! A pm with one slot, in which one of the servers runs.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use pm::client::{Exchange, Request};
use pm::wire::{Phase, SlotStatus, SparePhase, Status};
use procfs::process::{ProcState, Process, all_processes};
use tempfile::TempDir;

use crate::clients::wait_answer;
use crate::servers::Server;
use crate::support::programs::{pm, pm_on};
use crate::support::{Anything, PATIENCE, pass};

/// How the port is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Plain,
    Held,
    Spare,
}

pub struct Running {
    child: Child,
    folder: TempDir,
    mode: Mode,
    pub address: SocketAddr,
}

/// How often it is looked whether a killed process is gone.
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

/// How often pm is asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(4);

impl Mode {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Held, Self::Spare];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Held => "held",
            Self::Spare => "held, with a spare",
        }
    }

    fn keys(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Held => "hold_port = true\n",
            Self::Spare => "hold_port = true\nspare = true\n",
        }
    }
}

impl Running {
    pub fn start(server: &Server, mode: Mode) -> Anything<Self> {
        Self::start_with(server, mode, |argv| argv)
    }

    /// As `change` makes its command.
    pub fn start_with(
        server: &Server,
        mode: Mode,
        change: impl FnOnce(Vec<String>) -> Vec<String>,
    ) -> Anything<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let argv = change(server.command(folder.path(), port)?);
        let text = format!(
            "[pool.web]\ncommand = {argv:?}\nports = [{port}]\ncwd = {:?}\n{}",
            folder.path(),
            mode.keys()
        );
        let file = folder.path().join("pm.toml");
        std::fs::write(&file, text)?;
        let said = File::create(folder.path().join("said"))?;
        let mut command = pm_on(&pm(), &file);
        command.env("PM_SOCKET", folder.path().join("socket")).env("DENO_NO_UPDATE_CHECK", "1");
        // Deno would serve on it.
        command.env_remove("DENO_SERVE_ADDRESS");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn()?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Ok(Self { child, folder, mode, address })
    }

    /// Waits until the worker is ready, and its spare waits. Returns the pid of the worker.
    pub fn wait_settled(&self) -> Anything<Pid> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(pid) = self.slot().ok().and_then(|slot| self.settled(&slot)) {
                return Ok(Pid::from_raw(pid));
            }
            if Instant::now() > until {
                return Err(
                    format!("{} is not settled; pm: {}", self.mode.name(), self.said()).into()
                );
            }
            pass(BETWEEN_QUESTIONS);
        }
    }

    fn settled(&self, slot: &SlotStatus) -> Option<i32> {
        let has_spare = slot.spare.as_ref().is_some_and(|it| it.phase == SparePhase::Waiting);
        let is_settled = slot.phase == Phase::Ready
            && slot.retiring.is_none()
            && (has_spare || self.mode != Mode::Spare);
        slot.worker.as_ref().filter(|_| is_settled)?.pid
    }

    fn slot(&self) -> Anything<SlotStatus> {
        let request = Request::get("/v1/status");
        let answer = Exchange::begin(&self.folder.path().join("socket"), &request)?.answer()?;
        let status: Status = answer.read()?.map_err(|problem| format!("{problem:?}"))?;
        Ok(status.slots.into_iter().next().ok_or("no slot")?)
    }

    /// Kills the processes of the worker. Returns the time from then to the first answer to a connection that was
    /// opened when they were gone, in milliseconds.
    pub fn kill(&self, worker: Pid) -> Anything<f64> {
        let group = group_of(worker)?;
        let began = Instant::now();
        killpg(worker, Signal::SIGKILL)?;
        while group.iter().any(|pid| is_alive(*pid)) {
            if began.elapsed() > PATIENCE {
                return Err("a killed worker is still there".into());
            }
            pass(BETWEEN_LOOKS);
        }
        wait_answer(self.address)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    /// The last that pm and the worker have said.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" / ")
    }

    fn end(&mut self) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            let _ = crate::support::wait_until("pm ends", || Ok(self.child.try_wait()?.is_some()));
        }
        // Does nothing if it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Below the range from which the kernel takes the ports of clients, which would take a port that is closed for a
/// while.
fn free_port() -> Anything<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(100);
    Ok(ports.find(is_free).ok_or("no port is free")?)
}

/// A worker leads a process group.
fn group_of(worker: Pid) -> Anything<Vec<i32>> {
    let group = worker.as_raw();
    let stats = all_processes()?.flatten().flat_map(|process| process.stat());
    Ok(stats.filter(|stat| stat.pgrp == group).map(|stat| stat.pid).collect())
}

fn is_alive(pid: i32) -> bool {
    let state = Process::new(pid).and_then(|process| process.stat()?.state());
    state.is_ok_and(|state| !matches!(state, ProcState::Zombie | ProcState::Dead))
}
