//! No test: a right text, changed at random places.

use fastrand::Rng;

pub const WORDS: [&str; 56] = [
    "[pool.web]",
    "[[pool.web]]",
    "[pool]",
    "pool.",
    "command",
    "ports",
    "workers",
    "cwd",
    "path",
    "env",
    "env_file",
    "after",
    "restart",
    "max_restarts",
    "ready",
    "alive",
    "backoff",
    "stop",
    "log",
    "limits",
    "user",
    "group",
    "umask",
    "{port}",
    "{slot}",
    "{n}",
    "{",
    "}",
    "{{",
    "\"\"\"",
    "'''",
    "\"",
    "'",
    " = ",
    ", ",
    "[",
    "]",
    ".",
    ":",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\\",
    "\\u0000",
    "\0",
    "\u{feff}",
    "ü",
    "\u{1F980}",
    "\u{202e}",
    "\x1b[31m",
    "1-65535",
    "99999999999999999999",
    "-0.1e400",
    "export ",
];

/// One of the texts with up to eight random changes.
pub fn changed(rng: &mut Rng, texts: &[&str]) -> String {
    String::from_utf8_lossy(&changed_bytes(rng, texts)).into_owned()
}

pub fn changed_bytes(rng: &mut Rng, texts: &[&str]) -> Vec<u8> {
    let mut bytes = rng.choice(texts).unwrap().as_bytes().to_vec();
    for _ in 0..rng.usize(0..=8) {
        let at = rng.usize(0..=bytes.len());
        let end = rng.usize(at..=bytes.len().min(at + 40));
        match rng.u8(0..7) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, rng.choice(WORDS).unwrap().bytes())),
            2 => drop(bytes.splice(at..end, rng.choice(WORDS).unwrap().bytes())),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.usize(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            4 if at < bytes.len() => bytes[at] = rng.u8(..),
            5 => bytes.truncate(at),
            6 => {
                let other = rng.choice(texts).unwrap().as_bytes();
                let from = rng.usize(0..=other.len());
                bytes.splice(at..at, other[from..].iter().copied());
            }
            _ => bytes.push(rng.u8(..)),
        }
    }
    bytes
}
