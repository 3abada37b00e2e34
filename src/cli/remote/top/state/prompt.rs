//! A line that is typed: `/` and `:`.

use super::super::keys::Key;

/// The text and the place where the next character goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    /// In bytes, at the start of a character.
    at: usize,
}

impl Prompt {
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.len() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor and after it.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.at)
    }

    /// Changes the line as this key does; false if the key means nothing here.
    pub fn take(&mut self, key: &Key) -> bool {
        let before = &self.text[..self.at];
        let last = before.chars().next_back().map_or(0, char::len_utf8);
        match key {
            Key::Char(c) => self.insert(&c.to_string()),
            // A line has no line feeds.
            Key::Paste(text) => self.insert(&text.replace(char::is_control, " ")),
            Key::Backspace => self.remove(self.at - last..self.at),
            Key::Delete => {
                let next = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
                self.remove(self.at..self.at + next);
            }
            Key::Left | Key::Ctrl('b') => self.at -= last,
            Key::Right | Key::Ctrl('f') => {
                self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
            }
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = self.text.len(),
            Key::Ctrl('u') => self.remove(0..self.at),
            Key::Ctrl('k') => self.remove(self.at..self.text.len()),
            Key::Ctrl('w') => {
                let word = before.trim_end().rfind(' ').map_or(0, |space| space + 1);
                self.remove(word..self.at);
            }
            Key::Ctrl(_)
            | Key::Enter
            | Key::Esc
            | Key::Tab
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::WheelUp
            | Key::WheelDown
            | Key::Click(..) => return false,
        }
        true
    }

    fn insert(&mut self, text: &str) {
        self.text.insert_str(self.at, text);
        self.at += text.len();
    }

    fn remove(&mut self, range: std::ops::Range<usize>) {
        self.at = range.start;
        self.text.replace_range(range, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_line_at_its_cursor() {
        let mut prompt = Prompt::of("stop web");
        for key in
            [Key::Left, Key::Backspace, Key::Char('ü'), Key::Delete, Key::End, Key::Char('.')]
        {
            assert!(prompt.take(&key));
        }
        assert_eq!(prompt.text(), "stop wü.");
        prompt.take(&Key::Ctrl('w'));
        assert_eq!(prompt.text(), "stop ");
        prompt.take(&Key::Paste("a\nb".into()));
        assert_eq!(prompt.parts(), ("stop a b", ""));
        prompt.take(&Key::Home);
        prompt.take(&Key::Backspace);
        prompt.take(&Key::Ctrl('k'));
        assert_eq!(prompt.text(), "");
        assert!(!prompt.take(&Key::Enter));
    }
}
