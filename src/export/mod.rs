//! Floor 2, beside `sys` and `wire`: a plan as files of other engines, and every key that they cannot carry.
//!
//! Pure: a plan comes in, texts and notes go out; `cli::export` prints or writes them. The files are made from the
//! specs of pools, before slots are expanded, where the engine has a name of its own for what `{port}` and `{n}` stand
//! for. Each engine has a file here and a column in [`coverage`], which says for each key of a `pm.toml` what becomes
//! of it: a key that is not carried, or in part, is a [`Note`] wherever it is given. docs/export.md shows that table.

mod compose;
mod container;
pub mod coverage;
mod filled;
mod kubernetes;
mod nomad;
mod note;
mod procfile;
mod shell;
mod systemd;
mod wishes;
mod yaml;

use clap::ValueEnum;

use crate::plan::given::GivenKey;
use crate::plan::{AliveBy, Plan, Pool, ReadyBy};

use self::coverage::Coverage;
pub use self::note::Note;
pub use self::wishes::{Cpu, JobFormat, PodPer, PodRange, Wishes};

/// The number of a user or group that is not known here.
pub const UNKNOWN_ID: u32 = u32::MAX;

/// What runs the exported files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Systemd,
    Compose,
    Kubernetes,
    Procfile,
    Nomad,
}

/// A plan that is to be exported.
pub struct Export<'a> {
    pub plan: &'a Plan,
    /// The keys that stand in its file.
    pub given: &'a [GivenKey],
    /// The pools that are exported, in the order of the file.
    pub pools: Vec<&'a Pool>,
    /// The name of the file, as messages show it: in one line.
    pub source: &'a str,
    pub wishes: Wishes,
}

/// The files for an engine, and what they lack.
#[derive(Debug, Default)]
pub struct Exported {
    pub files: Vec<File>,
    /// In the order of the plan's file.
    pub notes: Vec<Note>,
    /// The keys of pools whose notes are complete: [`coverage`] adds nothing to them.
    said: Vec<(String, &'static str)>,
}

/// A file to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub text: String,
}

impl Engine {
    pub const ALL: [Self; 5] =
        [Self::Systemd, Self::Compose, Self::Kubernetes, Self::Procfile, Self::Nomad];

    /// As people write it.
    pub fn written(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Procfile => "procfile",
            Self::Nomad => "nomad",
        }
    }

    /// True if it runs workers in containers, which need an image.
    pub fn needs_image(self) -> bool {
        match self {
            Self::Systemd | Self::Procfile => false,
            Self::Compose | Self::Kubernetes | Self::Nomad => true,
        }
    }

    /// True if its files have a name for the whole.
    pub fn has_name(self) -> bool {
        match self {
            Self::Procfile => false,
            Self::Systemd | Self::Compose | Self::Kubernetes | Self::Nomad => true,
        }
    }

    /// True if the values of `env_file` can be in its files: the others refer to the file itself.
    pub fn keeps_secrets(self) -> bool {
        match self {
            Self::Kubernetes | Self::Nomad => true,
            Self::Systemd | Self::Compose | Self::Procfile => false,
        }
    }

    /// What stands before a file where several go to one stream, so that a reader or the engine can tell them apart.
    pub fn heading(self, format: JobFormat, file: &File) -> String {
        match (self, format) {
            (Self::Systemd | Self::Procfile, _) | (Self::Nomad, JobFormat::Hcl) => {
                format!("# {}\n", file.name)
            }
            (Self::Compose | Self::Kubernetes, _) => "---\n".to_owned(),
            // JSON has no comments; several texts of it may follow each other.
            (Self::Nomad, JobFormat::Json) => String::new(),
        }
    }
}

/// Makes the files of an engine.
pub fn export(engine: Engine, export: &Export<'_>) -> Exported {
    let mut made = match engine {
        Engine::Systemd => systemd::export(export),
        Engine::Compose => compose::export(export),
        Engine::Kubernetes => kubernetes::export(export),
        Engine::Procfile => procfile::export(export),
        Engine::Nomad => nomad::export(export),
    };
    let is_said = |note: &Note| {
        made.said.iter().any(|(pool, key)| note.pool.as_ref() == Some(pool) && note.key == *key)
    };
    let of_keys = export.notes_of_keys(engine).into_iter().filter(|note| !is_said(note));
    made.notes.extend(of_keys.collect::<Vec<_>>());
    made.notes.extend(export.notes_of_missing_pools());
    made.notes.sort_by_key(|note| note.line);
    made
}

impl<'a> Export<'a> {
    /// The given key of a pool.
    pub fn given(&self, pool: &Pool, key: &str) -> Option<&'a GivenKey> {
        let is_it = |given: &&GivenKey| given.key == key && given.pool.as_ref() == Some(&pool.name);
        self.given.iter().find(is_it)
    }

    /// The string of a key, or the strings of its list; none if the key is not given.
    pub fn texts(&self, pool: &Pool, key: &str) -> &'a [String] {
        self.given(pool, key).map_or(&[], |given| &given.texts)
    }

    /// True if a key of the table `table` is given.
    pub fn has_table(&self, pool: &Pool, table: &str) -> bool {
        let of_table =
            |key: &str| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
        self.given
            .iter()
            .any(|given| given.pool.as_ref() == Some(&pool.name) && of_table(&given.key))
    }

    /// The exported pools that this one comes after.
    pub fn needs(&self, pool: &Pool) -> impl Iterator<Item = &'a Pool> {
        pool.after.iter().filter_map(|index| {
            let needed = &self.plan.pools[*index];
            self.pools.iter().copied().find(|exported| exported.name == needed.name)
        })
    }

    /// True if another exported pool comes after this one.
    pub fn is_awaited(&self, pool: &Pool) -> bool {
        self.pools.iter().any(|other| self.needs(other).any(|needed| needed.name == pool.name))
    }

    /// The name of one of several that a pool becomes: `web-8080`. No pool has it.
    pub fn numbered(&self, pool: &Pool, number: usize) -> String {
        without_clash(&pool.name, number, |name| self.pools.iter().any(|pool| pool.name == name))
    }

    /// A note about a key of a pool. It stands at the key, or at one that begins with it, or where the keys of the pool
    /// begin.
    pub fn note(&self, pool: &Pool, key: &str, words: impl Into<String>) -> Note {
        let mut of_pool = self.given.iter().filter(|given| given.pool.as_ref() == Some(&pool.name));
        let first = of_pool.clone().next();
        let is_it = |given: &&GivenKey| {
            given.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let given = of_pool.find(is_it).or(first);
        let line = given.map_or(1, |given| given.line);
        let (file, pool) = (self.source.to_owned(), Some(pool.name.clone()));
        Note { file, line, pool, key: key.to_owned(), words: words.into() }
    }

    /// A note for each given key that is not carried, or in part.
    fn notes_of_keys(&self, engine: Engine) -> Vec<Note> {
        let notes = self.given.iter().filter_map(|given| {
            let pool = match &given.pool {
                Some(name) => Some(*self.pools.iter().find(|pool| pool.name == *name)?),
                None => None,
            };
            let words = match coverage::of(engine, self.wishes.pod_per, &given.key)? {
                Coverage::Carried(_) => return None,
                Coverage::InPart(words) => format!("in part: {words}"),
                Coverage::Not(words) => format!("not carried over: {words}"),
            };
            let is_written =
                given.key == "env_file" && self.wishes.secrets && engine.keeps_secrets();
            if is_written || self.loses_nothing(engine, given, pool) {
                return None;
            }
            let words = match (engine, pool) {
                (Engine::Kubernetes, Some(pool)) => {
                    kubernetes::notes::with_names(self, pool, &words)
                }
                (_, _) => words,
            };
            let (file, key, line) = (self.source.to_owned(), given.key.clone(), given.line);
            Some(Note { file, line, pool: given.pool.clone(), key, words })
        });
        notes.collect()
    }

    /// True if a key that is carried in part, or not, has a value that loses nothing with this engine.
    fn loses_nothing(&self, engine: Engine, given: &GivenKey, pool: Option<&Pool>) -> bool {
        let is_text = |text: &str| given.texts.iter().any(|given| given == text);
        let is_container = engine.needs_image();
        let is_whole_pool = self.wishes.pod_per == PodPer::Pool;
        match given.key.as_str() {
            // Its value `true` is the default.
            "output.color" | "output.prefix" => !given.is_false,
            "stdin" => is_text("null"),
            "restart" => is_text("always"),
            // Several become one.
            "ports" => !is_whole_pool && pool.is_some_and(|pool| pool.spec.count() == 1),
            "env_file" => engine == Engine::Procfile && given.texts == [".env"],
            // A container's engine knows its first process alone.
            "stop.to" => is_text(if is_container { "leader" } else { "group" }),
            "user" | "group" => {
                is_container
                    && given.texts.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            }
            "after" => pool.is_some_and(|pool| pool.after.is_empty()),
            "spares" | "backoff.give_up_after" if given.value == "0" => true,
            _ if given.value == "[]" => true,
            "alive.every" => {
                let alive = pool.and_then(|pool| pool.spec.alive.as_ref());
                !is_container && alive.is_some_and(|alive| alive.by == AliveBy::Notify)
            }
            "nice" => is_whole_pool && pool.is_some_and(|pool| pool.spec.exec.nice >= Some(0)),
            _ => given.is_false,
        }
    }

    /// A note for each pool that an exported one comes after and that is left out.
    fn notes_of_missing_pools(&self) -> Vec<Note> {
        let pools =
            self.pools.iter().flat_map(|pool| pool.after.iter().map(move |index| (*pool, *index)));
        let missing = pools.filter_map(|(pool, index)| {
            let name = &self.plan.pools[index].name;
            let is_left_out = self.pools.iter().all(|other| other.name != *name);
            is_left_out
                .then(|| self.note(pool, "after", format!("`{name}` is not exported: name it too")))
        });
        missing.collect()
    }
}

/// A name with a number after it, and as many hyphens between them as it takes until it is a new one.
pub fn without_clash(name: &str, number: usize, is_taken: impl Fn(&str) -> bool) -> String {
    let names = (1..).map(|hyphens| format!("{name}{}{number}", "-".repeat(hyphens)));
    { names }.find(|name| !is_taken(name)).expect("there is no end of hyphens")
}

/// True if the pool is a job, which has done its work when it has exited.
pub fn is_job(pool: &Pool) -> bool {
    pool.spec.ready.by == ReadyBy::Exit
}
