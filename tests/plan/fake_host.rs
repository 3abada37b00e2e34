//! A machine that exists only in a test, and texts to read on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pm::cli::diagnostics::pictures;
use pm::plan::host::{Document, FolderState, Host, LimitKind, Unreadable};
use pm::plan::procfile::{self, Options};
use pm::plan::{Faults, Identity, Plan, Pool, pm_toml};

/// The files, variables and users that the texts of these tests find.
#[derive(Default)]
pub struct FakeHost {
    files: BTreeMap<PathBuf, Result<String, Unreadable>>,
    variables: BTreeMap<String, String>,
    is_root: bool,
}

impl FakeHost {
    /// A host on which pm runs as root, with some files.
    pub fn as_root() -> Self {
        let host = Self { is_root: true, ..Self::default() };
        let host = host.file(".env", "MODE=file\nONLY=here\n").file("more.env", "MODE=more\n");
        let host = host.file("wrong.env", "MODE=a\nMODE=b\nmode");
        host.unreadable("secret.env")
    }

    pub fn as_user() -> Self {
        Self { is_root: false, ..Self::as_root() }
    }

    /// With a file beside the one that is read.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(Path::new("/srv").join(name), Ok(text.into()));
        self
    }

    /// With a file beside it that pm may not read.
    pub fn unreadable(mut self, name: &str) -> Self {
        let why = Unreadable::Os(nix::errno::Errno::EACCES);
        self.files.insert(Path::new("/srv").join(name), Err(why));
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
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        self.files.get(path).cloned().transpose()
    }

    fn user(&self, name: &str) -> Option<Identity> {
        let is_known = name == "www-data";
        is_known.then(|| Identity {
            user: name.into(),
            login: name.into(),
            home: "/var/www".into(),
            shell: "/usr/sbin/nologin".into(),
            uid: 33,
            gid: 33,
            groups: vec![33, 44],
        })
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "video").then_some(44)
    }

    fn may_change_user(&self) -> bool {
        self.is_root
    }

    fn least_nice(&self) -> i32 {
        if self.is_root { -20 } else { 0 }
    }

    fn limit_most(&self, _: LimitKind) -> u64 {
        if self.is_root { u64::MAX } else { 1 << 20 }
    }

    fn folder(&self, path: &Path) -> FolderState {
        match path.to_str() {
            Some("/srv/missing") => FolderState::Missing,
            Some("/srv/file") => FolderState::NotAFolder,
            Some(_) | None => FolderState::There,
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// A whole file: these lines as those of a pool `web` that has a command, or as they are if the first names a table.
pub fn whole(lines: &str) -> String {
    let of_file = ["[", "pool", "sealed", "chaos", "http"];
    if of_file.iter().any(|start| lines.starts_with(start)) {
        return format!("{lines}\n");
    }
    let own = lines.split("\n[").next().unwrap_or_default();
    let command = if own.contains("command") { "" } else { "command = \"x\"\n" };
    format!("[pool.web]\n{command}{lines}\n")
}

pub fn first_pool(lines: &str) -> Pool {
    let text = whole(lines);
    let plan = FakeHost::as_root().pm_toml(&text);
    plan.unwrap_or_else(|faults| panic!("{text}\n{faults}")).pools.remove(0)
}

/// The pictures of the faults of a text that has some.
pub fn pictures_of(plan: Result<Plan, Faults>, text: &str) -> String {
    match plan {
        Ok(plan) => panic!("this has no fault:\n{text}\n{plan:#?}"),
        Err(faults) => pictures(&faults),
    }
}
