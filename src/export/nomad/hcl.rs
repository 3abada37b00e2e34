//! A job as HCL, made from the JSON of Nomad's API, so that both say the same.
//!
//! The names and blocks are those of Nomad's job specification. A string is quoted so that HCL gives it back as it is:
//! what Nomad fills in later, such as `${NOMAD_ALLOC_INDEX}`, it finds as it does in the JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// How a field of the API stands in a job specification.
enum Kind {
    Attribute,
    /// Nanoseconds in the API, a number with its unit here.
    Time,
    /// A block, or one for each element of a list.
    Block,
    /// A block whose label is that field of it.
    Labelled(&'static str),
    /// A block of any names.
    Names,
}

use Kind::{Attribute, Block, Labelled, Names, Time};

/// The fields, in the order in which they are written: attributes first, as they stand at the head of a block.
const FIELDS: [(&str, &str, Kind); 50] = [
    ("Name", "name", Attribute),
    ("Type", "type", Attribute),
    ("Datacenters", "datacenters", Attribute),
    ("Count", "count", Attribute),
    ("Driver", "driver", Attribute),
    ("User", "user", Attribute),
    ("KillSignal", "kill_signal", Attribute),
    ("KillTimeout", "kill_timeout", Time),
    ("PortLabel", "port", Attribute),
    ("Provider", "provider", Attribute),
    ("TaskName", "task", Attribute),
    ("Path", "path", Attribute),
    ("Command", "command", Attribute),
    ("Args", "args", Attribute),
    ("Timeout", "timeout", Time),
    ("To", "to", Attribute),
    ("Attempts", "attempts", Attribute),
    ("Interval", "interval", Time),
    ("Delay", "delay", Time),
    ("Mode", "mode", Attribute),
    ("Unlimited", "unlimited", Attribute),
    ("MaxParallel", "max_parallel", Attribute),
    ("MinHealthyTime", "min_healthy_time", Time),
    ("HealthyDeadline", "healthy_deadline", Time),
    ("ProgressDeadline", "progress_deadline", Time),
    ("Limit", "limit", Attribute),
    ("Grace", "grace", Time),
    ("Hook", "hook", Attribute),
    ("Sidecar", "sidecar", Attribute),
    ("DestPath", "destination", Attribute),
    ("Envvars", "env", Attribute),
    ("EmbeddedTmpl", "data", Attribute),
    ("MemoryMB", "memory", Attribute),
    ("Meta", "meta", Names),
    ("Lifecycle", "lifecycle", Block),
    ("Config", "config", Names),
    ("Env", "env", Names),
    ("Templates", "template", Block),
    ("Resources", "resources", Block),
    ("Networks", "network", Block),
    ("DynamicPorts", "port", Labelled("Label")),
    ("Update", "update", Block),
    ("RestartPolicy", "restart", Block),
    ("ReschedulePolicy", "reschedule", Block),
    ("Services", "service", Block),
    ("Checks", "check", Block),
    ("CheckRestart", "check_restart", Block),
    ("TaskGroups", "group", Labelled("Name")),
    ("Tasks", "task", Labelled("Name")),
    ("Job", "job", Labelled("Name")),
];

/// The lines of a block: its attributes, and the blocks in it.
#[derive(Default)]
struct Body {
    /// Names and values.
    attributes: Vec<(String, String)>,
    blocks: Vec<(String, Body)>,
}

/// A job of the API, as it is sent there, `{"Job": {...}}`.
pub fn document(mut job: Value) -> String {
    // Its label is its name too.
    if let Some(fields) = job["Job"].as_object_mut() {
        fields.remove("ID");
    }
    body(job.as_object().expect("a job is a map"), None).text("")
}

/// A block of the API. Its label is not one of its attributes.
fn body(fields: &Map<String, Value>, label: Option<&str>) -> Body {
    let is_known = |name: &String| FIELDS.iter().any(|(field, ..)| field == name);
    debug_assert!(fields.keys().all(|name| label == Some(name) || is_known(name)), "{fields:?}");
    let mut body = Body::default();
    for (field, name, kind) in &FIELDS {
        let Some(value) = fields.get(*field).filter(|_| label != Some(*field)) else { continue };
        match kind {
            Attribute => body.attributes.push(((*name).to_owned(), written(value))),
            Time => body.attributes.push(((*name).to_owned(), time(value))),
            Names => body.add_names(name, value),
            Block => body.add_blocks(name, value, None),
            Labelled(label) => body.add_blocks(name, value, Some(label)),
        }
    }
    body
}

impl Body {
    fn add_blocks(&mut self, name: &str, value: &Value, label: Option<&str>) {
        for fields in several(value).iter().filter_map(Value::as_object) {
            let label_of = |label: &str| fields.get(label).and_then(Value::as_str);
            let head = match label.and_then(label_of) {
                Some(label) => format!("{name} {}", quoted(label)),
                None => name.to_owned(),
            };
            self.blocks.push((head, body(fields, label)));
        }
    }

    /// Names that are data. Where one of them could not name an attribute, the block is a map.
    fn add_names(&mut self, name: &str, value: &Value) {
        let Some(fields) = value.as_object() else { return };
        if !fields.keys().all(|name| is_identifier(name)) {
            self.attributes.push((name.to_owned(), written(value)));
            return;
        }
        let mut inner = Self::default();
        for (name, value) in fields {
            match value {
                Value::Array(list) if list.iter().any(Value::is_object) => {
                    list.iter().for_each(|element| inner.add_names(name, element));
                }
                _ => inner.attributes.push((name.clone(), written(value))),
            }
        }
        self.blocks.push((name.to_owned(), inner));
    }

    /// As `nomad fmt` lays it out.
    fn text(&self, indent: &str) -> String {
        let mut text = String::new();
        let width = self.attributes.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.attributes {
            let _ = writeln!(text, "{indent}{name:width$} = {value}");
        }
        for (head, body) in &self.blocks {
            if !text.is_empty() {
                text.push('\n');
            }
            let inner = body.text(&format!("{indent}  "));
            if inner.is_empty() {
                let _ = writeln!(text, "{indent}{head} {{}}");
            } else {
                let _ = write!(text, "{indent}{head} {{\n{inner}{indent}}}\n");
            }
        }
        text
    }
}

/// The elements of a list, or the one value.
fn several(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// A value on one line.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entry =
                |(name, value): (&String, &Value)| format!("{} = {}", quoted(name), written(value));
            format!("{{ {} }}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A time as Go reads it.
fn time(nanoseconds: &Value) -> String {
    let nanoseconds = nanoseconds.as_u64().expect("a time is a number");
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let fits = units.into_iter().find(|(_, unit)| nanoseconds.is_multiple_of(*unit));
    let (name, unit) = fits.expect("a nanosecond fits");
    quoted(&format!("{}{name}", nanoseconds / unit))
}

fn is_identifier(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_first)
        && name.chars().all(|c| is_first(c) || c.is_ascii_digit() || c == '-')
}

/// A string in which HCL fills in nothing. `$${` and `%%{` stand for `${` and `%{`; after another `$` or `%` the escape
/// with the number of the character is the one that reads as nothing else.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut characters = text.chars().peekable();
    let mut before = None;
    while let Some(c) = characters.next() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if characters.peek() == Some(&'{') => {
                if before == Some(c) {
                    let _ = write!(quoted, "\\u{:04x}", u32::from(c));
                } else {
                    quoted.extend([c, c]);
                }
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
        before = Some(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a parser of HCL reads.
    fn read(hcl: &str) -> Value {
        let context = hcl::eval::Context::new();
        hcl::eval::from_str(hcl, &context).unwrap_or_else(|error| panic!("{error}\n{hcl}"))
    }

    #[test]
    fn what_hcl_would_fill_in_is_escaped() {
        for (text, written) in [
            ("a", r#""a""#),
            ("say \"hi\"\\\n", r#""say \"hi\"\\\n""#),
            ("$A 100% {}", r#""$A 100% {}""#),
            ("${NOMAD_ALLOC_INDEX}", r#""$${NOMAD_ALLOC_INDEX}""#),
            ("%{if}", r#""%%{if}""#),
            ("$${x}", r#""$\u0024{x}""#),
            ("\u{1}", r#""\u0001""#),
        ] {
            assert_eq!(quoted(text), written);
            assert_eq!(read(&format!("x = {written}\n"))["x"], Value::from(text));
        }
    }

    #[test]
    fn a_time_has_the_largest_unit_in_which_it_is_whole() {
        for (nanoseconds, written) in
            [(0_u64, "0s"), (90_000_000_000, "90s"), (1_500_000_000, "1500ms"), (1_500, "1500ns")]
        {
            assert_eq!(time(&serde_json::json!(nanoseconds)), format!("\"{written}\""));
        }
        assert_eq!(time(&serde_json::json!(2_000)), "\"2us\"");
    }

    #[test]
    fn names_that_are_no_identifiers_stand_in_a_map() {
        let job = serde_json::json!({ "Env": { "A": "x", "b.c": "${y}" }, "Config": { "ulimit": [{ "core": "0" }] } });
        let text = body(job.as_object().unwrap(), None).text("");
        let expected = "env = { \"A\" = \"x\", \"b.c\" = \"$${y}\" }\n\nconfig {\n  ulimit {\n    core = \"0\"\n  }\n}\n";
        assert_eq!(text, expected);
        assert_eq!(read(&text)["env"]["b.c"], Value::from("${y}"));
    }

    proptest! {
        #[test]
        fn a_parser_reads_each_string_as_it_was(text in "[a$%{}~\"\\\\\n\r\t é\u{1}\u{7f}\u{1F600}]{0,12}") {
            prop_assert_eq!(&read(&format!("x = {}\n", quoted(&text)))["x"], &Value::from(text));
        }
    }
}
