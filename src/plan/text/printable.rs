//! Text in a line of pm's own, which may quote what others chose: the name of a process, a path, the last line of a
//! worker.

/// The text without an effect on a terminal: control characters, line feeds too, are written as escape sequences, and
/// so are the characters that turn or break lines (Unicode Standard Annex #9, section 2).
pub fn printable(text: &str) -> String {
    // Most texts are such, and this is quicker to see.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if has_effect(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// True if the character acts on a terminal or on the text around it.
pub fn has_effect(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_all_else_stays() {
        assert_eq!(printable("a\u{1b}[31m\n\t\u{9b}\u{202e}b"), r"a\u{1b}[31m\n\t\u{9b}\u{202e}b");
        assert_eq!(
            printable("`ümläut` 日本 \u{1f980} \\ \"q\""),
            "`ümläut` 日本 \u{1f980} \\ \"q\""
        );
    }
}
