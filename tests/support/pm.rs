//! A running pm: waits for what it reports, asks its workers, and leaves no process behind.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lines::Lines;
use super::pool::filled_in;
use super::ports::{Port, is_free};
use super::processes::{self, Member};
use super::waiting::{DEADLINE, eventually};

/// A running pm. Drop ends it and everything that is left of its pool.
pub struct Pm {
    pub name: String,
    pub ports: Vec<u16>,
    pub(super) file: Option<PathBuf>,
    /// The messages of pm, from its stderr.
    pub says: Lines,
    /// The output of the workers, from its stdout.
    pub prints: Lines,
    pub(super) child: Child,
    pub(super) has_ended: bool,
    pub(super) _locks: Vec<Port>,
}

impl Pm {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// The pid of the reactor: the child of the guard, which is the process that was started. In a sealed run the guard
    /// has another child.
    pub fn reactor(&self) -> Pid {
        eventually("a reactor", || processes::reactor_of(self.pid()))
    }

    /// The name of the n-th slot, from 1.
    pub fn slot(&self, n: usize) -> String {
        format!("{}.{n}", self.name)
    }

    /// Waits until this generation of the n-th slot is ready. Returns the pid in that message.
    pub fn wait_ready(&self, n: usize, generation: u64) -> Pid {
        let start = format!("{} is ready", self.slot(n));
        let line = self.says.wait_for_all(&[&start, &format!("generation {generation})")]);
        pid_in(&line)
    }

    /// Waits until the first generation of each slot is ready.
    pub fn wait_all_ready(&self, slots: usize) -> Vec<Pid> {
        (1..=slots).map(|n| self.wait_ready(n, 1)).collect()
    }

    /// Waits until the n-th of its processes has introduced itself. Returns its pid.
    pub fn wait_introduced(&self, n: usize) -> Pid {
        let lines = self.prints.wait_for_many(n, "| pid ");
        let (_, pid) = lines[n - 1].split_once("| pid ").expect("a pid");
        Pid::from_raw(pid.parse().expect("a number"))
    }

    /// The living processes of its pool.
    pub fn members(&self) -> Vec<Member> {
        processes::members_of(&self.name)
    }

    /// Waits until its pool has this many living processes.
    pub fn wait_members(&self, count: usize) -> Vec<Member> {
        eventually(&format!("{count} processes in the pool"), || {
            let members = self.members();
            (members.len() == count).then_some(members)
        })
    }

    /// Replaces its file atomically. The text is as in [`super::pool::Pool::of_file`].
    pub fn rewrite(&self, text: &str) {
        let file = self.file.as_ref().expect("a file");
        let new = file.with_extension("new");
        std::fs::write(&new, filled_in(text, &self.name, &self.ports)).expect("a file");
        std::fs::rename(&new, file).expect("a file");
    }

    /// Replaces its file and sends SIGUSR1.
    pub fn reload(&self, text: &str) {
        self.rewrite(text);
        self.signal(Signal::SIGUSR1);
    }

    /// Waits until this generation of the slot `POOL{name}` is ready. Returns the pid in that message.
    pub fn wait_slot_ready(&self, name: &str, generation: u64) -> Pid {
        let start = format!("{}{name} is ready", self.name);
        let line = self.says.wait_for_all(&[&start, &format!("generation {generation})")]);
        pid_in(&line)
    }

    /// Sets the soft limit on the open files of the reactor while it runs, by prlimit(1).
    pub fn limit_files(&self, soft: &str) {
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.args([format!("--nofile={soft}:"), format!("--pid={}", self.reactor())]);
        assert!(prlimit.status().unwrap().success());
    }

    pub fn signal(&self, signal: Signal) {
        processes::send(signal, self.pid());
    }

    /// The reading end of its stdout, after [`super::pool::Pool::into_pipe`].
    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("a pipe, taken once")
    }

    pub fn has_ended(&mut self) -> bool {
        self.has_ended |= self.child.try_wait().expect("a child").is_some();
        self.has_ended
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        let status = eventually("pm ends", || self.child.try_wait().expect("a child"));
        self.has_ended = true;
        status
    }

    /// Waits for its end. It must have this exit status, no process of its pool may be left, and its ports must be
    /// free.
    pub fn wait_exit(&mut self, status: i32) {
        let ended = self.wait_end();
        let left = self.members();
        // The last lines may not be read yet.
        self.says.all_to_the_end();
        self.prints.all_to_the_end();
        assert_eq!(ended.code(), Some(status), "{ended}");
        assert_eq!(left, [], "no process is left");
        for port in &self.ports {
            assert!(is_free(*port), "{port} is free again");
        }
    }

    /// Waits until it has stopped with status 0. The test has sent the signal.
    pub fn wait_stopped(mut self) {
        self.wait_exit(0);
    }

    /// Stops it with SIGTERM.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        self.wait_exit(0);
    }
}

impl Drop for Pm {
    fn drop(&mut self) {
        if !self.has_ended {
            // The reactor first: if the guard were killed first, the reactor would stop within its grace, up to an
            // hour.
            for reactor in processes::children_of(self.pid()) {
                let _ = kill(reactor, Signal::SIGKILL);
            }
            // It is not reaped yet, so its pid cannot belong to another process.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        processes::end_all_of(&self.name);
        if thread::panicking() {
            let last = |lines: Vec<String>| lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("pm said:\n{}", last(self.says.all()));
            eprintln!("its workers said:\n{}", last(self.prints.all()));
        }
    }
}

/// The pid in a message that a worker is ready.
fn pid_in(line: &str) -> Pid {
    let pid = line.split_once("(pid ").and_then(|(_, rest)| rest.split_once(','));
    Pid::from_raw(pid.expect("a pid").0.parse().expect("a number"))
}

/// Sends a worker a line of orders and returns its answer, as far as it came.
pub fn ask(port: u16, orders: &str) -> String {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a worker that serves");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    writeln!(&stream, "{orders}").expect("a worker that listens");
    let mut answer = String::new();
    // A worker that was ordered to exit does not answer.
    let _ = BufReader::new(stream).read_line(&mut answer);
    answer.trim_end().to_owned()
}
