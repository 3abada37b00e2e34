//! The JSON schema that editors use: it accepts what pm accepts, and refuses what it can say of what pm refuses.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::fake_host::{FakeHost, whole};
use crate::rows::rows;

#[test]
fn the_schema_accepts_every_right_value() {
    for row in rows() {
        for (lines, _) in row.right {
            assert_eq!(faults_of(&whole(lines)), [""; 0], "{}: {lines}", row.key);
        }
    }
}

#[test]
fn the_schema_refuses_what_excludes_each_other_and_what_is_written_wrong() {
    for lines in [
        "ports = 80\nworkers = 2",
        "command = 5",
        "command = []",
        "workers = 0",
        "workers = 50001",
        "workers = 'two'",
        "nice = -21",
        "ports = 0",
        "ports = '80-'",
        "ports = '80;81'",
        "ready = { tcp = 80, exec = 'x' }",
        "ready = { within = '5s' }",
        "alive = { tcp = 80, exec = 'x' }",
        "alive = { every = '5s' }",
        "stop = { grace = '5' }",
        "stop = { grace = '5 parsecs' }",
        "stop = { to = 'all' }",
        "limits = { memory = 'much' }",
        "limits = { memory = '5XB' }",
        "log = { file = 'a', max_size = -1 }",
        "stdin = 'closed'",
        "comand = 'x'",
    ] {
        assert_ne!(faults_of(&whole(lines)), [""; 0], "{lines}");
    }
}

/// Values at the edges of what can be written, in place of `VALUE`.
const EDGES: &[(&str, &[&str])] = &[
    (
        "stop = { grace = 'VALUE' }",
        &[
            "0s",
            "0ns",
            "1ns",
            "999999ns",
            "1000000ns",
            "1us",
            "999us",
            "1000us",
            "1.5 us",
            "1ms",
            "0.5ms",
            "1.5ms",
            "0.001s",
            "0.0005s",
            "1ms 1ns",
            "1ms1us",
            "5 seconds",
            "5 milliseconds",
            "3msecs",
            "2 hrs",
            "1m30s",
            "24h",
            "25h",
            "100h",
            "0h",
            "1d",
            "2 days",
            "5",
            "-5s",
            "",
            "5 parsecs",
            "1h 30m",
            "1h, 30m",
        ],
    ),
    ("ready = { tcp = 80, within = 'VALUE' }", &["0s", "0ms", "1s", "10s", "0.0s", "1h"]),
    ("alive = { tcp = 80, every = 'VALUE', timeout = '1ms' }", &["0s", "1s"]),
    ("alive = { tcp = 80, timeout = 'VALUE' }", &["0s", "1s"]),
    ("max_restarts = { count = 5, within = 'VALUE' }", &["0s", "1m"]),
    (
        "ports = 80\nready = { http = '/', status = VALUE }",
        &[
            "99",
            "100",
            "199",
            "200",
            "399",
            "599",
            "600",
            "'100'",
            "'200'",
            "'200-299'",
            "' 200 - 299 '",
            "'599'",
            "'600'",
            "'100-299'",
            "'+200'",
            "'0200'",
            "'200-600'",
            "'200-'",
            "''",
            "'ok'",
            "true",
        ],
    ),
    ("ports = 80\nready = { http = 'VALUE' }", &["/", "/up?a=b", "up", "", "/a b", "/a#b", "/ü"]),
    (
        "umask = 'VALUE'",
        &["022", "0022", "0o022", "777", "0777", "1777", "7777", "8", "", "0o", "00022"],
    ),
    (
        "stop = { signal = VALUE }",
        &[
            "1",
            "15",
            "64",
            "0",
            "65",
            "-1",
            "9",
            "17",
            "18",
            "19",
            "20",
            "23",
            "34",
            "'TERM'",
            "'sigterm'",
            "'KILL'",
            "'SIGKILL'",
            "'kill'",
            "'9'",
            "'STOP'",
            "'tstp'",
            "'CHLD'",
            "'CONT'",
            "'URG'",
            "'WINCH'",
        ],
    ),
    (
        "ports = VALUE",
        &[
            "0", "1", "65535", "65536", "'0'", "'1-3'", "'65535'", "'65536'", "'99999'", "'080'",
            "'80, 81'",
        ],
    ),
    (
        "limits = { memory = VALUE }",
        &["1", "1048575", "1048576", "1152921504606846977", "'2EiB'", "'1MiB'", "-1"],
    ),
    ("limits = { stack = VALUE }", &["65535", "65536"]),
    ("log = { file = '{slot}', max_size = VALUE }", &["4095", "4096", "'4KiB'"]),
];

#[test]
fn the_schema_and_the_reader_agree_at_the_edges() {
    let mut disagreements = Vec::new();
    for (lines, values) in EDGES {
        for value in *values {
            let text = whole(&lines.replace("VALUE", value));
            let (schema, reader) = (faults_of(&text), FakeHost::as_root().pm_toml(&text));
            if schema.is_empty() != reader.is_ok() {
                disagreements.push(format!("{text}the schema: {schema:?}\nthe reader: {reader:?}"));
            }
        }
    }
    assert!(disagreements.is_empty(), "{}\n{}", disagreements.len(), disagreements.join("\n"));
}

/// What the schema finds wrong in a file.
fn faults_of(text: &str) -> Vec<String> {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut faults = Vec::new();
    let schema = pm::plan::pm_toml::schema();
    validate(&schema, &schema, &json_of(&DeValue::Table(table.into_inner())), "", &mut faults);
    faults
}

fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(integer) => {
            json!(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap())
        }
        DeValue::Float(float) => json!(float.as_str().parse::<f64>().unwrap()),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::Datetime(date) => json!(date.to_string()),
        DeValue::Array(array) => array.iter().map(|element| json_of(element.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// The keywords that the schema uses (JSON Schema 2020-12, Validation). An unknown one is a fault of this test.
fn validate(root: &Value, part: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let holds = |part: &Value| {
        let mut found = Vec::new();
        validate(root, part, value, at, &mut found);
        found.is_empty()
    };
    for (keyword, rule) in part.as_object().into_iter().flatten() {
        let count =
            |rule: &Value| rule.as_array().unwrap().iter().filter(|part| holds(part)).count();
        let is_met = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" => true,
            "format" | "propertyNames" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                holds(&root["$defs"][name])
            }
            "allOf" => count(rule) == rule.as_array().unwrap().len(),
            "anyOf" => count(rule) > 0,
            "oneOf" => count(rule) == 1,
            "not" => !holds(rule),
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|of| is_of(value, of.as_str().unwrap())),
                one => is_of(value, one.as_str().unwrap()),
            },
            "pattern" => value.as_str().is_none_or(|text| {
                regex_lite::Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)
            }),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minItems" => {
                value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap())
            }
            "required" => value.as_object().is_none_or(|table| {
                rule.as_array().unwrap().iter().all(|key| table.contains_key(key.as_str().unwrap()))
            }),
            "items" => value.as_array().into_iter().flatten().all(|element| {
                let mut found = Vec::new();
                validate(root, rule, element, at, &mut found);
                found.is_empty()
            }),
            "properties" => {
                for (key, part) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        validate(root, part, value, &format!("{at}.{key}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                value.as_object().into_iter().flatten().all(|(key, value)| {
                    let is_known = part["properties"].get(key).is_some();
                    let mut found = Vec::new();
                    if !is_known && rule != &json!(false) {
                        validate(root, rule, value, at, &mut found);
                    }
                    is_known || rule != &json!(false) && found.is_empty()
                })
            }
            other => panic!("this test does not know `{other}`"),
        };
        if !is_met {
            faults.push(format!("{at}: {keyword}: {rule}"));
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is not a type"),
    }
}
