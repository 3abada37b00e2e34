//! Random texts: whatever is written down reads back.

use pm::plan::dotenv;
use pm::plan::procfile::Options;
use pm::plan::text::diagnostics::Findings;
use proptest::prelude::*;

use crate::fake_host::FakeHost;

/// The name of a pool.
fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,12}"
}

/// Any text without a zero byte.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,20}"
}

/// A string as TOML writes it. Every escape of JSON is one of TOML; DEL is escaped by TOML alone.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007f")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_written_as_pm_toml_reads_back(
        pools in prop::collection::btree_map(
            name(),
            (prop::collection::vec(text(), 0..4), 1_usize..4, text(), 0_u64..86_400_000),
            1..5,
        ),
    ) {
        let mut file = String::new();
        for (name, (arguments, workers, value, grace_ms)) in &pools {
            let argv = std::iter::once("x".to_owned()).chain(arguments.iter().cloned());
            let argv: Vec<_> = argv.map(|text| quoted(&pm::plan::text::placeholders::escaped(&text))).collect();
            file += &format!("[pool.{name}]\ncommand = [{}]\nworkers = {workers}\n", argv.join(", "));
            file += &format!("env = {{ A = {} }}\n", quoted(&pm::plan::text::placeholders::escaped(value)));
            file += &format!("stop = {{ grace = '{grace_ms}ms' }}\n");
        }
        let plan = FakeHost::default().pm_toml(&file).map_err(|faults| {
            TestCaseError::fail(format!("{file}\n{faults}"))
        })?;
        prop_assert_eq!(plan.pools.len(), pools.len());
        for (pool, (name, (arguments, workers, value, grace_ms))) in plan.pools.iter().zip(&pools) {
            prop_assert_eq!(&pool.name, name);
            prop_assert_eq!(pool.slots.len(), *workers);
            prop_assert_eq!(pool.policy.grace.as_millis(), u128::from(*grace_ms));
            for slot in &pool.slots {
                let read: Vec<_> = slot.exec.argv[1..].iter().map(|os| os.to_str().unwrap()).collect();
                prop_assert_eq!(&read, arguments);
                prop_assert!(slot.exec.env.contains(&("A".into(), value.clone())));
            }
        }
    }

    #[test]
    fn a_variable_written_in_double_quotes_reads_back(value in text()) {
        let mut written = String::new();
        for c in value.chars() {
            match c {
                '\n' => written += "\\n",
                '\r' => written += "\\r",
                '"' | '\\' | '$' => written.extend(['\\', c]),
                other => written.push(other),
            }
        }
        let mut findings = Findings::default();
        let file = findings.add_source(".env", format!("A=\"{written}\" # a comment\nB=1\n"));
        let read = dotenv::read(file, &mut findings);
        prop_assert!(findings.is_empty());
        prop_assert_eq!(&read[0].value, &value);
        prop_assert_eq!(&read[1].name, "B");
    }

    #[test]
    fn a_command_of_a_procfile_is_the_text_after_the_colon(
        name in name(),
        command in "[^\\x00\\s][^\\x00\\r\\n]{0,20}[^\\x00\\s]",
    ) {
        let plan = FakeHost::default().procfile(&format!("{name}: {command}\n"), &Options::default());
        let plan = plan.map_err(|faults| TestCaseError::fail(faults.to_string()))?;
        prop_assert_eq!(plan.pools[0].slots[0].exec.argv[2].to_str(), Some(command.as_str()));
    }
}
