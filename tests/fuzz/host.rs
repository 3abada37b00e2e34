//! No test: the text and the machine that the readers of a plan are given.

use std::path::Path;

use pm::plan::Identity;
use pm::plan::host::{Document, FolderState, Host, Unreadable};

pub fn document(name: &str, text: &str) -> Document {
    Document { name: name.into(), text: text.into(), dir: "/srv".into() }
}

pub struct FakeHost<'a> {
    pub dotenv: &'a str,
}

impl Host for FakeHost<'_> {
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(".env") => Ok(Some(self.dotenv.to_owned())),
            Some("secret") => Err(Unreadable::NotRegular),
            Some(_) | None => Ok(None),
        }
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
            groups: Vec::new(),
        })
    }

    fn group(&self, _: &str) -> Option<u32> {
        None
    }

    fn may_change_user(&self) -> bool {
        true
    }

    fn least_nice(&self) -> i32 {
        0
    }

    fn folder(&self, _: &Path) -> FolderState {
        FolderState::Missing
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}
