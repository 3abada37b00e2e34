//! A pm that is told over its control socket to read its file again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pm::client::{Exchange, Request};
use pm::wire::Reload;

use super::Anything;
use super::keeper::Keeper;
use super::proc_events::ProcEvents;
use super::programs::{Programs, Work, pm_on, pool};

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
        let folder = tempfile::tempdir()?;
        let mut command = pm_on(program, &folder.path().join("pm.toml"));
        command.env("PM_SOCKET", folder.path().join("socket"));
        let said = std::fs::File::create(folder.path().join("said"))?;
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(said);
        let (worker, many) = (programs.worker.clone(), size.saturating_sub(1));
        std::fs::write(folder.path().join("pm.toml"), text(&worker, many, 0))?;
        let mut keeper = Keeper::launch(command, &worker, folder)?;
        if let Err(error) = keeper.wait_for_workers(size, events) {
            let said = std::fs::read_to_string(keeper.folder().join("said"))?;
            let last = said.lines().next_back().unwrap_or("nothing");
            return Err(format!("{error}; it said: {last}").into());
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
        let file = self.keeper.folder().join("pm.toml");
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
        let socket = self.keeper.folder().join("socket");
        let request = Request::post("/v1/reload", &Reload { dry_run: false });
        let answer = Exchange::begin(&socket, &request)?.answer()?;
        if answer.is_success() { Ok(()) } else { Err(answer.text().into()) }
    }
}

/// A `change` is an argument that the worker of the single slot does not read.
fn text(worker: &Path, many: usize, change: usize) -> String {
    let many = if many > 0 { pool("w", worker, many, Work::Nothing) } else { String::new() };
    let one =
        format!("[pool.one]\ncommand = [{worker:?}, \"{change}\"]\nready = {{ after = \"0s\" }}\n");
    many + &one
}
