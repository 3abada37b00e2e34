//! The variable LISTEN_PID (sd_listen_fds(3)): the pid of the process that the sockets are for. It knows its own after
//! the fork, and cannot make a text then.

use std::sync::atomic::{AtomicU8, Ordering};

const NAME: &[u8] = b"LISTEN_PID=";

/// The longest pid has ten digits, and a zero byte ends the text.
const BYTES: usize = NAME.len() + 11;

/// The text of the variable, with room for the pid. It stays where it is.
pub struct ListenPid(Box<[AtomicU8; BYTES]>);

impl ListenPid {
    pub fn new() -> Self {
        let text = std::array::from_fn(|at| AtomicU8::new(NAME.get(at).copied().unwrap_or(0)));
        Self(Box::new(text))
    }

    /// Where the text begins, for exec(2).
    pub fn as_ptr(&self) -> *const libc::c_char {
        self.0.as_ptr().cast()
    }

    /// Writes the digits. Called by the child: it neither allocates nor panics.
    pub fn set(&self, pid: usize) {
        let digits = (1..).scan(pid, |rest, _: u8| {
            let digit = (*rest > 0).then_some((*rest % 10) as u8 + b'0');
            *rest /= 10;
            digit
        });
        let count = digits.clone().count();
        // From the last digit to the first; the zero byte behind them is there.
        let place = self.0.iter().skip(NAME.len()).take(count.min(BYTES - NAME.len() - 1));
        place.rev().zip(digits).for_each(|(at, digit)| at.store(digit, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn it_is_a_text_with_the_pid() {
        for pid in [1, 10, 4711, i32::MAX as usize] {
            let variable = ListenPid::new();
            variable.set(pid);
            let bytes = Vec::from_iter(variable.0.iter().map(|at| at.load(Ordering::Relaxed)));
            let text = CStr::from_bytes_until_nul(&bytes).unwrap();
            assert_eq!(text.to_str().unwrap(), format!("LISTEN_PID={pid}"));
        }
    }
}
