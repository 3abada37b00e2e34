//! pm.toml(5), made of the JSON schema of `pm.toml`: each key with its type, its default and its meaning.
//!
//! A key that the types of [`crate::plan::pm_toml`] gain is on the page without a change here.

use clap_mangen::roff::{Inline, Roff, bold, roman};
use serde_json::{Map, Value};

use super::text;
use crate::cli::args::PM_TOML_PAGE;
use crate::plan::pm_toml;
use crate::plan::text::phrase;

/// File formats (man-pages(7)).
const SECTION: &str = "5";

const DESCRIPTION: [&str; 8] = [
    "pm reads `pm.toml` in the folder where it is started; `pm run -f FILE` names another file, or a \
     pipe, which is read once. `pm init` writes one, \
     `pm check` prints its faults, `pm schema` prints its JSON schema.",
    "The file is TOML. It has one table `[pool.NAME]` for each pool. A name is letters, digits, `-` and `_`. Paths are \
     relative to the folder of the file. A key or value that pm cannot use is an error; nothing is ignored.",
    "Before the first table there may be `sealed = true`: all processes are in a pid namespace, and none outlives pm, \
     even if all of pm is killed at once. The default is false; the option --sealed does the same.",
    "There may be `http = \"127.0.0.1:9001\"`: a page for browsers, and /metrics, are served there. None is by default. On an \
     address of loopback only the user of pm and root may read the page; any other address needs --http-token-file, see \
     `pm-run`(1).",
    "There may also be a table `[log]`. Its key `ring` is the memory in which pm keeps the last lines of all workers, \
     with each death among them: \"4MiB\" by default, \"0\" for none. It is taken as lines come; the oldest lines are \
     dropped.",
    "A time is a number with its unit, at most a day: \"100ms\", \"5s\", \"1m30s\". A size is a number of bytes, or a \
     number with its unit: \"10MB\", \"512MiB\".",
    "pm replaces {port}, {slot} (web.2), {n} (2), {pool} and {dir} (the folder of the file) in `command`, `cwd`, the \
     values of `env`, the commands of `ready` and `alive`, and the file of `log`. There, {{ and }} are braces.",
    "SIGUSR1 makes pm read the file again: see `pm`(1).",
];

const EXAMPLE: &str = include_str!("example.toml");

/// The page.
pub fn pm_toml() -> String {
    let schema = pm_toml::schema();
    let mut roff = Roff::new();
    let name = format!("{PM_TOML_PAGE} - the pools of workers that pm keeps running");
    text::section(&mut roff, "NAME", &[name]);
    text::section(&mut roff, "DESCRIPTION", &DESCRIPTION);
    roff.control("SH", ["KEYS OF A POOL"]);
    let pool = target(&schema, &schema["properties"]["pool"]["additionalProperties"]);
    keys(&mut roff, pool);
    for (key, table) in tables(&schema, pool) {
        let description = description(table);
        let description: Vec<_> = description.iter().collect();
        text::section(&mut roff, &format!("KEYS OF {}", key.to_uppercase()), &description);
        keys(&mut roff, table);
    }
    let lines = target(&schema, &schema["properties"]["log"]);
    text::section(&mut roff, "KEYS OF THE FILE'S LOG", &Vec::from_iter(description(lines)));
    keys(&mut roff, lines);
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    text::section(&mut roff, "SEE ALSO", &["pm(1), pm-check(1), pm-init(1), pm-schema(1)"]);
    text::page(PM_TOML_PAGE, SECTION, &roff)
}

/// The keys of a table, those that it must have first.
fn keys(roff: &mut Roff, table: &Value) {
    let Some(properties) = table["properties"].as_object() else { return };
    let required = |key: &str| {
        let required = table["required"].as_array();
        required.is_some_and(|keys| keys.iter().any(|other| other == key))
    };
    let mut keys: Vec<_> = properties.iter().collect();
    keys.sort_by_key(|(key, _)| !required(key));
    for (key, schema) in keys {
        let mut tag = vec![bold(key.as_str()), roman(format!(" = {}", kind(schema)))];
        if required(key) {
            tag.push(roman(" (required)"));
        }
        item(roff, tag, schema);
    }
}

fn item(roff: &mut Roff, tag: Vec<Inline>, schema: &Value) {
    let mut meaning = description(schema).unwrap_or_default();
    if let Some(default) = schema.get("default") {
        meaning += &format!(" Default: {}.", toml(default));
    } else if let Some(examples) = schema["examples"].as_array() {
        let examples: Vec<_> = examples.iter().map(toml).collect();
        meaning += &format!(" For example {}.", phrase::list_or(&examples));
    }
    text::item(roff, tag, meaning.trim());
}

/// The tables that keys of this table have as their values.
fn tables<'a>(schema: &'a Value, table: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let properties = table["properties"].as_object().into_iter().flat_map(Map::iter);
    let found = properties.map(|(key, value)| (key.as_str(), target(schema, value)));
    found.filter(|(_, value)| value["properties"].is_object()).collect()
}

/// What a `$ref` refers to, or the schema itself.
fn target<'a>(schema: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| schema.pointer(pointer)).unwrap_or(value)
}

fn description(schema: &Value) -> Option<String> {
    Some(schema["description"].as_str()?.replace('\n', " "))
}

/// What a value may be: `integer, 1 to 1000`.
fn kind(schema: &Value) -> String {
    if schema.get("$ref").is_some() {
        return "table".into();
    }
    if let Some(value) = schema.get("const") {
        return toml(value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return phrase::list_or(&values.iter().map(toml).collect::<Vec<_>>());
    }
    if let Some(several) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let mut kinds: Vec<_> = several.iter().map(kind).collect();
        // What one can be first, then arrays of these.
        kinds.sort_by_key(|kind| kind.starts_with("array"));
        return phrase::list_or(&kinds);
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let types: Vec<_> = types.into_iter().map(|kind| kind_of_type(kind, schema)).collect();
    phrase::list_or(&types) + &range(schema)
}

fn kind_of_type(name: &str, schema: &Value) -> String {
    match name {
        "array" => match kind(&schema["items"]) {
            several if several.contains(' ') => "array of these".into(),
            one => format!("array of {one}s"),
        },
        "object" => "table".into(),
        other => other.into(),
    }
}

fn range(schema: &Value) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(minimum), Value::Number(maximum)) => format!(", {minimum} to {maximum}"),
        (Value::Number(minimum), _) => format!(", at least {minimum}"),
        (_, Value::Number(maximum)) => format!(", at most {maximum}"),
        _ => String::new(),
    }
}

/// A value of JSON as TOML has it.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) if table.is_empty() => "{}".into(),
        Value::Object(table) => {
            let keys: Vec<_> =
                table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_key_of_the_schema_is_on_the_page() {
        let (schema, page) = (pm_toml::schema(), pm_toml());
        let tables = schema["$defs"].as_object().unwrap();
        let keys = tables.values().filter_map(|table| table["properties"].as_object());
        let keys: Vec<_> = keys.flat_map(Map::keys).collect();
        assert!(keys.len() > 40, "{keys:?}");
        for key in keys {
            let tag = format!("\\fB{}\\fR = ", key.replace('-', "\\-"));
            assert!(page.contains(&tag), "`{key}` is not on the page");
        }
    }

    #[test]
    fn a_value_is_described_by_its_type_its_range_and_its_choices() {
        let kinds = [
            (json!({ "type": "integer", "minimum": 1, "maximum": 9 }), "integer, 1 to 9"),
            (json!({ "type": ["string", "integer"] }), "string or integer"),
            (json!({ "enum": ["a", "b", "c"] }), "\"a\", \"b\" or \"c\""),
            (json!({ "type": "array", "items": { "type": "string" } }), "array of strings"),
            (
                json!({ "anyOf": [
                    { "type": "array", "items": { "type": "string" } },
                    { "type": "string" },
                ] }),
                "string or array of strings",
            ),
            (json!({ "anyOf": [{ "const": true }, { "type": "string" }] }), "true or string"),
            (json!({ "$ref": "#/$defs/A" }), "table"),
        ];
        for (schema, words) in kinds {
            assert_eq!(kind(&schema), words);
        }
    }

    #[test]
    fn a_default_is_written_as_toml() {
        assert_eq!(toml(&json!({ "first": "100ms" })), "{ first = \"100ms\" }");
        assert_eq!(toml(&json!({})), "{}");
        assert_eq!(toml(&json!([".env", 5])), "[\".env\", 5]");
    }
}
