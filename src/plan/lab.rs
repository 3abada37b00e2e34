//! The lab's pool: three Deno web servers on 8080, 8081 and 8082. What `pm` runs when `web.ts` is here.

use std::ffi::OsString;
use std::path::Path;

use super::host::{Account, Document, Host};
use super::{Plan, pm_toml};

/// The file whose presence means that this is the lab.
pub const SCRIPT: &str = "web.ts";

/// The `pm.toml` of the lab.
pub const TEXT: &str = include_str!("lab.toml");

/// The lab's pool in the folder `dir`.
pub fn plan(dir: &Path) -> Plan {
    let document = Document { name: "lab.toml".into(), text: TEXT.into(), dir: dir.to_owned() };
    pm_toml::read(&document, &Nowhere).expect("a test reads it")
}

/// What to do where the program of the lab is not there.
pub fn missing_hint(argv: &[OsString]) -> Option<String> {
    let is_lab = argv.first().is_some_and(|program| program == "deno")
        && argv.iter().any(|argument| argument == SCRIPT);
    is_lab.then(|| "try `make deno`".into())
}

/// The lab asks nothing of the machine.
struct Nowhere;

impl Host for Nowhere {
    fn read(&self, _: &Path) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn user(&self, _: &str) -> Option<Account> {
        None
    }

    fn group(&self, _: &str) -> Option<u32> {
        None
    }

    fn may_change_user(&self) -> bool {
        false
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Probe, Ready};

    #[test]
    fn the_workers_run_the_command_of_make_web() {
        let plan = plan(Path::new("/srv"));
        let (pool, slot) = plan.slots().nth(1).expect("three slots");
        let argv = slot.exec.argv.join(" ".as_ref());
        assert_eq!(argv, "deno run --allow-read --allow-net web.ts 8081");
        assert_eq!((slot.name.as_str(), slot.port), ("web.2", Some(8081)));
        assert_eq!(slot.ready, Ready::Probe(Probe::Tcp { port: 8081 }));
        assert_eq!(slot.exec.path, [Path::new("/srv/.deno/bin")]);
        assert!(slot.exec.env.contains(&("DENO_NO_PROMPT".into(), "1".into())));
        assert_eq!(pool.missing_hint.as_deref(), Some("try `make deno`"));
    }
}
