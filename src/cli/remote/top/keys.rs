//! From the bytes of a keyboard to keys. Reads nothing itself, so a terminal that is gone cannot make it spin.
//!
//! A sequence that comes in parts is completed by the next bytes. An ESC at the end of what has arrived is the key Esc.

/// A key, or what else a terminal sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    /// With Ctrl: `c`.
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    /// The wheel of the mouse, towards older lines.
    WheelUp,
    WheelDown,
    /// The left button, at a column and a row from 0.
    Click(u16, u16),
    /// What was pasted: no command, whatever it is.
    Paste(String),
}

/// The bytes that are no key yet.
#[derive(Debug, Default)]
pub struct Keys(Vec<u8>);

/// A longer sequence is none.
const SEQUENCE_BYTES_MAX: usize = 64;
/// What is pasted at once, at most.
const PASTE_BYTES_MAX: usize = 64 << 10;

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

impl Keys {
    /// The keys of these bytes and of those that had come before.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.0.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some((key, length)) = first(&self.0[at..]) {
            keys.extend(key);
            at += length;
        }
        self.0.drain(..at);
        keys
    }
}

/// The first key, if these bytes mean one, and how many they are; `None` if more must come first.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let control = |byte: u8| Key::Ctrl(char::from(byte | 0x60));
    match bytes {
        [] => None,
        [ESC, b'[', rest @ ..] => sequence(bytes, rest),
        [ESC, b'O'] => None,
        [ESC, b'O', last, ..] => Some((named(*last), 3)),
        [ESC, ..] => Some((Some(Key::Esc), 1)),
        [b'\r' | b'\n', ..] => Some((Some(Key::Enter), 1)),
        [b'\t', ..] => Some((Some(Key::Tab), 1)),
        [0x7f | 0x08, ..] => Some((Some(Key::Backspace), 1)),
        [byte @ 1..=0x1a, ..] => Some((Some(control(*byte)), 1)),
        [0..=0x1f, ..] => Some((None, 1)),
        [byte @ 0x20..=0x7e, ..] => Some((Some(Key::Char(char::from(*byte))), 1)),
        _ => character(bytes),
    }
}

/// A character of several bytes.
fn character(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let some = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(some) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&some[..error.valid_up_to()]).unwrap_or_default()
        }
        // More of it is to come.
        Err(error) if error.error_len().is_none() => return None,
        Err(_) => return Some((None, 1)),
    };
    let character = valid.chars().next()?;
    Some((Some(Key::Char(character)), character.len_utf8()))
}

/// A control sequence (ECMA-48): parameters, and the byte that ends it.
fn sequence(bytes: &[u8], rest: &[u8]) -> Option<(Option<Key>, usize)> {
    let Some(end) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        // An ESC and a bracket that were typed end here too.
        return (rest.len() > SEQUENCE_BYTES_MAX).then_some((Some(Key::Esc), bytes.len()));
    };
    let length = 2 + end + 1;
    let parameters = std::str::from_utf8(&rest[..end]).unwrap_or_default();
    let key = match (rest[end], parameters) {
        (b'~', "200") => return pasted(&bytes[length..], length),
        (b'~', number) => match number.split(';').next() {
            Some("1" | "7") => Some(Key::Home),
            Some("3") => Some(Key::Delete),
            Some("4" | "8") => Some(Key::End),
            Some("5") => Some(Key::PageUp),
            Some("6") => Some(Key::PageDown),
            _ => None,
        },
        (last @ (b'M' | b'm'), mouse) if mouse.starts_with('<') => {
            pressed(mouse).filter(|_| last == b'M')
        }
        (last, _) => named(last),
    };
    Some((key, length))
}

/// What stands before the end of a paste.
fn pasted(after: &[u8], start: usize) -> Option<(Option<Key>, usize)> {
    let (text, length) = match memchr::memmem::find(after, PASTE_END) {
        Some(end) => (&after[..end], end + PASTE_END.len()),
        None if after.len() > PASTE_BYTES_MAX => (after, after.len()),
        None => return None,
    };
    let text = String::from_utf8_lossy(text).into_owned();
    Some((Some(Key::Paste(text)), start + length))
}

fn named(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => return None,
    })
}

/// A button of the mouse (xterm's SGR mode): `<0;12;5`, columns and rows from 1.
fn pressed(mouse: &str) -> Option<Key> {
    let mut numbers = mouse[1..].split(';').map(|number| number.parse::<u16>().ok());
    let [button, column, row] = std::array::from_fn(|_| numbers.next().flatten());
    match button? {
        0 => Some(Key::Click(column?.saturating_sub(1), row?.saturating_sub(1))),
        64 => Some(Key::WheelUp),
        65 => Some(Key::WheelDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Keys::default().take(bytes)
    }

    #[test]
    fn each_key_is_known_by_its_bytes() {
        assert_eq!(keys(b"q\r"), [Key::Char('q'), Key::Enter]);
        assert_eq!(keys("ü日".as_bytes()), [Key::Char('ü'), Key::Char('日')]);
        assert_eq!(keys(b"\x03\x1a"), [Key::Ctrl('c'), Key::Ctrl('z')]);
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[5~\x1b[6;5~"),
            [Key::Up, Key::Down, Key::PageUp, Key::PageDown]
        );
        assert_eq!(keys(b"\x1b"), [Key::Esc]);
        assert_eq!(keys(b"\x1bx"), [Key::Esc, Key::Char('x')]);
        assert_eq!(
            keys(b"\x1b[<64;3;4M\x1b[<0;3;4M\x1b[<0;3;4m"),
            [Key::WheelUp, Key::Click(2, 3)]
        );
        assert_eq!(keys(b"\x1b[?1;2c\0"), []);
    }

    #[test]
    fn a_paste_is_no_key_whatever_it_has() {
        assert_eq!(
            keys(b"\x1b[200~Xq\r\x1b[A\x1b[201~y"),
            [Key::Paste("Xq\r\x1b[A".into()), Key::Char('y')]
        );
    }

    #[test]
    fn bytes_that_come_one_by_one_are_the_same_keys() {
        let bytes = "ü\x1b[200~a\x1b[201~q".as_bytes();
        let mut all = Keys::default();
        let one_by_one: Vec<_> = bytes
            .chunks(1)
            .flat_map(|byte| all.take(byte))
            .filter(|key| *key != Key::Esc)
            .collect();
        assert_eq!(one_by_one.first(), Some(&Key::Char('ü')));
        assert_eq!(one_by_one.last(), Some(&Key::Char('q')));
        let mut halves = Keys::default();
        assert_eq!(halves.take(b"\x1b["), []);
        assert_eq!(halves.take(b"A"), [Key::Up]);
    }

    #[test]
    fn no_bytes_are_kept_for_ever() {
        let mut all = Keys::default();
        for _ in 0..10_000 {
            all.take(b"\x1b[;;;;\xff");
            assert!(all.0.len() < 1_000);
        }
        for _ in 0..100 {
            all.take(&[b"\x1b[200~".as_slice(), &[b'x'; 10_000]].concat());
            assert!(all.0.len() < 100_000);
        }
    }
}
