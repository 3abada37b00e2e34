//! Words of a shell.

use super::filled::Names;
use crate::plan::text::placeholders::Template;

/// A word that sh(1) reads back as this text.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A template as a word of sh(1). `escape` is for the file that the script stands in; what placeholders become is not
/// quoted.
pub fn word(template: &Template, names: &Names, escape: impl Fn(&str) -> String) -> String {
    let word = names.fill(template, |text| escape(&quoted(text)));
    if word.is_empty() { "''".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_if_a_shell_would_change_it() {
        for (text, word) in [
            ("a-b.c", "a-b.c"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$A", "'$A'"),
            ("a*", "'a*'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
