//! From the command line to a plan: which file it is made from, and what the command line overrides in it.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::args::RunArgs;
use super::host::{RealHost, unreadable};
use super::http;
use crate::plan::format::{Format, Guess};
use crate::plan::host::{Document, Host};
use crate::plan::load_error::{OptionFault, OtherFile, ProcfileOption, Sealed};
use crate::plan::procfile::Options;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{
    CommandLinePool, LoadError, Plan, Pool, ReadyBy, RestartWord, StopSpec, lab, pm_toml, procfile,
};
use crate::supervisor::{Backoff, Policy, Restart};

pub const PM_TOML: &str = "pm.toml";
pub const PROCFILE: &str = "Procfile";

/// A plan, and what it is made from.
pub struct Loaded {
    /// As messages show it: `pm.toml`.
    pub file: String,
    /// Where the file is. `None` if there is no file that could change.
    pub path: Option<PathBuf>,
    pub source: Source,
    pub plan: Plan,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    CommandLine,
    Lab,
    /// A file, or what came through a pipe.
    File,
}

/// What a name in place of a file may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file, or a pipe as of `-f <(generate)`, which can be read once.
    FileOrPipe,
    /// The file of a pm that runs, read again.
    File,
}

/// A file that was found.
pub enum Found {
    Document(Document, Format),
    /// A document whose name does not tell what it is.
    Guessed(Document, Guess),
    /// `web.ts` is here.
    Lab,
}

/// Makes the plan that the command line asks for. Each call reads the files again.
///
/// # Errors
/// If there is nothing to make a plan from, or if something is wrong with it.
pub fn load(run: &RunArgs, kind: FileKind) -> Result<Loaded, LoadError> {
    if run.restart == Some(RestartWord::Never) && run.give_up_after.is_some() {
        return Err(OptionFault::NeverGivesUp.into());
    }
    let mut loaded = if run.command.is_empty() {
        of_file_and_options(run, kind)?
    } else {
        let plan = of_command(run)?;
        Loaded { file: "the command line".into(), path: None, source: Source::CommandLine, plan }
    };
    if run.take_over && (run.sealed || loaded.plan.sealed) {
        let sealed = if run.sealed { Sealed::Option } else { Sealed::Key };
        return Err(LoadError::SealedTakeOver { sealed });
    }
    loaded.plan.sealed |= run.sealed;
    http::complete(&run.http, &mut loaded.plan.http)?;
    Ok(loaded)
}

/// The plan of the file, changed by the options that the command line has for every pool.
fn of_file_and_options(run: &RunArgs, kind: FileKind) -> Result<Loaded, LoadError> {
    let options = Options { formation: run.formation.clone(), port: run.port };
    let mut loaded = of_file(run.file.as_deref(), kind, &options, &RealHost)?;
    name_the_end(run, &mut loaded.plan)?;
    for pool in &mut loaded.plan.pools {
        check_options(run, pool)?;
        pool.policy = with_options(run, pool.policy);
        end_once(pool);
    }
    Ok(loaded)
}

/// The pool of `--exit-with` ends the run, and no other.
fn name_the_end(run: &RunArgs, plan: &mut Plan) -> Result<(), OptionFault> {
    let Some(name) = &run.exit_with else { return Ok(()) };
    plan.pools.iter_mut().for_each(|pool| pool.ends_run = pool.name == *name);
    if plan.pools.iter().any(|pool| pool.ends_run) {
        return Ok(());
    }
    let names = plan.pools.iter().map(|pool| pool.name.as_str());
    let suggestion = Suggestion::of(name, names);
    Err(OptionFault::NoPoolToExitWith { name: name.clone(), suggestion })
}

/// The plan of this file, or of the one that is here.
///
/// # Errors
/// As [`load`].
pub fn of_file(
    file: Option<&Path>,
    kind: FileKind,
    options: &Options,
    host: &dyn Host,
) -> Result<Loaded, LoadError> {
    let (document, format, guess) = match find(file, kind)? {
        Found::Document(document, format) => (document, format, None),
        Found::Guessed(document, guess) => (document, guess.format, Some(guess)),
        Found::Lab => {
            refuse(options, || OtherFile::Lab)?;
            let plan = lab::plan(&here()?);
            let file = "the lab".into();
            return Ok(Loaded { file, path: None, source: Source::Lab, plan });
        }
    };
    let plan = plan_of(&document, format, guess, options, host)?;
    let path = PathBuf::from(&document.name);
    let path = (path.is_file() && !is_descriptor(&path)).then_some(path);
    Ok(Loaded { file: document.name, path, source: Source::File, plan })
}

/// The plan of a document.
///
/// # Errors
/// Its faults, or that an option is not for such a file.
pub fn plan_of(
    document: &Document,
    format: Format,
    guess: Option<Guess>,
    options: &Options,
    host: &dyn Host,
) -> Result<Plan, LoadError> {
    let read = match format {
        Format::PmToml => {
            refuse(options, || OtherFile::Named(document.name.clone()))?;
            pm_toml::read(document, host)
        }
        Format::Procfile => procfile::read(document, options, host),
    };
    Ok(read.map_err(|faults| match guess {
        Some(guess) => faults.guessed(guess),
        None => faults,
    })?)
}

/// The file with this name, or else the one that is here.
///
/// # Errors
/// If there is none, or if it cannot be read.
pub fn find(file: Option<&Path>, kind: FileKind) -> Result<Found, LoadError> {
    let here = here()?;
    if let Some(path) = file {
        if kind == FileKind::FileOrPipe && is_pipe(path) {
            return of_pipe(&here, path);
        }
        let document = document(&here, path)?;
        let document = document.ok_or_else(|| {
            let name = path.display().to_string();
            match kind {
                FileKind::FileOrPipe => LoadError::NoFile { name },
                FileKind::File => LoadError::FileGone { name },
            }
        })?;
        return Ok(match Format::by_name(path) {
            Some(format) => Found::Document(document, format),
            None => Found::guessed(document),
        });
    }
    if let Some(document) = document(&here, Path::new(PM_TOML))? {
        return Ok(Found::Document(document, Format::PmToml));
    }
    if let Some(document) = document(&here, Path::new(PROCFILE))? {
        return Ok(Found::Document(document, Format::Procfile));
    }
    if here.join(lab::SCRIPT).is_file() {
        return Ok(Found::Lab);
    }
    Err(LoadError::NothingHere { folder: here.display().to_string() })
}

/// The folder that pm was started in.
pub fn here() -> Result<PathBuf, LoadError> {
    std::env::current_dir().map_err(|error| LoadError::NoFolder(unreadable(&error)))
}

/// The file at `path`, `None` if it is not there.
fn document(here: &Path, path: &Path) -> Result<Option<Document>, LoadError> {
    let name = path.display().to_string();
    let absolute: PathBuf = here.join(path).components().collect();
    let dir = absolute.parent().filter(|_| !is_descriptor(path)).unwrap_or(here);
    // Its real folder: workers run in it, and a link like `current` may lead elsewhere at the next reload.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    match RealHost.read(&absolute) {
        Ok(text) => Ok(text.map(|text| Document { name, text, dir })),
        Err(why) => Err(LoadError::Unreadable { name, why }),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// True for a name of an open file, as `/dev/stdin`: another process has another file by that name.
fn is_descriptor(path: &Path) -> bool {
    let is_of_process = path.starts_with("/proc")
        && path.parent().is_some_and(|folder| folder.file_name().is_some_and(|name| name == "fd"));
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || is_of_process
}

/// What comes through a pipe.
fn of_pipe(here: &Path, path: &Path) -> Result<Found, LoadError> {
    let name = path.display().to_string();
    let text = match RealHost.read_pipe(path) {
        Ok(text) => text,
        Err(why) => return Err(LoadError::Unreadable { name, why }),
    };
    Ok(Found::guessed(Document { name, text, dir: here.to_owned() }))
}

impl Found {
    fn guessed(document: Document) -> Self {
        let guess = Guess::of(&document.text);
        Self::Guessed(document, guess)
    }
}

/// Refuses the options of a Procfile for another file.
fn refuse(options: &Options, file: impl Fn() -> OtherFile) -> Result<(), LoadError> {
    let option = match options {
        Options { formation: Some(_), .. } => ProcfileOption::Formation,
        Options { port: Some(_), .. } => ProcfileOption::Port,
        Options { formation: None, port: None } => return Ok(()),
    };
    Err(LoadError::NoProcfile { option, file: file() })
}

fn of_command(run: &RunArgs) -> Result<Plan, LoadError> {
    let pool = CommandLinePool {
        command: run.command.clone(),
        ports: run.ports.clone(),
        workers: run.workers,
        name: run.name.clone(),
        policy: with_options(run, Policy::default()),
    };
    let mut plan = pool.plan(&here()?)?;
    name_the_end(run, &mut plan)?;
    for pool in &mut plan.pools {
        check_options(run, pool)?;
        end_once(pool);
    }
    Ok(plan)
}

/// Refuses an option that would make a key of this pool useless, as the reader refuses such a key beside another.
fn check_options(run: &RunArgs, pool: &Pool) -> Result<(), OptionFault> {
    let name = || pool.name.clone();
    let is_never = run.restart == Some(RestartWord::Never);
    let (policy, default) = (&pool.policy, Policy::default());
    if run.restart == Some(RestartWord::Always) && pool.spec.ready.by == ReadyBy::Exit {
        return Err(OptionFault::JobAlwaysRestarted { pool: name() });
    }
    if run.restart == Some(RestartWord::Always) && pool.ends_run {
        return Err(OptionFault::EndsRunAlwaysRestarted { pool: name() });
    }
    // It is not restarted then.
    if run.exit_with.is_some() && pool.ends_run && policy.restart == Restart::Always {
        let keys = [
            ("max_restarts", policy.max_restarts.is_some()),
            ("backoff", policy.backoff != default.backoff),
        ];
        if let Some((key, _)) =
            keys.into_iter().find(|(_, is_given)| *is_given && run.restart.is_none())
        {
            return Err(OptionFault::NotRestarted { pool: name(), key });
        }
    }
    if is_never && policy.max_restarts.is_some() {
        return Err(OptionFault::NeverRestarted { pool: name(), key: "max_restarts" });
    }
    if is_never && policy.backoff != default.backoff {
        return Err(OptionFault::NeverRestarted { pool: name(), key: "backoff" });
    }
    if run.grace.is_some_and(|grace| grace.is_zero()) && pool.stop != StopSpec::default() {
        return Err(OptionFault::SignalNeverSent { pool: name() });
    }
    Ok(())
}

/// A pool that ends the run is not always restarted.
fn end_once(pool: &mut Pool) {
    if pool.ends_run && pool.policy.restart == Restart::Always {
        pool.policy.restart = Restart::Never;
    }
}

/// The policy of a pool, with what the command line overrides in every pool.
fn with_options(run: &RunArgs, policy: Policy) -> Policy {
    let give_up_after = run.give_up_after.or(policy.backoff.give_up_after);
    Policy {
        grace: run.grace.unwrap_or(policy.grace),
        restart: run.restart.map_or(policy.restart, Restart::from),
        backoff: Backoff { give_up_after, ..policy.backoff },
        ..policy
    }
}
