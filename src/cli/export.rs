//! `pm export`: the plan as files of another engine, on stdout or in a folder. It says on stderr what they lack.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::args::{self, ExportArgs};
use super::exit_status::NOT_SO;
use super::host::{RealHost, unreadable};
use super::load::{FileKind, Found, find, here, plan_of};
use super::{Ending, PrintError, colour, complain, refuse, say};
use crate::export::{
    Engine, Export, Exported, File, JobFormat, PodPer, UNKNOWN_ID, Wishes, export as made_for,
};
use crate::plan::format::Format;
use crate::plan::given::{self, GivenKey};
use crate::plan::host::{Document, FolderState, Host, Unreadable};
use crate::plan::load_error::OptionFault;
use crate::plan::procfile::Options;
use crate::plan::text::printable::printable;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{Identity, LoadError, Plan, Pool, lab};

/// What `--out` does not do.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error("`{}` is here already, with another text, and stays as it is; nothing is written", .0.display())]
    Differs(PathBuf),
    #[error("cannot read `{}`: {}", .path.display(), unreadable(.error))]
    Unreadable { path: PathBuf, error: io::Error },
}

/// A plan, and the keys that stand in its file.
struct Read {
    /// The name of the file, as messages show it.
    name: String,
    /// The name of its folder.
    folder: String,
    plan: Plan,
    given: Vec<GivenKey>,
}

/// Prints or writes the files.
pub fn export(args: &ExportArgs) -> Ending {
    if let Some(wrong) = wrong_options(args) {
        return Ending::BadUsage(wrong);
    }
    let made = read(args).and_then(|read| {
        let pools = chosen(&read.plan, &args.pools)?;
        let contents = &args.contents;
        let wishes = Wishes {
            name: named(contents.name.as_deref().unwrap_or(&read.folder)),
            image: contents.image.clone().unwrap_or_default(),
            with_pm: contents.with_pm,
            hardened: contents.hardened,
            secrets: contents.secrets,
            pod_per: contents.pod_per.unwrap_or_default(),
            cpu: contents.cpu,
            autoscale: contents.autoscale,
            format: contents.format.unwrap_or_default(),
        };
        let source = printable(&read.name);
        let (plan, given, source) = (&read.plan, read.given.as_slice(), source.as_str());
        Ok(made_for(args.engine, &Export { plan, given, pools, source, wishes }))
    });
    let Exported { files, notes, .. } = match made {
        Ok(made) => made,
        Err(why) => return refuse(&why, colour::decide(args.colour.color)),
    };
    for note in &notes {
        // As in `complain`.
        let _ = writeln!(io::stderr(), "{note}");
    }
    if args.strict && !notes.is_empty() {
        return Ending::Status(NOT_SO);
    }
    match &args.out {
        Some(folder) => {
            write_all(&files, folder, if args.contents.secrets { 0o600 } else { 0o666 })
        }
        None => say(&together(args.engine, args.contents.format.unwrap_or_default(), &files)),
    }
}

/// An option that is missing, or that the engine has no use for.
fn wrong_options(args: &ExportArgs) -> Option<clap::Error> {
    let (engine, contents) = (args.engine, &args.contents);
    let command = format!("pm export {}", engine.written());
    if contents.image.is_none() && engine.needs_image() {
        let words = format!("`{command}` needs the image of its containers: `--image IMAGE`");
        return Some(args::wrong_use_of("export", ErrorKind::MissingRequiredArgument, words));
    }
    let options = [
        ("--image", contents.image.is_some(), engine.needs_image()),
        ("--with-pm", contents.with_pm, engine.needs_image()),
        ("--hardened", contents.hardened, engine == Engine::Systemd),
        ("--secrets", contents.secrets, engine.keeps_secrets()),
        ("--name", contents.name.is_some(), engine.has_name()),
        ("--pod-per", contents.pod_per.is_some(), engine == Engine::Kubernetes),
        ("--cpu", contents.cpu.is_some(), engine == Engine::Kubernetes),
        ("--autoscale", contents.autoscale.is_some(), engine == Engine::Kubernetes),
        ("--format", contents.format.is_some(), engine == Engine::Nomad),
    ];
    let useless = options.into_iter().find(|(_, is_given, is_used)| *is_given && !is_used);
    let words = match useless {
        Some((option, ..)) => format!("`{command}` has no use for `{option}`; leave it out"),
        None if contents.with_pm && contents.pod_per == Some(PodPer::Pool) => {
            "with `--pod-per pool` pm is in each pod anyway; leave `--with-pm` out".to_owned()
        }
        None => return None,
    };
    Some(args::wrong_use_of("export", ErrorKind::ArgumentConflict, words))
}

/// All files in one text.
fn together(engine: Engine, format: JobFormat, files: &[File]) -> String {
    if let [file] = files {
        return file.text.clone();
    }
    let files = files.iter().map(|file| engine.heading(format, file) + &file.text);
    files.collect::<Vec<_>>().join("\n")
}

/// Reads the file that `pm run` would read.
fn read(args: &ExportArgs) -> Result<Read, LoadError> {
    let (mut document, format, guess) = match find(args.file.as_deref(), FileKind::FileOrPipe)? {
        Found::Document(document, format) => (document, format, None),
        Found::Guessed(document, guess) => (document, guess.format, Some(guess)),
        Found::Lab => {
            let document =
                Document { name: "the lab".into(), text: lab::TEXT.into(), dir: here()? };
            (document, Format::PmToml, None)
        }
    };
    let dotenv = document.resolve(Path::new(".env"));
    let dotenv = (format == Format::Procfile && dotenv.is_file()).then_some(".env");
    let given = given::keys(&document, format, dotenv);
    let here = document.dir.clone();
    let folder =
        here.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(dir) = &args.contents.dir {
        document.dir = Path::new("/").join(dir);
    }
    let host = OtherMachine { there: document.dir.clone(), here };
    let plan = plan_of(&document, format, guess, &Options::default(), &host)?;
    Ok(Read { name: document.name, folder, plan, given })
}

/// The pools of these names, or all.
fn chosen<'a>(plan: &'a Plan, names: &[String]) -> Result<Vec<&'a Pool>, OptionFault> {
    let known = || plan.pools.iter().map(|pool| pool.name.as_str());
    if let Some(name) = names.iter().find(|name| known().all(|known| known != name.as_str())) {
        let suggestion = Suggestion::of(name, known());
        return Err(OptionFault::NoPoolToExport { name: name.clone(), suggestion });
    }
    let is_chosen = |pool: &&Pool| names.is_empty() || names.contains(&pool.name);
    Ok(plan.pools.iter().filter(is_chosen).collect())
}

/// A name that every engine takes.
fn named(written: &str) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name: String = written.chars().map(|c| if is_of_name(c) { c } else { '-' }).collect();
    let name = name.trim_matches('-').to_ascii_lowercase();
    if name.is_empty() { "pm".to_owned() } else { name }
}

/// Writes the files that are not there. If one is there with another text, nothing is written.
fn write_all(files: &[File], folder: &Path, mode: u32) -> Ending {
    let mut missing = Vec::new();
    for file in files {
        let path = folder.join(&file.name);
        match fs::read(&path) {
            Ok(text) if text == file.text.as_bytes() => {
                if let Err(error) = withhold(&path, mode) {
                    return Ending::CannotPrint(PrintError::File { path, error });
                }
            }
            Ok(_) => {
                complain(&Unwritten::Differs(path));
                return Ending::Refused;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, file)),
            Err(error) => {
                complain(&Unwritten::Unreadable { path, error });
                return Ending::Refused;
            }
        }
    }
    match write(&missing, folder, mode) {
        Ok(()) => Ending::Done,
        Err(error) => Ending::CannotPrint(error),
    }
}

/// Takes a file from others if it is not for them.
fn withhold(path: &Path, mode: u32) -> io::Result<()> {
    const OTHERS: u32 = 0o077;
    let is_seen = fs::metadata(path)?.permissions().mode() & OTHERS != 0;
    if is_seen && mode & OTHERS == 0 {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn write(files: &[(PathBuf, &File)], folder: &Path, mode: u32) -> Result<(), PrintError> {
    fs::create_dir_all(folder)
        .map_err(|error| PrintError::Folder { path: folder.to_owned(), error })?;
    for (path, file) in files {
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        let written = opened.and_then(|mut opened| opened.write_all(file.text.as_bytes()));
        written.map_err(|error| PrintError::File { path: path.clone(), error })?;
    }
    Ok(())
}

/// The machine where the engine runs: nothing is known of it. Its files are those of this one.
struct OtherMachine {
    /// The folder of the file there.
    there: PathBuf,
    /// The same folder here.
    here: PathBuf,
}

impl Host for OtherMachine {
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        match path.strip_prefix(&self.there) {
            Ok(relative) => RealHost.read(&self.here.join(relative)),
            Err(_) => RealHost.read(path),
        }
    }

    fn user(&self, name: &str) -> Option<Identity> {
        let known = RealHost.user(name);
        let id = name.parse().unwrap_or(UNKNOWN_ID);
        Some(known.unwrap_or_else(|| Identity {
            user: name.to_owned(),
            login: name.to_owned(),
            home: "/".to_owned(),
            shell: "/bin/sh".to_owned(),
            uid: id,
            gid: id,
            groups: Vec::new(),
        }))
    }

    fn group(&self, name: &str) -> Option<u32> {
        Some(RealHost.group(name).unwrap_or_else(|| name.parse().unwrap_or(UNKNOWN_ID)))
    }

    fn may_change_user(&self) -> bool {
        true
    }

    fn least_nice(&self) -> i32 {
        -20
    }

    fn folder(&self, _: &Path) -> FolderState {
        FolderState::Unknown
    }

    fn variable(&self, name: &str) -> Option<String> {
        RealHost.variable(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_every_engine_takes() {
        for (written, name) in
            [("app", "app"), ("My App_2", "my-app-2"), ("-x-", "x"), ("..", "pm"), ("", "pm")]
        {
            assert_eq!(named(written), name);
        }
    }
}
