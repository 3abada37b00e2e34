//! Runs an example as its reader does: a copy of its folder, on free ports, with a pm on it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::all_processes;
use tempfile::TempDir;

use crate::support::lines::Lines;
use crate::support::ports::{Port, is_free};
use crate::support::processes;
use crate::support::programs::{pm_binary, project, reset_ignored_signals};
use crate::support::waiting::{DEADLINE, eventually};

/// The file of an example that pm runs has one of these names.
pub const FILES: [&str; 2] = ["pm.toml", "Procfile"];

/// Every process of an example has this variable, in whatever group, session and parent it is.
const MARK: &str = "PM_EXAMPLE_TEST";

/// A copy of an example, not started yet.
pub struct Example {
    folder: TempDir,
    file: PathBuf,
    text: String,
    ports: Vec<Port>,
}

/// A running example. Drop ends it.
pub struct Running {
    pub folder: TempDir,
    pub says: Lines,
    pub prints: Lines,
    mark: String,
    pm: Child,
    ports: Vec<Port>,
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// The folder of the example with this name.
pub fn folder_of(name: &str) -> PathBuf {
    project().join("examples").join(name)
}

impl Example {
    /// Copies the files of the example. Folders are left out: they are made by its users.
    pub fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in folder_of(name).read_dir().expect("an example") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                std::fs::copy(&path, folder.path().join(name)).expect("a copy");
            }
        }
        let file =
            FILES.map(|file| folder.path().join(file)).into_iter().find(|file| file.exists());
        let file = file.expect("a file that pm runs");
        let text = std::fs::read_to_string(&file).expect("text");
        Self { folder, file, text, ports: Vec::new() }
    }

    /// Replaces a text in the file that pm runs. The text must be there.
    pub fn replace(&mut self, old: &str, new: &str) -> &mut Self {
        assert!(self.text.contains(old), "there is no {old} in {}", self.text);
        self.text = self.text.replace(old, new);
        self
    }

    /// Replaces a text in another file of the example.
    pub fn replace_in(&self, name: &str, old: &str, new: &str) {
        let path = self.folder.path().join(name);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.contains(old), "there is no {old} in {text}");
        std::fs::write(&path, text.replace(old, new)).expect("the file");
    }

    /// Replaces these ports, written as `8080` or `8080-8082`, by free ones. Returns them.
    pub fn move_ports(&mut self, old: &str) -> Vec<u16> {
        let (first, last) = old.split_once('-').unwrap_or((old, old));
        let [first, last] = [first, last].map(|port| port.parse::<u16>().expect("a port"));
        let new = self.take_ports(last - first + 1);
        let text = match new.as_slice() {
            [one] => one.to_string(),
            several => format!("{}-{}", several[0], several[several.len() - 1]),
        };
        self.replace(old, &text);
        new
    }

    /// This many consecutive free ports.
    pub fn take_ports(&mut self, count: u16) -> Vec<u16> {
        let row = Port::take_consecutive(count);
        let numbers = row.iter().map(|port| port.number).collect();
        self.ports.extend(row);
        numbers
    }

    /// Makes a symbolic link in the copy.
    pub fn link(&self, name: &str, target: &Path) {
        symlink(target, self.folder.path().join(name)).expect("a link");
    }

    pub fn start(self, options: &[&str]) -> Running {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let Self { folder, file, text, ports } = self;
        std::fs::write(&file, text).expect("its file");
        let mut command = Command::new(pm_binary());
        command.arg("run").arg("-f").arg(file).args(options).env(MARK, &mark);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        reset_ignored_signals();
        let mut pm = command.spawn().expect("pm can be started");
        let says = Lines::of(pm.stderr.take().expect("a pipe"));
        let prints = Lines::of(pm.stdout.take().expect("a pipe"));
        Running { folder, says, prints, mark, pm, ports }
    }
}

impl Running {
    /// Waits until this generation of the slot is ready. Returns the pid in that message.
    pub fn wait_slot_ready(&self, slot: &str, generation: u64) -> Pid {
        let wanted = [&format!("| {slot} is ready"), &format!("generation {generation})")];
        let line = self.says.wait_for_all(&wanted.map(String::as_str));
        let pid = line.split_once("(pid ").and_then(|(_, rest)| rest.split_once(','));
        Pid::from_raw(pid.expect("a pid").0.parse().expect("a number"))
    }

    /// Waits until the first worker of each slot is ready.
    pub fn wait_slots_ready(&self, slots: &[&str]) -> Vec<Pid> {
        slots.iter().map(|slot| self.wait_slot_ready(slot, 1)).collect()
    }

    /// Kills the first worker of the slot and waits for the second. The workers of the other slots must live on.
    pub fn kill_and_wait_ready(&self, slot: &str, others: &[&str]) {
        let others = self.wait_slots_ready(others);
        let first = self.wait_slot_ready(slot, 1);
        processes::send(Signal::SIGKILL, first);
        let second = self.wait_slot_ready(slot, 2);
        assert!(!processes::is_alive(first) && processes::is_alive(second));
        assert!(others.into_iter().all(processes::is_alive), "the other workers are left alone");
    }

    pub fn signal(&self, signal: Signal) {
        processes::send(signal, self.pid());
    }

    /// Stops it with SIGTERM; see [`Self::wait_stopped`].
    pub fn stop(self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        self.wait_stopped()
    }

    /// Waits until it has stopped: with status 0, no process left, its ports free, and no worker killed at the end of
    /// its grace. Returns the messages of pm.
    pub fn wait_stopped(mut self) -> Vec<String> {
        let status = self.wait_end();
        assert_eq!(status.code(), Some(0), "{status}");
        assert_eq!(marked(&self.mark), [], "no process is left");
        for port in &self.ports {
            assert!(is_free(port.number), "{} is free again", port.number);
        }
        let says = self.says.all_to_the_end();
        assert!(!says.iter().any(|line| line.contains("did not stop within")), "{says:?}");
        says
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.pm.id().try_into().expect("a pid"))
    }

    fn wait_end(&mut self) -> ExitStatus {
        eventually("pm ends", || self.pm.try_wait().expect("a child"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.pm.try_wait(), Ok(None)) {
            return;
        }
        // The test has failed: everything is killed at once.
        let _ = kill(self.pid(), Signal::SIGQUIT);
        let _ = self.wait_end();
        for pid in marked(&self.mark) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        for (source, lines) in [("pm", &self.says), ("its workers", &self.prints)] {
            eprintln!("{source} said:\n{}", lines.all().join("\n"));
        }
    }
}

/// The living processes that an example has started.
fn marked(mark: &str) -> Vec<Pid> {
    let processes = all_processes().expect("/proc").flatten();
    let has_mark = |process: &procfs::process::Process| {
        let environment = process.environ().unwrap_or_default();
        environment.get(MARK.as_ref() as &std::ffi::OsStr).is_some_and(|value| value == mark)
    };
    let pids = processes.filter(has_mark).map(|process| Pid::from_raw(process.pid));
    pids.filter(|pid| processes::is_alive(*pid)).collect()
}

/// What the server on this port answers to a GET.
///
/// In HTTP/1.0 the end of the connection is the end of the answer (RFC 1945).
pub fn get(port: u16, path: &str) -> Answer {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a server");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    write!(&stream, "GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n").expect("a request");
    let mut bytes = Vec::new();
    (&stream).read_to_end(&mut bytes).expect("an answer to its end");
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("no status: {head}")), body: body.into() }
}

/// A good answer with this body.
pub fn good(body: &str) -> Answer {
    Answer { status: 200, body: body.into() }
}
