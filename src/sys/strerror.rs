//! The text of an I/O error, for messages (strerror(3)). No decision is made by it.

use std::io;

use nix::errno::Errno;

/// What [`words`] says of the error's number, without the ` (os error 2)` that std appends; of an error without a
/// number, what the error says itself.
pub fn strerror(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => words(Errno::from_raw(number)),
        None => error.to_string(),
    }
}

/// What strerror(3) says, for the end of a sentence: it begins with a small letter, but for a word like `I/O`.
pub fn words(errno: Errno) -> String {
    let text = errno.desc();
    let is_word = text.chars().nth(1).is_some_and(|c| c.is_ascii_lowercase());
    if is_word { text[..1].to_lowercase() + &text[1..] } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_named_without_its_number() {
        let error = io::Error::from_raw_os_error(Errno::ENOENT as i32);
        assert_eq!(strerror(&error), "no such file or directory");
        assert_eq!(words(Errno::EIO), "I/O error");
        assert_eq!(strerror(&io::Error::other("half a line")), "half a line");
    }
}
