//! The machine, as plans ask after it: its files, its users, pm's environment.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::plan::FILE_BYTES_MAX;
use crate::plan::host::{Account, Host};
use crate::sys::{strerror, users};

/// This machine.
pub struct RealHost;

impl Host for RealHost {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        // A pipe without a writer would keep whoever opens it, and a running pm reads its files again.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(words(&error)),
        };
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err("it is a folder".into()),
            Ok(metadata) if !metadata.is_file() => return Err("it is no regular file".into()),
            Ok(_) => {}
            Err(error) => return Err(words(&error)),
        }
        // One byte more than is read anywhere, so that what is too long is seen to be.
        let bytes_max = u64::try_from(FILE_BYTES_MAX).expect("a MiB fits") + 1;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes).map_err(|error| words(&error))?;
        let is_cut = bytes.len() > FILE_BYTES_MAX;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            // Cut within a character, it is too long all the same.
            Err(error) if is_cut => {
                Ok(Some(String::from_utf8_lossy(error.as_bytes()).into_owned()))
            }
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(format!("line {line} is not UTF-8"))
            }
        }
    }

    fn user(&self, name: &str) -> Option<Account> {
        users::account(name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        users::group(name)
    }

    fn may_change_user(&self) -> bool {
        users::may_change_user()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The error as the end of a sentence.
fn words(error: &std::io::Error) -> String {
    strerror(error).to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_or_not_there_or_said_why_it_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("text"), "A=ü\n").unwrap();
        fs::write(at("bytes"), b"A=1\nB=\xff\n").unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(RealHost.read(&at("text")), Ok(Some("A=ü\n".into())));
        assert_eq!(RealHost.read(&at("nothing")), Ok(None));
        assert_eq!(RealHost.read(&at("bytes")), Err("line 2 is not UTF-8".into()));
        assert_eq!(RealHost.read(folder.path()), Err("it is a folder".into()));
        assert_eq!(RealHost.read(&at("pipe")), Err("it is no regular file".into()));
        assert_eq!(RealHost.read(&at("text/more")), Err("not a directory".into()));
    }

    #[test]
    fn a_file_that_is_too_long_is_read_just_so_far_that_it_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, "ü".repeat(FILE_BYTES_MAX)).unwrap();
        let text = RealHost.read(&path).unwrap().unwrap();
        assert!(text.len() > FILE_BYTES_MAX && text.len() < FILE_BYTES_MAX + 8);
    }
}
