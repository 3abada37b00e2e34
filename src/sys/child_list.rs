//! The list of pm's own children that the kernel keeps. It finds orphans, which arrive without any notice.
//!
//! It never says whether a worker lives: that is for waitpid(2) to say, in [`super::children`].

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::{Pid, getpid};

use super::proc;

/// The kernel's list of the children of one thread (proc(5), /proc/PID/task/TID/children).
#[derive(Debug)]
pub struct ChildList {
    /// None where the kernel has no such list (it needs CONFIG_PROC_CHILDREN).
    file: Option<File>,
}

impl ChildList {
    /// The children that this thread has started.
    pub fn open() -> Self {
        Self { file: File::open("/proc/thread-self/children").ok() }
    }

    /// The children of this process's first thread: what this process adopts becomes a child of that one (prctl(2),
    /// PR_SET_CHILD_SUBREAPER).
    pub fn open_of_first_thread() -> Self {
        let pid = getpid();
        Self { file: File::open(format!("/proc/{pid}/task/{pid}/children")).ok() }
    }

    /// Calls `each` with every child, dead ones included; where the kernel has no such list, with the children of all
    /// threads. Allocates nothing where it has one.
    pub fn for_each(&self, mut each: impl FnMut(Pid)) {
        let Some(file) = &self.file else {
            return proc::children_of(getpid()).into_iter().for_each(each);
        };
        // As a rule the list is empty, and more would have to be zeroed.
        let mut bytes = [0; 512];
        let mut number = 0_i32;
        let mut offset = 0;
        while let Ok(count @ 1..) = file.read_at(&mut bytes, offset) {
            for byte in &bytes[..count] {
                match byte {
                    b'0'..=b'9' => number = number * 10 + i32::from(byte - b'0'),
                    _ if number > 0 => each(Pid::from_raw(std::mem::take(&mut number))),
                    _ => {}
                }
            }
            offset += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_in_the_list() {
        let mut sleeping = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut found = Vec::new();
        ChildList::open().for_each(|pid| found.push(pid.as_raw()));
        assert!(found.contains(&i32::try_from(sleeping.id()).unwrap()), "{found:?}");
        sleeping.kill().unwrap();
        sleeping.wait().unwrap();
    }
}
