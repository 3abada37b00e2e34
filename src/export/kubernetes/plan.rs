//! The `pm.toml` of one pool, for the pm that keeps this pool in a pod.
//!
//! Its keys are those of the plan's file, each with its value as it stands there, without what the pod does instead.

use std::fmt::Write as _;

use crate::export::Export;
use crate::plan::text::toml_string;
use crate::plan::{Pool, SlotsSpec, Stdin};

/// What the pod does: it is a pid namespace and has a user and memory; other pools are not in it, and the files of
/// variables are a Secret.
const OF_THE_POD: [&str; 6] = ["sealed", "after", "env_file", "user", "group", "limits.memory"];

/// The text of the file.
pub fn text(export: &Export<'_>, pool: &Pool) -> String {
    let source = export.source;
    let mut text = format!("# The pool {} of {source}, for `pm run`.\n", pool.name);
    for of_pool in [None, Some(&pool.name)] {
        if let Some(name) = of_pool {
            let _ = write!(text, "\n[pool.{}]\n", toml_string::key(name));
        }
        let keys = export.given.iter().filter(|key| key.pool.as_ref() == of_pool);
        for key in keys.filter(|key| !OF_THE_POD.contains(&key.key.as_str())) {
            let _ = writeln!(text, "{} = {}", key.key, key.value);
        }
    }
    // What a Procfile does not say.
    if let SlotsSpec::PortVariable { workers, first } = pool.spec.slots {
        let stdin = Stdin::Open.written();
        let _ =
            write!(text, "workers = {workers}\nenv = {{ PORT = {first} }}\nstdin = '{stdin}'\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::export::Wishes;
    use crate::plan::format::Format;
    use crate::plan::host::FolderState;
    use crate::plan::procfile::{self, Options};
    use crate::plan::{Document, Host, Identity, Plan, Unreadable, given, pm_toml};

    /// It has the files that the plan names, each with one variable, and root.
    struct SmallHost;

    impl Host for SmallHost {
        fn read(&self, _: &Path) -> Result<Option<String>, Unreadable> {
            Ok(Some("A=b\n".to_owned()))
        }

        fn user(&self, name: &str) -> Option<Identity> {
            let [user, login] = [name, name].map(str::to_owned);
            let [home, shell] = ["/root", "/bin/sh"].map(str::to_owned);
            Some(Identity { user, login, home, shell, uid: 0, gid: 0, groups: Vec::new() })
        }

        fn group(&self, _: &str) -> Option<u32> {
            Some(0)
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

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn document(text: &str) -> Document {
        Document { name: "pm.toml".into(), text: text.into(), dir: "/srv/app".into() }
    }

    /// The plan of each pool's file.
    fn alone(plan: &Plan, document: &Document, format: Format) -> Vec<Plan> {
        let given = given::keys(document, format, Some(".env"));
        let pools = plan.pools.iter().collect();
        let wishes = Wishes::default();
        let export = Export { plan, given: &given, pools, source: "pm.toml", wishes };
        let read = |pool: &Pool| {
            let text = text(&export, pool);
            let document = Document { text: text.clone(), ..document.clone() };
            pm_toml::read(&document, &SmallHost).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
        };
        plan.pools.iter().map(read).collect()
    }

    #[test]
    fn pm_reads_each_pool_as_it_is_in_the_plan() {
        let document = document(include_str!("../../../tests/export/every_key.toml"));
        let plan = pm_toml::read(&document, &SmallHost).unwrap();
        let alone = alone(&plan, &document, Format::PmToml);
        assert!(alone.len() > 10);
        for (of_plan, alone) in plan.pools.iter().zip(alone) {
            let mut expected = of_plan.clone();
            expected.after = Vec::new();
            expected.spec.env_files = Vec::new();
            expected.spec.exec.identity = None;
            expected.spec.exec.limits.memory_bytes = None;
            expected.slots = expected.spec.expand(&expected.name, expected.spec.count());
            assert_eq!(alone.pools, [expected]);
            assert!(!alone.sealed && alone.chaos && alone.http == plan.http);
            assert_eq!(alone.ring_bytes, plan.ring_bytes);
        }
    }

    #[test]
    fn pm_reads_each_process_type_as_it_is_in_the_procfile() {
        let document = document("web: exec ./serve $PORT ${A:-{}}\njob: it's 'a \"b\"'\n");
        let plan = procfile::read(&document, &Options::default(), &SmallHost).unwrap();
        for (of_plan, alone) in plan.pools.iter().zip(alone(&plan, &document, Format::Procfile)) {
            let [pool] = alone.pools.as_slice() else { panic!("{alone:?}") };
            let sorted = |pool: &Pool| {
                let mut exec = pool.slots[0].exec.clone();
                // That of the file of variables is not in it.
                exec.env.retain(|(name, _)| name != "A");
                exec.env.sort();
                exec
            };
            assert_eq!((&pool.name, sorted(pool)), (&of_plan.name, sorted(of_plan)));
            assert_eq!((pool.policy, pool.slots.len()), (of_plan.policy, of_plan.slots.len()));
        }
    }
}
