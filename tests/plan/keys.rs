//! The table of keys: each key of `pm.toml` is in it, its right values come out in the plan, and of its wrong values
//! people are shown what the snapshots say.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fake_host::{FakeHost, first_pool, shown, whole};
use crate::rows::ROWS;

#[test]
fn a_right_value_comes_out_in_the_plan() {
    for row in ROWS {
        assert!(!row.right.is_empty(), "{}", row.key);
        for (lines, holds) in row.right {
            println!("{}: {lines}", row.key);
            holds(&first_pool(lines));
        }
    }
}

#[test]
fn a_wrong_value_is_shown_with_its_place_and_what_would_be_right() {
    for row in ROWS {
        assert!(!row.wrong.is_empty(), "{}", row.key);
        let said = row.wrong.iter().map(|lines| {
            let text = whole(lines);
            shown(FakeHost::of_root().pm_toml(&text), &text)
        });
        let said = said.collect::<Vec<_>>().join("\n----\n\n");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(row.key, said);
        });
    }
}

#[test]
fn only_root_may_name_a_user() {
    let text = whole("user = 'www-data'");
    let said = shown(FakeHost::of_nobody().pm_toml(&text), &text);
    assert!(said.contains("only root may run workers as `www-data`"), "{said}");
    assert!(said.contains("start pm as root, or take `user` out"), "{said}");
}

#[test]
fn every_key_of_the_schema_is_in_the_table() {
    let schema = pm::plan::pm_toml::schema();
    let mut keys = BTreeSet::from(["pool".to_owned()]);
    collect(&schema, &schema["$defs"]["PoolTable"], "", &mut keys);
    let known: BTreeSet<_> = ROWS.iter().map(|row| row.key.to_owned()).collect();
    assert_eq!(known, keys);
    assert_eq!(known.len(), ROWS.len(), "a key is there twice");
}

/// Every key below a part of the schema.
fn collect(schema: &Value, part: &Value, above: &str, keys: &mut BTreeSet<String>) {
    let part = match part["$ref"].as_str() {
        Some(name) => &schema["$defs"][name.trim_start_matches("#/$defs/")],
        None => part,
    };
    for (name, child) in part["properties"].as_object().into_iter().flatten() {
        let key = format!("{above}{name}");
        assert!(child["description"].is_string() || above == "max_restarts.", "{key} says nothing");
        collect(schema, child, &format!("{key}."), keys);
        keys.insert(key);
    }
}
