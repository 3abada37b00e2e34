//! The lab's pool: three Deno web servers on 8080, 8081 and 8082. What `pm` runs in a folder that has a
//! `web.ts` and no file of its own that says what to run.

use std::path::Path;

use super::host::{Document, FolderState, Host, Unreadable};
use super::{Identity, Plan, pm_toml};

/// A folder with this file in it is the lab's.
pub const SCRIPT: &str = "web.ts";

/// The `pm.toml` of the lab.
pub const TEXT: &str = include_str!("lab.toml");

/// The lab's pool in the folder `dir`.
pub fn plan(dir: &Path) -> Plan {
    let document = Document { name: "lab.toml".into(), text: TEXT.into(), dir: dir.to_owned() };
    pm_toml::read(&document, &NoHost).expect("a test reads it")
}

/// The lab's file depends on nothing of the machine.
struct NoHost;

impl Host for NoHost {
    fn read(&self, _: &Path) -> Result<Option<String>, Unreadable> {
        Ok(None)
    }

    fn user(&self, _: &str) -> Option<Identity> {
        None
    }

    fn group(&self, _: &str) -> Option<u32> {
        None
    }

    fn may_change_user(&self) -> bool {
        false
    }

    fn least_nice(&self) -> i32 {
        -20
    }

    fn folder(&self, _: &Path) -> FolderState {
        FolderState::Unknown
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{MissingHint, Probe, ReadyBy};

    #[test]
    fn the_workers_run_the_command_of_make_web() {
        let plan = plan(Path::new("/srv"));
        let (pool, slot) = plan.slots().nth(1).expect("three slots");
        let argv = slot.exec.argv.join(" ".as_ref());
        assert_eq!(argv, "deno run --allow-read --allow-net web.ts 8081");
        assert_eq!((slot.name.as_str(), slot.port), ("web.2", Some(8081)));
        assert_eq!(slot.ready.by, ReadyBy::Probe(Probe::Tcp { port: 8081 }));
        assert_eq!(slot.exec.path, [Path::new("/srv/.deno/bin")]);
        assert!(slot.exec.env.contains(&("DENO_NO_PROMPT".into(), "1".into())));
        assert_eq!(pool.missing_hint, Some(MissingHint::MakeDeno));
    }
}
