//! A pm that is told over its control socket to read its file again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use pm::client::{Exchange, Request};
use pm::wire::Reload;

use super::keeper::Keeper;
use super::proc_events::ProcEvents;
use super::programs::{Programs, Work, pm_on, pool};
use super::{Anything, wait_until};

/// In its folder.
const FILE: &str = "pm.toml";
const SOCKET: &str = "socket";
/// Its stderr.
const SAID: &str = "said";

/// A pool of many slots, and one of a single slot.
pub struct Reloadable {
    pub keeper: Keeper,
    worker: PathBuf,
    many: usize,
    changes: usize,
}

pub struct Reloaded {
    pub seconds: f64,
    pub cpu_milliseconds: f64,
}

impl Reloadable {
    /// `size` slots in all.
    pub fn start(
        program: &Path,
        programs: &Programs,
        size: usize,
        events: &ProcEvents,
    ) -> Anything<Self> {
        let (worker, many) = (programs.worker.clone(), size.saturating_sub(1));
        let mut keeper = launch(program, &worker, many, &[])?;
        if let Err(error) = keeper.wait_for_workers(size, events) {
            drop(keeper);
            return Err(format!("{error}; pm: {}", complaint(program, &worker, many)?).into());
        }
        keeper.wait_until_quiet(events)?;
        Ok(Self { keeper, worker, many, changes: 0 })
    }

    pub fn reload_unchanged(&mut self, events: &ProcEvents) -> Anything<Reloaded> {
        let before = self.keeper.usage();
        let asked = Instant::now();
        self.ask()?;
        let seconds = asked.elapsed().as_secs_f64();
        self.keeper.wait_until_quiet(events)?;
        let used = self.keeper.usage() - before;
        Ok(Reloaded { seconds, cpu_milliseconds: used.cpu_microseconds() / 1e3 })
    }

    /// The slot of its own pool gets another command.
    pub fn reload_one_changed(&mut self, events: &ProcEvents) -> Anything<Reloaded> {
        self.changes += 1;
        let file = self.keeper.folder().join(FILE);
        std::fs::write(file, text(&self.worker, self.many, self.changes))?;
        let before = self.keeper.usage();
        let asked = Instant::now();
        self.ask()?;
        self.keeper.wait_for_exec(events)?;
        let seconds = asked.elapsed().as_secs_f64();
        self.keeper.wait_until_quiet(events)?;
        let used = self.keeper.usage() - before;
        Ok(Reloaded { seconds, cpu_milliseconds: used.cpu_microseconds() / 1e3 })
    }

    fn ask(&self) -> Anything<()> {
        let socket = self.keeper.folder().join(SOCKET);
        let request = Request::post("/v1/reload", &Reload { dry_run: false });
        let answer = Exchange::begin(&socket, &request)?.answer()?;
        if answer.is_success() { Ok(()) } else { Err(answer.text().into()) }
    }
}

fn launch(program: &Path, worker: &Path, many: usize, options: &[&str]) -> Anything<Keeper> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(FILE);
    std::fs::write(&file, text(worker, many, 0))?;
    let said = File::create(folder.path().join(SAID))?;
    let mut command = pm_on(program, &file);
    command.args(options).env("PM_SOCKET", folder.path().join(SOCKET));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    Keeper::launch(command, worker, folder)
}

/// What stands in the way of so many slots, in the words of pm: the first failure that it reports.
fn complaint(program: &Path, worker: &Path, many: usize) -> Anything<String> {
    let keeper = launch(program, worker, many, &["--quiet"])?;
    let mut said = String::new();
    wait_until("pm reports a failure", || {
        said = std::fs::read_to_string(keeper.folder().join(SAID))?;
        Ok(said.contains('\n'))
    })?;
    let (_, line) = said.lines().next().and_then(|line| line.split_once("| ")).unwrap_or_default();
    Ok(line.into())
}

/// A `change` is an argument that the worker of the single slot does not read.
fn text(worker: &Path, many: usize, change: usize) -> String {
    let many = if many > 0 { pool("w", worker, many, Work::Nothing) } else { String::new() };
    let one =
        format!("[pool.one]\ncommand = [{worker:?}, \"{change}\"]\nready = {{ after = \"0s\" }}\n");
    many + &one
}
