//! A pool that a test sets up: its command or file, its ports and options, and how pm is started on it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::lines::Lines;
use super::pm::Pm;
use super::ports::Port;
use super::programs::{pm_binary, reset_ignored_signals, shell, worker_binary};
use super::terminal::Terminal;

/// A pool that is not started yet, and how pm is to be started on it.
pub struct Pool {
    name: String,
    program: PathBuf,
    ports: Vec<Port>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    before: Option<String>,
    environment: Vec<(String, Option<String>)>,
    folder: Option<PathBuf>,
    /// The pm.toml or Procfile, if the pool is not on the command line.
    file: Option<PathBuf>,
    /// pm looks for the file; it is not named on the command line.
    is_found: bool,
    has_own_group: bool,
    user: Option<u32>,
    output: Output,
}

/// Where pm's stdout goes.
enum Output {
    Lines,
    File(File),
    /// Into a pipe whose reading end the test has.
    Kept,
    Terminal(File, Lines),
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
            has_own_group: false,
            user: None,
            output: Output::Lines,
        }
    }

    /// The pools of a file with this name and text. In the text, `POOL` stands for a name that no other test has,
    /// `PORT1`, `PORT2` ... for ports, and `WORKER` for the path of the fixture worker.
    pub fn of_file(folder: &Path, file: &str, ports: usize, text: &str) -> Self {
        let mut pool = Self::of(Vec::new());
        pool.options.clear();
        pool.ports = Port::take(ports);
        pool.file = Some(folder.join(file));
        pool.write(text);
        pool
    }

    /// Lets pm find the file in the folder in which it is started.
    pub fn found_by_itself(mut self) -> Self {
        self.is_found = true;
        self
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file.as_ref().expect("a file"), self.filled_in(text)).expect("a file");
    }

    /// The text with its placeholders filled in.
    pub fn filled_in(&self, text: &str) -> String {
        let ports = self.ports.iter().map(|port| port.number).collect::<Vec<_>>();
        filled_in(text, &self.name, &ports)
    }

    /// One worker on each of `count` ports.
    pub fn on_ports(mut self, count: usize) -> Self {
        self.ports = Port::take(count);
        let list: Vec<_> = self.ports.iter().map(|port| port.number.to_string()).collect();
        self.option("--ports", &list.join(","))
    }

    /// `count` workers without ports.
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

    /// A shell runs this script, and then becomes pm by exec.
    pub fn after(mut self, script: &str) -> Self {
        self.before = Some(script.into());
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// pm does not have this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.push((name.into(), None));
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

    /// The stdout of pm is a pipe. The test reads it or not: [`Pm::stdout`].
    pub fn into_pipe(mut self) -> Self {
        self.output = Output::Kept;
        self
    }

    /// pm is the leader of a session with this terminal.
    pub fn in_terminal(mut self, terminal: &Terminal) -> Self {
        self.output = Output::Terminal(terminal.line(), terminal.lines());
        self
    }

    /// pm leads a process group, as a job of a shell does: SIGTSTP stops such a process, and not one that has no parent
    /// in its session but in another group (setpgid(2)).
    pub fn in_own_group(mut self) -> Self {
        self.has_own_group = true;
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
        command.env("TERM", "xterm-256color").env("PM_SOCKET", "none");
        for (name, value) in self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
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
        if self.has_own_group {
            command.process_group(0);
        }
        reset_ignored_signals();
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
/// The text with its placeholders filled in; see [`Pool::of_file`].
pub fn filled_in(text: &str, name: &str, ports: &[u16]) -> String {
    let mut text = text.replace("POOL", name);
    // From the last to the first, since PORT10 begins with PORT1.
    for (n, port) in ports.iter().enumerate().rev() {
        text = text.replace(&format!("PORT{}", n + 1), &port.to_string());
    }
    text.replace("WORKER", worker_binary().to_str().expect("text"))
}
