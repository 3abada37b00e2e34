//! What `/` looks for: a text, in capitals and small letters alike unless it has a capital.

use std::ops::Range;

use crate::cli::remote::top::line;

/// A text to look for; an empty one is in every line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if it is in this line, as the line is seen.
    pub fn is_in(&self, line: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        // Colours may stand within the text.
        if memchr::memchr2(0x1b, b'\r', line.as_bytes()).is_some() {
            return self.find(&line::without_colours(line)).is_some();
        }
        self.find(line).is_some()
    }

    /// Where it is in this text, for the first time.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        let (needle, text) = (self.0.as_bytes(), text.as_bytes());
        let first = *needle.first()?;
        if needle.iter().any(u8::is_ascii_uppercase) || !self.0.is_ascii() {
            let start = memchr::memmem::find(text, needle)?;
            return Some(start..start + needle.len());
        }
        let is_here = |start: &usize| {
            let here = text.get(*start..start + needle.len());
            here.is_some_and(|here| here.eq_ignore_ascii_case(needle))
        };
        let mut starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), text);
        let start = starts.find(is_here)?;
        Some(start..start + needle.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_count_only_if_the_text_has_one() {
        for (text, line, is_in) in [
            ("get /", "GET / 200", true),
            ("GET", "get / 200", false),
            ("GET", "GET / 200", true),
            ("", "", true),
            ("x", "", false),
            ("ü", "Tür", true),
            ("200", "\x1b[32m2\x1b[0m00", true),
            ("10%", "10%\r20%", false),
            ("b", "a", false),
        ] {
            assert_eq!(Filter::new(text).is_in(line), is_in, "{text:?} in {line:?}");
        }
        assert_eq!(Filter::new("b").find("aBc"), Some(1..2));
    }
}
