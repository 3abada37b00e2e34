//! Every key of `pm.toml` has a row in [`rows`]. Its right values come out in the plan; for its wrong values the
//! snapshots have the pictures of the faults.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fake_host::{FakeHost, first_pool, pictures_of, whole};
use crate::rows::rows;

#[test]
fn a_right_value_is_in_the_plan() {
    for row in rows() {
        assert!(!row.right.is_empty(), "{}", row.key);
        for (lines, holds) in row.right {
            println!("{}: {lines}", row.key);
            holds(&first_pool(lines));
        }
    }
}

#[test]
fn a_wrong_value_is_a_fault_with_its_place_and_help() {
    for row in rows() {
        assert!(!row.wrong.is_empty(), "{}", row.key);
        let pictures = row.wrong.iter().map(|lines| {
            let text = whole(lines);
            pictures_of(FakeHost::as_root().pm_toml(&text), &text)
        });
        let pictures = pictures.collect::<Vec<_>>().join("\n----\n\n");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(row.key, pictures);
        });
    }
}

#[test]
fn only_root_may_name_a_user() {
    let text = whole("user = 'www-data'");
    let pictures = pictures_of(FakeHost::as_user().pm_toml(&text), &text);
    assert!(pictures.contains("only root may run workers as `www-data`"), "{pictures}");
    assert!(pictures.contains("start pm as root, or remove `user`"), "{pictures}");
}

#[test]
fn only_a_privileged_pm_may_give_a_worker_a_nice_value_below_its_own() {
    let text = whole("nice = -5");
    let pictures = pictures_of(FakeHost::as_user().pm_toml(&text), &text);
    assert!(pictures.contains("pm may not give a worker the nice value -5"), "{pictures}");
    assert!(pictures.contains("give 0 to 19, or start pm as root"), "{pictures}");
    assert!(FakeHost::as_user().pm_toml(&whole("nice = 0")).is_ok(), "pm's own");
}

#[test]
fn only_a_privileged_pm_may_give_a_worker_a_higher_limit_than_its_own() {
    let with = |lines: &str| whole(&format!("limits = {{ {lines} }}"));
    for lines in ["open_files = 1_048_577", "memory = '1025KiB'"] {
        assert!(FakeHost::as_root().pm_toml(&with(lines)).is_ok(), "{lines}");
        let pictures = pictures_of(FakeHost::as_user().pm_toml(&with(lines)), lines);
        assert!(pictures.contains("raise the hard limit before pm starts"), "{pictures}");
    }
    let own = with("open_files = 1_048_576, file_size = '1MiB'");
    assert!(FakeHost::as_user().pm_toml(&own).is_ok());
}

#[test]
fn a_sealed_plan_is_sealed() {
    for (line, is_sealed) in [("", false), ("sealed = false\n", false), ("sealed = true\n", true)] {
        let plan = FakeHost::as_root().pm_toml(&format!("{line}[pool.web]\ncommand = 'x'\n"));
        assert_eq!(plan.unwrap().sealed, is_sealed, "{line}");
    }
}

#[test]
fn a_plan_allows_chaos_only_if_it_says_so() {
    for (line, is_allowed) in [("", false), ("chaos = false\n", false), ("chaos = true\n", true)] {
        let plan = FakeHost::as_root().pm_toml(&format!("{line}[pool.web]\ncommand = 'x'\n"));
        assert_eq!(plan.unwrap().chaos, is_allowed, "{line}");
    }
}

#[test]
fn the_page_has_an_address_with_a_port() {
    let read =
        |line: &str| FakeHost::as_root().pm_toml(&format!("{line}[pool.web]\ncommand = 'x'\n"));
    assert_eq!(read("").unwrap().http, None);
    for address in ["127.0.0.1:9001", "[::1]:0", "0.0.0.0:80"] {
        let http = read(&format!("http = '{address}'\n")).unwrap().http.unwrap();
        assert_eq!(http.address.to_string(), address);
        assert_eq!(http.token, None);
    }
    for wrong in ["'9001'", "'localhost:9001'", "'127.0.0.1'", "9001", "true"] {
        let line = format!("http = {wrong}\n");
        let pictures = pictures_of(read(&line), &line);
        assert!(pictures.contains("an IP address with a port"), "{pictures}");
    }
}

#[test]
fn the_lines_of_all_workers_have_their_memory() {
    let rings = [
        ("", 4 << 20),
        ("[log]\n", 4 << 20),
        ("log.ring = '64KiB'\n", 64 << 10),
        ("log = { ring = '1MB' }\n", 1_000_000),
        ("[log]\nring = '0'\n", 0),
        ("[log]\nring = 0\n", 0),
    ];
    for (lines, bytes) in rings {
        let plan = FakeHost::as_root().pm_toml(&format!("{lines}[pool.web]\ncommand = 'x'\n"));
        assert_eq!(plan.unwrap().ring_bytes, bytes, "{lines}");
    }
}

#[test]
fn every_key_of_the_schema_has_a_row() {
    let schema = pm::plan::pm_toml::schema();
    let mut keys = BTreeSet::from(["pool", "sealed", "chaos", "http"].map(str::to_owned));
    collect(&schema, &schema["$defs"]["LinesTable"], "log.", &mut keys);
    collect(&schema, &schema["$defs"]["PoolTable"], "", &mut keys);
    let known: BTreeSet<_> = rows().map(|row| row.key.to_owned()).collect();
    assert_eq!(known, keys);
    assert_eq!(known.len(), rows().count(), "a key has two rows");
}

#[test]
fn the_documents_name_every_default_of_the_schema() {
    let documents =
        [include_str!("../../docs/pm.toml.md"), include_str!("../../src/cli/init.toml")];
    let schema = pm::plan::pm_toml::schema();
    let mut defaults = 0;
    for (table, definition) in schema["$defs"].as_object().unwrap() {
        for (key, child) in definition["properties"].as_object().unwrap() {
            // An empty table or list is not worth a line of the template.
            let Some(default) = child.get("default").filter(|value| !is_empty(value)) else {
                continue;
            };
            defaults += 1;
            let [page, template] = documents;
            assert!(
                page.contains(&default.to_string()),
                "{table}.{key}: {default} in docs/pm.toml.md"
            );
            let line = format!("{key} = {default}");
            assert!(template.contains(&line), "{table}.{key}: `{line}` in src/cli/init.toml");
        }
    }
    assert!(defaults >= 15, "{defaults}");
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(|map| map.is_empty())
}

/// Every key below a part of the schema.
fn collect(schema: &Value, part: &Value, above: &str, keys: &mut BTreeSet<String>) {
    let part = match part["$ref"].as_str() {
        Some(name) => &schema["$defs"][name.trim_start_matches("#/$defs/")],
        None => part,
    };
    for (name, child) in part["properties"].as_object().into_iter().flatten() {
        let key = format!("{above}{name}");
        let description = child["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty() && !description.contains('\n'), "{key}: {description:?}");
        collect(schema, child, &format!("{key}."), keys);
        keys.insert(key);
    }
}
