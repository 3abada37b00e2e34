//! The colours and other attributes that are set in a terminal (SGR; ECMA-48, 8.3.117).

use std::mem::take;

/// At most one code for each attribute, as it was written: `1`, `38;5;208`.
#[derive(Debug, Default)]
pub struct Style {
    codes: [Vec<u8>; ATTRIBUTES],
}

const ATTRIBUTES: usize = 13;

const BOLD: usize = 0;
const FAINT: usize = 1;
const ITALIC: usize = 2;
const UNDERLINE: usize = 3;
const BLINK: usize = 4;
const REVERSE: usize = 5;
const HIDDEN: usize = 6;
const STRIKE: usize = 7;
const FOREGROUND: usize = 8;
const BACKGROUND: usize = 9;
const OVERLINE: usize = 10;
const UNDERLINE_COLOUR: usize = 11;
const FONT: usize = 12;

/// What a code does.
enum Effect {
    Reset,
    Set(usize),
    Unset(&'static [usize]),
    Nothing,
}

impl Style {
    /// Takes in the parameters of one sequence, separated by semicolons.
    pub fn set(&mut self, parameters: &[u8]) {
        let mut rest = parameters;
        loop {
            let (code, after) = split(rest);
            let (code, after) = match (code, after) {
                (b"38" | b"48" | b"58", Some(colour)) => {
                    let length = code.len() + 1 + colour_length(colour);
                    (&rest[..length], rest.get(length + 1..))
                }
                _ => (code, after),
            };
            match effect(code) {
                Effect::Reset => self.codes.iter_mut().for_each(Vec::clear),
                Effect::Set(attribute) => {
                    let mut known = take(&mut self.codes[attribute]);
                    known.clear();
                    known.extend_from_slice(code);
                    self.codes[attribute] = known;
                }
                Effect::Unset(attributes) => {
                    attributes.iter().for_each(|attribute| self.codes[*attribute].clear());
                }
                Effect::Nothing => {}
            }
            let Some(after) = after else { return };
            rest = after;
        }
    }

    /// What sets these attributes in a terminal that has none set.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for code in self.codes.iter().filter(|code| !code.is_empty()) {
            out.extend_from_slice(b"\x1b[");
            out.extend_from_slice(code);
            out.push(b'm');
        }
    }

    /// What resets these attributes; nothing if none is set.
    pub fn reset(&self) -> &'static [u8] {
        if self.codes.iter().all(Vec::is_empty) { b"" } else { b"\x1b[0m" }
    }
}

/// The first parameter, and the others if there are any.
fn split(parameters: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b';', parameters) {
        Some(end) => (&parameters[..end], Some(&parameters[end + 1..])),
        None => (parameters, None),
    }
}

/// The length of a colour at the start of these parameters: `5;N` or `2;R;G;B`.
fn colour_length(parameters: &[u8]) -> usize {
    let count = match split(parameters).0 {
        b"5" => 2,
        b"2" => 4,
        _ => 1,
    };
    let mut ends = memchr::memchr_iter(b';', parameters);
    ends.nth(count - 1).unwrap_or(parameters.len())
}

fn effect(code: &[u8]) -> Effect {
    // In `4:3` and `38:2::1:2:3` the first number says which attribute it is.
    let first = code.split(|byte| matches!(byte, b':' | b';')).next().unwrap_or_default();
    let number = std::str::from_utf8(first).ok().and_then(|text| text.parse::<u32>().ok());
    match number {
        _ if code == b"4:0" => Effect::Unset(&[UNDERLINE]),
        None if code.is_empty() => Effect::Reset,
        Some(0) => Effect::Reset,
        Some(1) => Effect::Set(BOLD),
        Some(2) => Effect::Set(FAINT),
        Some(3 | 20) => Effect::Set(ITALIC),
        Some(4 | 21) => Effect::Set(UNDERLINE),
        Some(5 | 6) => Effect::Set(BLINK),
        Some(7) => Effect::Set(REVERSE),
        Some(8) => Effect::Set(HIDDEN),
        Some(9) => Effect::Set(STRIKE),
        Some(10) => Effect::Unset(&[FONT]),
        Some(11..=19) => Effect::Set(FONT),
        Some(22) => Effect::Unset(&[BOLD, FAINT]),
        Some(23) => Effect::Unset(&[ITALIC]),
        Some(24) => Effect::Unset(&[UNDERLINE]),
        Some(25) => Effect::Unset(&[BLINK]),
        Some(27) => Effect::Unset(&[REVERSE]),
        Some(28) => Effect::Unset(&[HIDDEN]),
        Some(29) => Effect::Unset(&[STRIKE]),
        Some(30..=38 | 90..=97) => Effect::Set(FOREGROUND),
        Some(39) => Effect::Unset(&[FOREGROUND]),
        Some(40..=48 | 100..=107) => Effect::Set(BACKGROUND),
        Some(49) => Effect::Unset(&[BACKGROUND]),
        Some(53) => Effect::Set(OVERLINE),
        Some(55) => Effect::Unset(&[OVERLINE]),
        Some(58) => Effect::Set(UNDERLINE_COLOUR),
        Some(59) => Effect::Unset(&[UNDERLINE_COLOUR]),
        Some(_) | None => Effect::Nothing,
    }
}
