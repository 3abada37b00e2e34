//! Values as YAML. serde-saphyr quotes what YAML 1.1 would read as something else, such as `"yes"` or `"8080"`.

use serde_json::{Map, Value};

/// A document.
pub fn document(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("a value of JSON is one of YAML")
}

/// A map of those entries that are not null.
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    given(&mut entries.into_iter())
}

/// The same; compiled once, not for each number of entries.
fn given(entries: &mut dyn Iterator<Item = (&str, Value)>) -> Value {
    let given = entries.filter(|(_, value)| !is_empty(value));
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Lines of comment.
pub fn comment(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}
