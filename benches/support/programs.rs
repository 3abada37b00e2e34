//! pm, the floors and the worker: where they are, and how each is told what to keep alive.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Anything;

/// The programs of a run, compiled.
pub struct Programs {
    vfork: PathBuf,
    signalfd: PathBuf,
    pub worker: PathBuf,
}

/// What keeps workers alive, and takes part in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contender {
    /// The floors: see `benches/floors`.
    VforkLoop,
    SignalfdLoop,
    Pm {
        name: &'static str,
        program: PathBuf,
    },
}

/// What each worker does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Nothing,
    /// It listens on this port. There is one worker.
    Listen(u16),
    /// It ends with status 1 at once.
    Fail,
}

impl Contender {
    /// The floors, pm, and the older pm of `PM_BESIDE`.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::VforkLoop, Self::SignalfdLoop];
        all.extend(Self::pms());
        all
    }

    pub fn pms() -> Vec<Self> {
        let older = std::env::var_os("PM_BESIDE");
        let older = older.map(|file| Self::Pm { name: "older pm", program: file.into() });
        [Self::Pm { name: "pm", program: pm() }].into_iter().chain(older).collect()
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::VforkLoop => "vfork loop",
            Self::SignalfdLoop => "signalfd loop",
            Self::Pm { name, .. } => name,
        }
    }

    pub fn is_floor(&self) -> bool {
        matches!(self, Self::VforkLoop | Self::SignalfdLoop)
    }

    /// The command that keeps `count` workers alive. `folder` is its own.
    pub fn command(
        &self,
        programs: &Programs,
        count: usize,
        work: Work,
        folder: &Path,
    ) -> Anything<Command> {
        let mut command = match self {
            Self::VforkLoop => floor(&programs.vfork, programs, count, work),
            Self::SignalfdLoop => floor(&programs.signalfd, programs, count, work),
            Self::Pm { program, .. } => {
                let file = folder.join("pm.toml");
                std::fs::write(&file, pool("w", &programs.worker, count, work))?;
                pm_on(program, &file)
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }
}

fn floor(program: &Path, programs: &Programs, count: usize, work: Work) -> Command {
    let mut command = Command::new(program);
    command.arg(count.to_string()).arg(&programs.worker).args(work.arguments());
    command
}

/// A pm that runs this file, without a control socket: another pm may be in the same folder.
pub fn pm_on(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("PM_SOCKET", "none").args(["run", "-f"]).arg(file);
    command
}

/// A table of pm.toml.
pub fn pool(name: &str, worker: &Path, count: usize, work: Work) -> String {
    let mut argv = vec![format!("{worker:?}")];
    argv.extend(work.arguments().iter().map(|argument| format!("{argument:?}")));
    let argv = argv.join(", ");
    let slots = match work {
        // Without a port a worker is ready when it is there.
        Work::Nothing => format!("workers = {count}\nready = {{ after = \"0s\" }}\n"),
        Work::Listen(port) => format!("ports = [{port}]\n"),
        Work::Fail => format!("workers = {count}\n"),
    };
    format!("[pool.{name}]\ncommand = [{argv}]\n{slots}")
}

impl Work {
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Listen(port) => vec!["listen".into(), port.to_string()],
            Self::Fail => vec!["exit".into(), "1".into()],
        }
    }
}

impl Programs {
    pub fn compile() -> Anything<Self> {
        Ok(Self {
            vfork: compiled("vfork")?,
            signalfd: compiled("signalfd")?,
            worker: compiled("worker")?,
        })
    }
}

/// The pm that is measured.
pub fn pm() -> PathBuf {
    std::env::var_os("PM_TEST_BIN").map_or(env!("CARGO_BIN_EXE_pm").into(), Into::into)
}

/// Where results and compiled floors are: `target/bench`.
pub fn results() -> Anything<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_pm"));
    let folder = built.ancestors().nth(2).ok_or("no target folder")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program of `benches/floors`.
pub fn compiled(name: &str) -> Anything<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floors");
    let program = results()?.canonicalize()?.join(format!("floor-{name}"));
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    // Another benchmark may be running the old one.
    let new = program.with_extension("new");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-static", "-o"]).arg(&new).arg(sources.join(name).with_extension("c"));
    if !command.status()?.success() {
        return Err(format!("cannot compile {name}.c").into());
    }
    std::fs::rename(new, &program)?;
    Ok(program)
}
