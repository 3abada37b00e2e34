//! The text of an I/O error, for messages (strerror(3)). No decision is made by it.

use std::io;

use nix::errno::Errno;

/// What strerror(3) says of the error's number, without the ` (os error 2)` that std appends; of an error without a
/// number, what the error says itself.
pub fn strerror(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_without_its_number() {
        let error = io::Error::from_raw_os_error(Errno::ENOENT as i32);
        assert_eq!(strerror(&error), "No such file or directory");
        assert_eq!(strerror(&io::Error::other("half a line")), "half a line");
    }
}
