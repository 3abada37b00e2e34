//! A machine made up for a test, and texts to read on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pm::cli::diagnostics::pictures;
use pm::plan::host::{Account, Document, Host};
use pm::plan::procfile::{self, Options};
use pm::plan::{Faults, Plan, Pool, pm_toml};

/// What the texts of these tests find around them.
#[derive(Default)]
pub struct FakeHost {
    files: BTreeMap<PathBuf, Result<String, String>>,
    variables: BTreeMap<String, String>,
    is_root: bool,
}

impl FakeHost {
    /// A host in which pm is root's, and which has some files.
    pub fn of_root() -> Self {
        let host = Self { is_root: true, ..Self::default() };
        let host = host.file(".env", "MODE=file\nONLY=here\n").file("more.env", "MODE=more\n");
        let host = host.file("wrong.env", "MODE=a\nMODE=b\nmode");
        host.unreadable("secret.env", "permission denied")
    }

    pub fn of_nobody() -> Self {
        Self { is_root: false, ..Self::of_root() }
    }

    /// With a file beside the one that is read.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(Path::new("/srv").join(name), Ok(text.into()));
        self
    }

    pub fn unreadable(mut self, name: &str, why: &str) -> Self {
        self.files.insert(Path::new("/srv").join(name), Err(why.into()));
        self
    }

    /// With this in pm's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn pm_toml(&self, text: &str) -> Result<Plan, Faults> {
        pm_toml::read(&document("pm.toml", text), self)
    }

    pub fn procfile(&self, text: &str, options: &Options) -> Result<Plan, Faults> {
        procfile::read(&document("Procfile", text), options, self)
    }
}

pub fn document(name: &str, text: &str) -> Document {
    Document { name: name.into(), text: text.into(), dir: "/srv".into() }
}

impl Host for FakeHost {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        self.files.get(path).cloned().transpose()
    }

    fn user(&self, name: &str) -> Option<Account> {
        (name == "www-data").then(|| Account { uid: 33, gid: 33, groups: vec![33, 44] })
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "video").then_some(44)
    }

    fn may_change_user(&self) -> bool {
        self.is_root
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// Lines of a pool named `web` that lacks nothing, or a whole file if the first line is a table's.
pub fn whole(lines: &str) -> String {
    if lines.starts_with('[') || lines.starts_with("pool") {
        return format!("{lines}\n");
    }
    let own = lines.split("\n[").next().unwrap_or_default();
    let command = if own.contains("command") { "" } else { "command = \"x\"\n" };
    format!("[pool.web]\n{command}{lines}\n")
}

pub fn first_pool(lines: &str) -> Pool {
    let text = whole(lines);
    let plan = FakeHost::of_root().pm_toml(&text);
    plan.unwrap_or_else(|faults| panic!("{text}\n{faults}")).pools.remove(0)
}

/// What people are shown of the faults of a text that has some.
pub fn shown(plan: Result<Plan, Faults>, text: &str) -> String {
    match plan {
        Ok(plan) => panic!("this has no fault:\n{text}\n{plan:#?}"),
        Err(faults) => pictures(&faults, false),
    }
}
