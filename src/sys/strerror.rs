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

/// Which limit of the kernel that is, and how to lift it: what stands behind the [`words`]. Empty for another error.
pub fn limit_on(errno: Errno) -> &'static str {
    match errno {
        Errno::EAGAIN => {
            " (too many processes: see `ulimit -u`, pids.max of the control group, kernel.pid_max)"
        }
        Errno::EMFILE => {
            " (each worker needs two, each client one: raise the hard limit, `ulimit -Hn`)"
        }
        Errno::ENFILE => " (on the whole machine: raise fs.file-max)",
        Errno::ENOSPC => " (too many watched descriptors: raise fs.epoll.max_user_watches)",
        _ => "",
    }
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
