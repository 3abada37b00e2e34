//! Strings and keys of TOML, as they are written in a file.

/// A string of TOML: in single quotes if possible, else with escapes.
pub fn quoted(text: &str) -> String {
    if !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    // Every escape of JSON is one of TOML, which wants DEL escaped besides (RFC 8259 section 7, TOML 1.0 "String").
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007f")
}

/// A key of TOML: bare if possible.
pub fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}
