//! Cutting the bytes of a worker into lines. Bytes in, pieces out; no descriptor, no clock.
//!
//! A line longer than [`LINE_BYTES_MAX`] is handed on in pieces, so that a worker which never ends its line does not
//! fill pm's memory. [`LastOutput`] keeps the end of what was written, for the report of the worker's end.

/// A longer line is handed on in pieces that are not longer, each of whole characters.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Many lines are copied in parts of this size. For 2 KiB and more glibc takes the instruction `rep movsb`, which on
/// AMD's processors is ten times slower where the target stands a little behind the source in its page.
pub const COPIED_BYTES_MAX: usize = 1024;

/// The end of a worker's output is kept up to this length.
const LAST_BYTES_MAX: usize = 1024;

/// What of a line has not been handed on yet.
#[derive(Debug, Default)]
pub struct Cutter {
    partial: Vec<u8>,
    next: Start,
}

/// What is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedOn<'a> {
    /// Most lines come whole. They are handed on where they stand, one after another, each with its newline.
    Lines(&'a [u8]),
    Piece(Piece<'a>),
}

/// A line, or a piece of one that is too long, in two parts that follow each other; without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub parts: [&'a [u8]; 2],
    pub start: Start,
    pub end: End,
}

/// What a piece begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Line,
    /// It goes on with the line of the piece before.
    Continuation,
}

/// What a piece ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Line,
    /// The line goes on in the next piece.
    Continued,
}

impl Cutter {
    /// Takes the next bytes and hands on each line that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(HandedOn<'_>)) {
        if !self.partial.is_empty() || self.next == Start::Continuation {
            let end = memchr::memchr(b'\n', bytes);
            let rest = self.cut_long(&bytes[..end.unwrap_or(bytes.len())], &mut each);
            let Some(end) = end else { return self.partial.extend_from_slice(rest) };
            self.hand_on(rest, End::Line, &mut each);
            bytes = &bytes[end + 1..];
        }
        let end = memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1);
        let (lines, begun) = bytes.split_at(end);
        if !lines.is_empty() {
            each(HandedOn::Lines(lines));
        }
        let rest = self.cut_long(begun, &mut each);
        self.partial.extend_from_slice(rest);
    }

    /// A line that has begun and has no newline yet, as a prompt has not. `None` if a piece of it was handed on.
    pub fn unfinished(&self) -> Option<&[u8]> {
        (self.next == Start::Line && !self.partial.is_empty()).then_some(&self.partial)
    }

    /// Nothing more comes: hands on what is left, which has no newline.
    pub fn finish(&mut self, mut each: impl FnMut(HandedOn<'_>)) {
        if !self.partial.is_empty() || self.next == Start::Continuation {
            self.hand_on(&[], End::Line, &mut each);
        }
    }

    /// Hands on pieces of a line as long as it is too long with these bytes, which are its next. Returns their rest.
    fn cut_long<'a>(
        &mut self,
        mut bytes: &'a [u8],
        each: &mut impl FnMut(HandedOn<'_>),
    ) -> &'a [u8] {
        while self.partial.len() + bytes.len() > LINE_BYTES_MAX {
            let (fitting, rest) = bytes.split_at(LINE_BYTES_MAX + 1 - self.partial.len());
            self.partial.extend_from_slice(fitting);
            // Its last character is kept back: it may not be whole, and no piece is empty if the line ends here.
            let last = self.partial.split_off(last_character(&self.partial));
            self.hand_on(&[], End::Continued, each);
            (self.partial, bytes) = (last, rest);
        }
        bytes
    }

    fn hand_on(&mut self, rest: &[u8], end: End, each: &mut impl FnMut(HandedOn<'_>)) {
        each(HandedOn::Piece(Piece { parts: [&self.partial, rest], start: self.next, end }));
        self.next = match end {
            End::Line => Start::Line,
            End::Continued => Start::Continuation,
        };
        if !self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }
}

/// Where the last character of UTF-8 begins, whole or not. Bytes that are no UTF-8 are characters of their own.
fn last_character(bytes: &[u8]) -> usize {
    let is_first = |byte: &u8| !(0x80..0xc0).contains(byte);
    let continuations = bytes.iter().rev().take(4).position(is_first).unwrap_or(0);
    bytes.len() - 1 - continuations
}

/// The last bytes that a worker wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastOutput {
    bytes: Vec<u8>,
    cut: Cut,
}

/// Whether the first of the kept lines is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    Nothing,
    First,
}

impl LastOutput {
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(LAST_BYTES_MAX)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(LAST_BYTES_MAX);
        if excess > 0 || kept.len() < bytes.len() {
            self.cut = Cut::First;
        }
        self.bytes.drain(..excess);
        self.bytes.extend_from_slice(kept);
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The last whole line that is not blank, as text.
    pub fn last_line(&self) -> Option<String> {
        let mut lines = self.bytes.split(|byte| *byte == b'\n').rev();
        let is_text = |line: &&[u8]| !line.trim_ascii().is_empty();
        let line = lines.by_ref().find(is_text)?;
        let is_whole = self.cut == Cut::Nothing || lines.next().is_some();
        is_whole.then(|| String::from_utf8_lossy(line.trim_ascii()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(writes: &[&[u8]]) -> Vec<(String, Start, End)> {
        let mut pieces = Vec::new();
        let mut note = |handed_on: HandedOn<'_>| match handed_on {
            HandedOn::Lines(lines) => {
                let lines = String::from_utf8(lines.to_owned()).unwrap();
                assert!(lines.ends_with('\n'));
                pieces.extend(lines.lines().map(|line| (line.to_owned(), Start::Line, End::Line)));
            }
            HandedOn::Piece(piece) => {
                let text = String::from_utf8(piece.parts.concat()).unwrap();
                pieces.push((text, piece.start, piece.end));
            }
        };
        let mut cutter = Cutter::default();
        writes.iter().for_each(|bytes| cutter.push(bytes, &mut note));
        cutter.finish(&mut note);
        pieces
    }

    fn text_of(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn lines_stay_whole_wherever_the_writes_are_cut() {
        let text = b"one\ntwo\n\nthree";
        let whole = |line: &str| (line.to_owned(), Start::Line, End::Line);
        let expected = ["one", "two", "", "three"].map(whole);
        for at in 0..text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_handed_on_in_pieces() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let pieces = cut(&[&long, b"y\nshort\n"]);
        assert_eq!((pieces[0].1, pieces[0].2), (Start::Line, End::Continued));
        assert_eq!(pieces[1], ("xy".to_owned(), Start::Continuation, End::Line));
        assert_eq!(pieces[2], ("short".to_owned(), Start::Line, End::Line));
        let pieces = cut(&[&long, b"\n"]);
        assert_eq!(pieces[1], ("x".to_owned(), Start::Continuation, End::Line), "none is empty");
    }

    #[test]
    fn a_line_of_exactly_the_most_bytes_is_not_torn() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        for writes in [&[&longest[..], b"\n"][..], &[b"xx", &longest[2..], b"\n"]] {
            let lengths: Vec<_> = cut(writes).iter().map(|(text, ..)| text.len()).collect();
            assert_eq!(lengths, [LINE_BYTES_MAX]);
        }
        let pieces = cut(&[&longest, b"xy\n"]);
        assert!(pieces[0] == (text_of(&longest), Start::Line, End::Continued));
        assert_eq!(pieces[1], ("xy".to_owned(), Start::Continuation, End::Line));
    }

    #[test]
    fn no_character_is_torn() {
        for character in ["é", "日", "🦀"] {
            for before in LINE_BYTES_MAX - 4..=LINE_BYTES_MAX + 1 {
                let line = "a".repeat(before) + &character.repeat(3);
                for at in 1..character.len() {
                    let (first, rest) = line.as_bytes().split_at(before + at);
                    let pieces = cut(&[first, rest]);
                    let joined: String = pieces.iter().map(|piece| piece.0.as_str()).collect();
                    assert!(joined == line);
                }
            }
        }
        let latin = vec![0xe9; LINE_BYTES_MAX + 10];
        let mut lengths = Vec::new();
        Cutter::default().push(&latin, |handed_on| match handed_on {
            HandedOn::Piece(piece) => lengths.push(piece.parts.concat().len()),
            HandedOn::Lines(_) => panic!("no line has ended"),
        });
        assert_eq!(lengths, [LINE_BYTES_MAX], "what is not UTF-8 is cut too");
    }

    #[test]
    fn the_last_line_is_kept_however_much_was_written_before() {
        let mut last = LastOutput::default();
        assert_eq!(last.last_line(), None);
        last.push(b"only");
        assert_eq!(last.last_line().as_deref(), Some("only"));
        for n in 0..1_000 {
            last.push(format!("line {n}\n").as_bytes());
        }
        last.push(b" error: no such file \n\n");
        assert_eq!(last.last_line().as_deref(), Some("error: no such file"));
        last.push(&[b'x'; 2 * LAST_BYTES_MAX]);
        assert_eq!(last.last_line(), None, "a line that is not whole is not shown");
    }
}
