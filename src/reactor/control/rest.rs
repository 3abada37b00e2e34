//! Text for a client, as it is given to it: a text may be longer than what waits for a client at most.

use super::http::Connection;

/// What is kept for the next text.
const KEPT_BYTES: usize = 8 * 1024;

/// A text, and how much of it the client was given.
#[derive(Debug, Default)]
pub struct Rest {
    text: String,
    given: usize,
}

impl Rest {
    /// What follows the text that is there.
    pub fn text(&mut self) -> &mut String {
        &mut self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Gives as much as there is room for. True if nothing is left.
    pub fn give(&mut self, connection: &mut Connection) -> bool {
        let rest = &self.text.as_bytes()[self.given..];
        let count = rest.len().min(connection.output_room());
        connection.stream(&rest[..count]);
        self.given += count;
        if self.given < self.text.len() {
            return false;
        }
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        self.given = 0;
        true
    }
}
