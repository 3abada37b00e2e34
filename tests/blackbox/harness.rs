//! Starts a pm on a pool of its own, follows what it says, and leaves nothing behind.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lines::Lines;
use crate::processes::{self, Member};
use crate::terminal::Terminal;

/// The longest that any fact is waited for.
pub const DEADLINE: Duration = Duration::from_secs(20);

const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// Waits until there is something.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "it never came to this: {what}");
        thread::park_timeout(LOOK_AGAIN);
    }
}

/// Looks again and again for this long: the fact is that something does not happen.
pub fn for_as_long_as(time: Duration, mut check: impl FnMut()) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        check();
        thread::park_timeout(LOOK_AGAIN);
    }
    check();
}

/// The pm that is tested.
pub fn pm_binary() -> PathBuf {
    std::env::var_os("PM_TEST_BIN").map_or(env!("CARGO_BIN_EXE_pm").into(), |path| {
        std::path::absolute(PathBuf::from(path)).expect("a path")
    })
}

/// How much of something a test has: what the variable says, or else `usual`, or `proof` where `PM_PROOF` is set.
pub fn size(variable: &str, usual: u64, proof: u64) -> u64 {
    let otherwise = if std::env::var_os("PM_PROOF").is_some() { proof } else { usual };
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The fixture. `cargo test` has built it; where only some tests were asked for, it is built now.
pub fn worker_binary() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--example", "worker", "--profile", profile]);
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
        assert!(status.success(), "the fixture cannot be built");
        Path::new(env!("CARGO_BIN_EXE_pm")).with_file_name("examples").join("worker")
    };
    PATH.get_or_init(build).clone()
}

/// A command line of the fixture.
pub fn worker(orders: &str) -> Vec<OsString> {
    let orders = orders.split_whitespace().map(OsString::from);
    std::iter::once(worker_binary().into()).chain(orders).collect()
}

/// The same, for a shell.
pub fn worker_text(orders: &str) -> String {
    worker(orders).join(" ".as_ref()).into_string().expect("text")
}

/// A command line of a shell.
pub fn shell(script: &str) -> Vec<OsString> {
    ["/bin/sh", "-c", script].map(Into::into).to_vec()
}

/// A pool to be, and how its pm is started.
pub struct Pool {
    name: String,
    program: PathBuf,
    ports: Vec<Port>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    before: Option<String>,
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
    /// The file that says what to run, if it is not the command line.
    file: Option<PathBuf>,
    /// The file is not named: it is where pm looks for it.
    is_found: bool,
    user: Option<u32>,
    output: Output,
}

/// Where pm's stdout goes.
enum Output {
    Lines,
    File(File),
    /// The test has the reading end.
    Kept,
    Terminal(File, Lines),
}

/// A port that no other test uses.
struct Port {
    number: u16,
    /// The UDP port of the same number: a lock that other test processes see too.
    _lock: UdpSocket,
}

/// A pm that was started. Dropped, it is ended, and so is all that is left of its pool.
pub struct Pm {
    pub name: String,
    pub ports: Vec<u16>,
    file: Option<PathBuf>,
    /// What it says itself.
    pub says: Lines,
    /// What its workers say, through its stdout.
    pub prints: Lines,
    child: Child,
    has_ended: bool,
    _locks: Vec<Port>,
}

impl Pool {
    /// Workers of this command.
    pub fn of(command: Vec<OsString>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let options = vec!["--name".into(), name.clone().into()];
        Self {
            name,
            program: pm_binary(),
            ports: Vec::new(),
            options,
            command,
            before: None,
            environment: Vec::new(),
            folder: None,
            file: None,
            is_found: false,
            user: None,
            output: Output::Lines,
        }
    }

    /// What a file of this name says, in a folder of its own. In the text, `POOL` stands for the start of a pool's
    /// name, `PORT1` and so on for ports, and `WORKER` for the fixture.
    pub fn of_file(folder: &Path, file: &str, ports: usize, text: &str) -> Self {
        let mut pool = Self::of(Vec::new());
        pool.options.clear();
        pool.ports = Port::some(ports);
        pool.file = Some(folder.join(file));
        pool.write(text);
        pool
    }

    /// pm is to find the file, in the folder that it is started in.
    pub fn found_by_itself(mut self) -> Self {
        self.is_found = true;
        self
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file.as_ref().expect("a file"), self.filled_in(text)).expect("a file");
    }

    /// The text with the names, ports and programs that it is about.
    pub fn filled_in(&self, text: &str) -> String {
        let ports = self.ports.iter().map(|port| port.number).collect::<Vec<_>>();
        filled_in(text, &self.name, &ports)
    }

    /// One worker for each of so many ports.
    pub fn on_ports(mut self, count: usize) -> Self {
        self.ports = Port::some(count);
        let list: Vec<_> = self.ports.iter().map(|port| port.number.to_string()).collect();
        self.option("--ports", &list.join(","))
    }

    /// So many workers without ports.
    pub fn of_size(self, count: usize) -> Self {
        self.option("--workers", &count.to_string())
    }

    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.into(), value.into()]);
        self
    }

    /// Another copy of pm.
    pub fn program(mut self, program: &Path) -> Self {
        self.program = program.into();
        self
    }

    pub fn flag(mut self, name: &str) -> Self {
        self.options.push(name.into());
        self
    }

    /// What a shell does before it becomes pm.
    pub fn after(mut self, script: &str) -> Self {
        self.before = Some(script.into());
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub fn by_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    pub fn into_file(mut self, file: File) -> Self {
        self.output = Output::File(file);
        self
    }

    /// pm's stdout is a pipe that the test reads, or does not read: [`Pm::stdout`].
    pub fn into_pipe(mut self) -> Self {
        self.output = Output::Kept;
        self
    }

    /// pm leads the session of this terminal.
    pub fn in_terminal(mut self, terminal: &Terminal) -> Self {
        self.output = Output::Terminal(terminal.line(), terminal.lines());
        self
    }

    pub fn number_of_port(&self, n: usize) -> u16 {
        self.ports[n - 1].number
    }

    pub fn start(self) -> Pm {
        let mut argv: Vec<OsString> = vec![self.program.into(), "run".into()];
        argv.extend(self.options);
        if let Some(file) = self.file.as_ref().filter(|_| !self.is_found) {
            argv.extend(["-f".into(), file.into()]);
        }
        if !self.command.is_empty() {
            argv.push("--".into());
            argv.extend(self.command);
        }
        if let Some(before) = &self.before {
            let script = format!("{before}; exec \"$0\" \"$@\"");
            argv.splice(0..0, shell(&script));
        }
        if matches!(self.output, Output::Terminal(..)) {
            argv.splice(0..0, ["setsid".into(), "--ctty".into()]);
        }
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color").envs(self.environment);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let again = |line: &File| Stdio::from(line.try_clone().expect("a handle"));
        match &self.output {
            Output::Lines | Output::Kept => {
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
            }
            Output::File(file) => {
                command.stdin(Stdio::null()).stdout(again(file)).stderr(Stdio::piped())
            }
            Output::Terminal(line, _) => {
                command.stdin(again(line)).stdout(again(line)).stderr(again(line))
            }
        };
        have_no_signal_ignored();
        let mut child = command.spawn().expect("pm can be started");
        let (says, prints) = match self.output {
            Output::Lines => {
                (Lines::of(child.stderr.take().unwrap()), Lines::of(child.stdout.take().unwrap()))
            }
            Output::File(_) | Output::Kept => {
                (Lines::of(child.stderr.take().unwrap()), Lines::none())
            }
            Output::Terminal(_, lines) => (lines.clone(), lines),
        };
        let ports = self.ports.iter().map(|port| port.number).collect();
        let (name, file, _locks, has_ended) = (self.name, self.file, self.ports, false);
        Pm { name, ports, file, says, prints, child, has_ended, _locks }
    }
}

fn filled_in(text: &str, name: &str, ports: &[u16]) -> String {
    let mut text = text.replace("POOL", name);
    // From the last on: PORT1 is the start of PORT10.
    for (n, port) in ports.iter().enumerate().rev() {
        text = text.replace(&format!("PORT{}", n + 1), &port.to_string());
    }
    text.replace("WORKER", worker_binary().to_str().expect("text"))
}

/// Sees to it that pm starts with no signal ignored, as from a terminal: tests in the background (`&` in a script,
/// nohup(1)) have some ignored. A signal with a handler is back at its default after exec.
pub fn have_no_signal_ignored() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = processes::status(Pid::this(), "SigIgn");
        let ignored = u64::from_str_radix(&ignored, 16).expect("a mask");
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            if ignored & 1 << (signal as i32 - 1) != 0 {
                let unread = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal as i32, unread).expect("a handler");
            }
        }
    });
}

/// The pid that pm gives a worker that is ready.
fn pid_in(line: &str) -> Pid {
    let pid = line.split_once("(pid ").and_then(|(_, rest)| rest.split_once(','));
    Pid::from_raw(pid.expect("a pid").0.parse().expect("a number"))
}

impl Port {
    /// Below the range that the kernel takes from for outgoing connections, so that none of these is in the way.
    const RANGE: std::ops::Range<u16> = 10_000..32_000;

    fn some(count: usize) -> Vec<Self> {
        std::iter::repeat_with(|| fastrand::u16(Self::RANGE))
            .filter_map(Self::lock)
            .take(count)
            .collect()
    }

    fn lock(number: u16) -> Option<Self> {
        let _lock = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        is_free(number).then_some(Self { number, _lock })
    }
}

/// True if a server could have this port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Sends a worker a line of orders and returns its answer, or what it came to say of it.
pub fn ask(port: u16, orders: &str) -> String {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a worker that serves");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    writeln!(&stream, "{orders}").expect("a worker that listens");
    let mut answer = String::new();
    // A worker that was told to end says nothing.
    let _ = BufReader::new(stream).read_line(&mut answer);
    answer.trim_end().to_owned()
}

impl Pm {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// The pid of the reactor, the only child of the process that was started, which is the guard.
    pub fn reactor(&self) -> Pid {
        eventually("a reactor", || processes::children_of(self.pid()).first().copied())
    }

    /// The name of the nth slot, from 1.
    pub fn slot(&self, n: usize) -> String {
        format!("{}.{n}", self.name)
    }

    /// Waits until this generation of the nth slot is ready, and returns the pid that pm gives it.
    pub fn is_ready(&self, n: usize, generation: u64) -> Pid {
        let start = format!("{} is ready", self.slot(n));
        let line = self.says.wait_for_all(&[&start, &format!("generation {generation})")]);
        pid_in(&line)
    }

    /// Waits until the first generation of each slot is ready.
    pub fn are_ready(&self, slots: usize) -> Vec<Pid> {
        (1..=slots).map(|n| self.is_ready(n, 1)).collect()
    }

    /// The living processes of its pool.
    pub fn members(&self) -> Vec<Member> {
        processes::members_of(&self.name)
    }

    /// Waits for so many living processes in its pool.
    pub fn has_members(&self, count: usize) -> Vec<Member> {
        eventually(&format!("{count} processes in the pool"), || {
            let members = self.members();
            (members.len() == count).then_some(members)
        })
    }

    /// Gives its file another text, as in [`Pool::of_file`], in one step.
    pub fn rewrite(&self, text: &str) {
        let file = self.file.as_ref().expect("a file");
        let new = file.with_extension("new");
        std::fs::write(&new, filled_in(text, &self.name, &self.ports)).expect("a file");
        std::fs::rename(&new, file).expect("a file");
    }

    /// The same, and it is told to read it.
    pub fn reload(&self, text: &str) {
        self.rewrite(text);
        self.signal(Signal::SIGUSR1);
    }

    /// Waits until this generation of the slot `POOL{name}` is ready, and returns the pid that pm gives it.
    pub fn is_up(&self, name: &str, generation: u64) -> Pid {
        let start = format!("{}{name} is ready", self.name);
        let line = self.says.wait_for_all(&[&start, &format!("generation {generation})")]);
        pid_in(&line)
    }

    pub fn signal(&self, signal: Signal) {
        processes::send(signal, self.pid());
    }

    /// The reading end of its stdout, after [`Pool::into_pipe`].
    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("a pipe that nobody has taken")
    }

    pub fn has_ended(&mut self) -> bool {
        self.has_ended |= self.child.try_wait().expect("a child").is_some();
        self.has_ended
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        let status = eventually("pm ends", || self.child.try_wait().expect("a child"));
        self.has_ended = true;
        status
    }

    /// Waits for its end, with this status, with nobody left of its pool and its ports free.
    pub fn ends_with(&mut self, status: i32) {
        let ended = self.ends();
        let left = self.members();
        // What it said last is still on its way.
        self.says.all_to_the_end();
        self.prints.all_to_the_end();
        assert_eq!(ended.code(), Some(status), "{ended}");
        assert_eq!(left, [], "nobody is left");
        for port in &self.ports {
            assert!(is_free(*port), "{port} is free again");
        }
    }

    /// Waits for its end, which has been asked for.
    pub fn stop_now(mut self) {
        self.ends_with(0);
    }

    /// Ends it the usual way.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        self.ends_with(0);
    }
}

impl Drop for Pm {
    fn drop(&mut self) {
        if !self.has_ended {
            // The reactor first: a killed guard would leave it to stop in its own time, which may be a grace of an hour.
            for reactor in processes::children_of(self.pid()) {
                let _ = kill(reactor, Signal::SIGKILL);
            }
            // Not yet waited for, so the number is still its own.
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
