//! From the command line to a plan: which file it is made of, and what the command line says over it.

use std::path::{Path, PathBuf};

use super::args::Run;
use super::host::RealHost;
use crate::plan::host::{Document, Host};
use crate::plan::procfile::Options;
use crate::plan::{CommandLinePool, Faults, Plan, PlanError, lab, pm_toml, procfile};
use crate::supervisor::{Backoff, Policy, Restart};

pub const PM_TOML: &str = "pm.toml";
pub const PROCFILE: &str = "Procfile";

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Faults(#[from] Faults),
    #[error(
        "nothing to run in {folder}: there is no `pm.toml`, no `Procfile` and no `web.ts` here; \
         `pm init` writes a `pm.toml`, or name a command, as in \
         `pm run --ports 8080-8082 -- ./server {{port}}`"
    )]
    NothingHere { folder: String },
    #[error("there is no file `{name}`; `pm init` writes a `pm.toml`")]
    NoFile { name: String },
    #[error("cannot read `{name}`: {why}")]
    Unreadable { name: String, why: String },
    #[error("`{option}` goes with a Procfile, and {file} is none; {instead}")]
    NoProcfile { option: &'static str, file: String, instead: &'static str },
    #[error("cannot tell which folder this is: {0}")]
    NoFolder(std::io::Error),
}

/// What a plan is made of, and what comes out.
pub struct Loaded {
    /// As people know it: `pm.toml`.
    pub file: String,
    /// Where it is; `None` if it is no file that could change.
    pub path: Option<PathBuf>,
    pub plan: Plan,
}

/// A file that was found, by what is in it.
pub enum Found {
    PmToml(Document),
    Procfile(Document),
    /// `web.ts` is here.
    Lab,
}

/// Makes the plan of what the command line asks for. Called again, it reads the files again.
///
/// # Errors
/// If there is nothing to make a plan of, or if something is wrong with it.
pub fn load(run: &Run) -> Result<Loaded, NoPlan> {
    if !run.command.is_empty() {
        return Ok(Loaded { file: "the command line".into(), path: None, plan: ad_hoc(run)? });
    }
    let options = Options { formation: run.formation.clone(), port: run.port };
    let mut loaded = of_file(run.file.as_deref(), &options)?;
    for pool in &mut loaded.plan.pools {
        pool.policy = with_options(run, pool.policy);
    }
    Ok(loaded)
}

/// The plan of a file: of this one, or of the one that is here.
///
/// # Errors
/// As [`load`].
pub fn of_file(file: Option<&Path>, options: &Options) -> Result<Loaded, NoPlan> {
    let (document, plan) = match find(file)? {
        Found::PmToml(document) => {
            refuse_for(options, &document.name)?;
            let plan = pm_toml::read(&document, &RealHost)?;
            (document, plan)
        }
        Found::Procfile(document) => {
            let plan = procfile::read(&document, options, &RealHost)?;
            (document, plan)
        }
        Found::Lab => {
            refuse_for(options, "the lab's own")?;
            let plan = lab::plan(&here()?);
            return Ok(Loaded { file: "the lab".into(), path: None, plan });
        }
    };
    Ok(Loaded { path: Some(PathBuf::from(&document.name)), file: document.name, plan })
}

/// The file that is named, or else the one that is here.
///
/// # Errors
/// If there is none, or if it cannot be read.
pub fn find(file: Option<&Path>) -> Result<Found, NoPlan> {
    let here = here()?;
    if let Some(path) = file {
        let document = document(&here, path)?;
        let document =
            document.ok_or_else(|| NoPlan::NoFile { name: path.display().to_string() })?;
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        return Ok(if is_toml { Found::PmToml(document) } else { Found::Procfile(document) });
    }
    if let Some(document) = document(&here, Path::new(PM_TOML))? {
        return Ok(Found::PmToml(document));
    }
    if let Some(document) = document(&here, Path::new(PROCFILE))? {
        return Ok(Found::Procfile(document));
    }
    if here.join(lab::SCRIPT).is_file() {
        return Ok(Found::Lab);
    }
    Err(NoPlan::NothingHere { folder: here.display().to_string() })
}

/// The folder that pm was started in.
pub fn here() -> Result<PathBuf, NoPlan> {
    std::env::current_dir().map_err(NoPlan::NoFolder)
}

/// The file at `path`, `None` if it is not there.
fn document(here: &Path, path: &Path) -> Result<Option<Document>, NoPlan> {
    let name = path.display().to_string();
    let absolute: PathBuf = here.join(path).components().collect();
    let dir = absolute.parent().unwrap_or(here).to_owned();
    match RealHost.read(&absolute) {
        Ok(text) => Ok(text.map(|text| Document { name, text, dir })),
        Err(why) => Err(NoPlan::Unreadable { name, why }),
    }
}

/// What only a Procfile takes is refused for another file, and said how that one has it.
fn refuse_for(options: &Options, file: &str) -> Result<(), NoPlan> {
    let (option, instead) = match options {
        Options { formation: Some(_), .. } => {
            ("-m", "set `workers` or `ports` in a `pm.toml`, or name the Procfile with `-f`")
        }
        Options { port: Some(_), .. } => {
            ("--port", "set `ports` in a `pm.toml`, or name the Procfile with `-f`")
        }
        Options { formation: None, port: None } => return Ok(()),
    };
    let file = if file.contains(' ') { file.to_owned() } else { format!("`{file}`") };
    Err(NoPlan::NoProcfile { option, file, instead })
}

fn ad_hoc(run: &Run) -> Result<Plan, NoPlan> {
    let pool = CommandLinePool {
        command: run.command.clone(),
        ports: run.ports.clone(),
        workers: run.workers,
        name: run.name.clone(),
        policy: with_options(run, Policy::default()),
    };
    Ok(pool.plan(&here()?)?)
}

/// What the command line says wins over every pool.
fn with_options(run: &Run, policy: Policy) -> Policy {
    let give_up_after = run.give_up_after.or(policy.backoff.give_up_after);
    Policy {
        grace: run.grace.unwrap_or(policy.grace),
        restart: run.restart.map_or(policy.restart, Restart::from),
        backoff: Backoff { give_up_after, ..policy.backoff },
        ..policy
    }
}
