//! `pm init`: write a `pm.toml`, from what is here.

use std::fmt::Write as _;
use std::fs::{OpenOptions, remove_file};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::host::RealHost;
use super::load::{PM_TOML, PROCFILE, here};
use super::{Ending, colour, complain, refuse, say};
use crate::cli::args::ColourChoice;
use crate::plan::host::{Document, Host};
use crate::plan::lab;
use crate::plan::procfile::{self, Options};
use crate::plan::text::diagnostics::{Faults, Findings};
use crate::plan::text::placeholders;
use crate::plan::text::toml_string::quoted;
use crate::plan::{LoadError, Stdin};

/// A `pm.toml` that explains itself.
const TEMPLATE: &str = include_str!("init.toml");

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error("`pm.toml` is here already and stays as it is; `pm check` says what it keeps alive")]
    Exists,
    #[error("cannot write `pm.toml`: {0}")]
    Write(io::Error),
}

/// Writes `./pm.toml` and says what to do next.
pub fn init() -> Ending {
    let (text, origin) = match text() {
        Ok(text) => text,
        Err(why) => return refuse(&why, colour::decide(ColourChoice::Auto)),
    };
    match write(Path::new(PM_TOML), &text) {
        Ok(()) => say(&format!("wrote `pm.toml` {origin}; `pm check` reads it, `pm` runs it\n")),
        Err(error) => {
            complain(&error);
            Ending::Refused
        }
    }
}

/// What to write, and what it was made from.
fn text() -> Result<(String, &'static str), LoadError> {
    let dir = here()?;
    let procfile = RealHost.read(&dir.join(PROCFILE));
    let procfile = procfile.map_err(|why| LoadError::Unreadable { name: PROCFILE.into(), why })?;
    if let Some(text) = procfile {
        let document = Document { name: PROCFILE.into(), text, dir };
        return Ok((of_procfile(&document, &RealHost)?, "from the Procfile"));
    }
    if dir.join(lab::SCRIPT).is_file() {
        return Ok((lab::TEXT.into(), "for the lab"));
    }
    Ok((TEMPLATE.into(), "with every key explained; put your command into it"))
}

/// The `pm.toml` that runs the same as a Procfile, each process with the `PORT` that it has there.
///
/// # Errors
/// Every fault of the Procfile and of the `.env` beside it.
fn of_procfile(document: &Document, host: &dyn Host) -> Result<String, Faults> {
    let plan = procfile::read(document, &Options::default(), host)?;
    let mut findings = Findings::default();
    let file = findings.add_source(&document.name, &document.text);
    let types = procfile::process_types(file, &mut findings);
    let has_dotenv = matches!(host.read(&document.resolve(Path::new(".env"))), Ok(Some(_)));
    let mut text =
        String::from("# Made from the Procfile. `pm check` reads this file, `pm` runs it.\n");
    for (kind, pool) in types.iter().zip(&plan.pools) {
        let env = pool.slots.first().map(|slot| &slot.exec.env);
        let port = env.and_then(|env| env.iter().find(|(name, _)| name == "PORT"));
        let port = port.map_or("", |(_, port)| port);
        let command = quoted(&placeholders::escaped(&kind.command));
        let lines = format!("\n[pool.{}]\ncommand = {command}\n", kind.name);
        text += &lines;
        if has_dotenv {
            text += "env_file = \".env\"\n";
        }
        let stdin = Stdin::Open.written();
        writeln!(text, "env = {{ PORT = {port} }}\nstdin = \"{stdin}\"")
            .expect("writing to a String never fails");
    }
    Ok(text)
}

/// Writes a file that does not exist yet, or nothing.
fn write(path: &Path, text: &str) -> Result<(), Unwritten> {
    // O_EXCL: if two write it at the same time, one of them fails.
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Unwritten::Exists,
        _ => Unwritten::Write(error),
    })?;
    let written = file.write_all(text.as_bytes());
    written.map_err(|error| {
        // Half a file is worse than none. If it cannot be removed either, the first error is the one to report.
        let _ = remove_file(path);
        Unwritten::Write(error)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plan::{Plan, pm_toml};

    fn document(folder: &Path, name: &str, text: &str) -> Document {
        Document { name: name.into(), text: text.into(), dir: folder.to_owned() }
    }

    fn read(folder: &Path, text: &str) -> Plan {
        pm_toml::read(&document(folder, PM_TOML, text), &RealHost).unwrap()
    }

    #[test]
    fn a_pm_toml_that_is_made_from_a_procfile_runs_the_same_workers() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), "PORT=7000\nMODE=dev\n").unwrap();
        let text =
            "web: exec ./serve -p $PORT --name='it''s' ${A:-{}}\njob-2:\techo \"\x7f\\n\"\n# end\n";
        let procfile = document(folder.path(), PROCFILE, text);
        let mut old = procfile::read(&procfile, &Options::default(), &RealHost).unwrap();
        let mut new = read(folder.path(), &of_procfile(&procfile, &RealHost).unwrap());
        for (old, new) in old.pools.iter_mut().zip(&mut new.pools) {
            for slot in old.slots.iter_mut().chain(&mut new.slots) {
                slot.exec.env.sort();
            }
            assert_eq!((&new.name, &new.slots), (&old.name, &old.slots));
            assert_eq!((new.policy, new.stop), (old.policy, old.stop));
        }
        assert_eq!(new.pools.len(), old.pools.len());
        assert!(new.pools[1].slots[0].exec.env.contains(&("PORT".into(), "7100".into())));
    }

    #[test]
    fn the_template_and_the_file_of_the_lab_have_no_fault() {
        let folder = Path::new("/srv");
        assert_eq!(read(folder, TEMPLATE).slots().count(), 3);
        assert_eq!(read(folder, lab::TEXT).slots().count(), 3);
    }

    #[test]
    fn each_line_that_the_template_shows_has_no_fault() {
        // These exclude the keys before them, or need a file, a pool, a policy or root.
        let alone = [
            "# workers",
            "# address",
            "# env_file",
            "# after",
            "# user",
            "# group",
            "# ready = { exit",
            "# ready = { listen",
            "# spare_max_age",
        ];
        for line in TEMPLATE.lines().filter(|line| line.starts_with("# ") && line.contains(" = ")) {
            if !line[2..].starts_with(|c: char| c.is_ascii_lowercase())
                || alone.iter().any(|start| line.starts_with(start))
            {
                continue;
            }
            let pool = "[pool.web]\ncommand = \"x\"\nports = 1\n";
            let text = match &line[2..] {
                key if ["sealed", "chaos", "http", "log = { ring"]
                    .iter()
                    .any(|of_file| key.starts_with(of_file)) =>
                {
                    format!("{key}\n{pool}")
                }
                key => format!("{pool}{key}\n"),
            };
            read(Path::new("/srv"), &text);
        }
    }

    #[test]
    fn the_template_shows_every_key() {
        let schema = pm_toml::schema();
        let mut keys = Vec::new();
        collect(&schema, &mut keys);
        assert!(keys.len() > 40, "{keys:?}");
        for key in keys {
            assert!(
                TEMPLATE.contains(&format!("{key} =")) || key == "pool",
                "`{key}` is not shown"
            );
        }
    }

    fn collect(schema: &serde_json::Value, keys: &mut Vec<String>) {
        let children: Vec<_> = match schema {
            serde_json::Value::Object(object) => object.iter().collect(),
            _ => Vec::new(),
        };
        for (name, child) in children {
            if name == "properties" {
                keys.extend(child.as_object().unwrap().keys().cloned());
            }
            collect(child, keys);
        }
    }

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PM_TOML);
        write(&path, "first").unwrap();
        assert!(matches!(write(&path, "second"), Err(Unwritten::Exists)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    }
}
