//! Control sequences in what a worker says (ECMA-48 and ECMA-35).

use std::str::Chars;

/// Takes a control sequence whose ESC is taken already; gives it back if it sets colours.
pub fn sequence(rest: &mut Chars<'_>) -> Option<String> {
    match rest.next()? {
        '[' => {
            let mut style = String::from("\u{1b}[");
            let mut is_plain = true;
            for c in rest.by_ref() {
                style.push(c);
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    return (c == 'm' && is_plain).then_some(style);
                }
                // Any other parameter sets or asks something else, and a control character acts on its own.
                is_plain &= matches!(c, '0'..='9' | ';' | ':');
            }
            None
        }
        // A string, as a title or a link: up to BEL or ESC \.
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    rest.next();
                    break;
                }
            }
            None
        }
        // It goes on up to its last character, as where a set of characters is chosen: `ESC ( B` (tput sgr0).
        ' '..='/' => {
            rest.find(|c| !matches!(c, ' '..='/'));
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_taken_whole_and_only_colours_are_given_back() {
        for (text, colours, rest) in [
            ("[1;31mred", Some("\u{1b}[1;31m"), "red"),
            ("[2Jx", None, "x"),
            ("[?25hx", None, "x"),
            ("]0;title\u{7}x", None, "x"),
            ("]8;;http://a/\u{1b}\\link", None, "link"),
            ("P1$r\u{1b}\\x", None, "x"),
            ("(Bx", None, "x"),
            (" Fx", None, "x"),
            ("$(Bx", None, "x"),
            ("cx", None, "x"),
            ("", None, ""),
            ("(", None, ""),
        ] {
            let mut chars = text.chars();
            assert_eq!(sequence(&mut chars).as_deref(), colours, "{text:?}");
            assert_eq!(chars.as_str(), rest, "{text:?}");
        }
    }
}
