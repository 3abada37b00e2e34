//! What becomes of each key of a `pm.toml` with each engine: the one table that notes and docs/export.md are made from.
//!
//! Each engine has a file with its column. A test holds it against the schema: a new key without a row is a failure.

mod compose;
mod kubernetes;
mod kubernetes_pool;
mod nomad;
mod procfile;
mod systemd;

use super::{Engine, PodPer};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it is in the files: as what.
    Carried(&'static str),
    /// How, and what is lost.
    InPart(&'static str),
    /// Why, and what to do instead.
    Not(&'static str),
}

/// A key as it stands in a pool, `ready.http`, and what becomes of it.
type Row = (&'static str, Coverage);

/// What becomes of a key that pm in the pod of a whole pool reads itself.
const BY_PM: Coverage = Coverage::Carried("pm in the pod does it");

/// What becomes of a key; `None` if there is no such key.
pub fn of(engine: Engine, pod_per: PodPer, key: &str) -> Option<Coverage> {
    let row = |rows: &[Row]| rows.iter().find(|(name, _)| *name == key).map(|(_, of)| *of);
    match (engine, pod_per) {
        (Engine::Kubernetes, PodPer::Pool) => {
            row(kubernetes_pool::ROWS).or_else(|| row(kubernetes::ROWS).map(|_| BY_PM))
        }
        (
            Engine::Systemd
            | Engine::Compose
            | Engine::Kubernetes
            | Engine::Procfile
            | Engine::Nomad,
            _,
        ) => row(rows(engine)),
    }
}

/// Every key, as it stands in a pool or before all pools.
pub fn keys() -> impl Iterator<Item = &'static str> {
    systemd::ROWS.iter().map(|(key, _)| *key)
}

fn rows(engine: Engine) -> &'static [Row] {
    match engine {
        Engine::Systemd => systemd::ROWS,
        Engine::Compose => compose::ROWS,
        Engine::Kubernetes => kubernetes::ROWS,
        Engine::Procfile => procfile::ROWS,
        Engine::Nomad => nomad::ROWS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::plan::pm_toml;

    /// Each key of the schema, with the keys of the tables that it is in.
    fn keys_of_schema() -> BTreeSet<String> {
        let schema = pm_toml::schema();
        let mut keys = BTreeSet::new();
        collect(&schema, &schema, "", &mut keys);
        collect(&schema, &schema["$defs"]["PoolTable"], "", &mut keys);
        keys.remove("pool");
        keys
    }

    fn collect(schema: &Value, table: &Value, of: &str, keys: &mut BTreeSet<String>) {
        for (name, value) in table["properties"].as_object().unwrap() {
            let key = if of.is_empty() { name.clone() } else { format!("{of}.{name}") };
            let text = value.to_string();
            let table = text.split("#/$defs/").nth(1).map(|rest| rest.split('"').next().unwrap());
            let table = table.map(|name| &schema["$defs"][name]);
            match table.filter(|table| table["properties"].is_object() && key != "pool") {
                Some(table) => collect(schema, table, &key, keys),
                None => drop(keys.insert(key)),
            }
        }
    }

    #[test]
    fn each_engine_has_a_row_for_each_key_and_no_other() {
        let keys = keys_of_schema();
        assert!(keys.len() > 60 && keys.contains("alive.failures"), "{keys:?}");
        for engine in Engine::ALL {
            let rows: Vec<_> = rows(engine).iter().map(|(key, _)| (*key).to_owned()).collect();
            let known: BTreeSet<_> = rows.iter().cloned().collect();
            let written = engine.written();
            assert_eq!(known.len(), rows.len(), "{written}: a key is there twice");
            assert_eq!(
                known.difference(&keys).collect::<Vec<_>>(),
                [""; 0],
                "{written}: no key of the schema"
            );
            assert_eq!(
                keys.difference(&known).collect::<Vec<_>>(),
                [""; 0],
                "{written}: keys without a row"
            );
        }
    }

    #[test]
    fn what_pm_does_not_do_in_the_pod_of_a_pool_is_a_key_of_the_schema() {
        let keys = keys_of_schema();
        let rows: Vec<_> = kubernetes_pool::ROWS.iter().map(|(key, _)| *key).collect();
        let known: BTreeSet<_> = rows.iter().collect();
        assert_eq!(known.len(), rows.len(), "a key is there twice");
        let unknown: Vec<_> = rows.iter().filter(|key| !keys.contains(**key)).collect();
        assert_eq!(unknown, [&""; 0]);
        assert_eq!(of(Engine::Kubernetes, PodPer::Pool, "backoff.first"), Some(BY_PM));
        assert_eq!(of(Engine::Kubernetes, PodPer::Pool, "backoff.frist"), None);
    }

    #[test]
    fn what_is_not_carried_says_what_to_do() {
        let of_pool = kubernetes_pool::ROWS.iter().map(|row| (Engine::Kubernetes, row));
        for (engine, (key, coverage)) in Engine::ALL
            .into_iter()
            .flat_map(|engine| rows(engine).iter().map(move |row| (engine, row)))
            .chain(of_pool)
        {
            let words = match coverage {
                Coverage::Carried(words) => words,
                Coverage::InPart(words) | Coverage::Not(words) => {
                    assert!(
                        words.contains([':', ';', ',']),
                        "{}: {key}: {words}",
                        engine.written()
                    );
                    words
                }
            };
            assert!(
                words.len() > 3 && !words.contains('|'),
                "{}: {key}: {words}",
                engine.written()
            );
        }
    }

    /// The tables of docs/export.md.
    fn tables() -> String {
        let mut text = String::new();
        for engine in Engine::ALL {
            write!(text, "### {}\n\n{}", engine.written(), table(rows(engine))).unwrap();
            if engine == Engine::Kubernetes {
                text += "### kubernetes --pod-per pool\n\nEach key that is not here is carried: pm in the pod does it.\n\n";
                text += &table(kubernetes_pool::ROWS);
            }
        }
        text
    }

    fn table(rows: &[Row]) -> String {
        let mut text = "| key | | what becomes of it |\n|---|---|---|\n".to_owned();
        for (key, coverage) in rows {
            let (mark, words) = match coverage {
                Coverage::Carried(words) => ("carried", words),
                Coverage::InPart(words) => ("in part", words),
                Coverage::Not(words) => ("not", words),
            };
            writeln!(text, "| `{key}` | {mark} | {words} |").unwrap();
        }
        text + "\n"
    }

    #[test]
    fn the_docs_have_the_tables() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/export.md");
        let docs = fs::read_to_string(&path).unwrap();
        let heading = "## The tables\n\n";
        let (before, found) = docs.split_once(heading).unwrap();
        // As for snapshots.
        if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
            fs::write(&path, format!("{before}{heading}{}\n", tables().trim_end())).unwrap();
            return;
        }
        assert_eq!(found.trim_end(), tables().trim_end(), "INSTA_UPDATE=always writes the tables");
    }
}
