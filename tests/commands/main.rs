//! The commands that run no worker: `pm check`, `pm init`, `pm schema`, `pm completions`, `pm man`; which file pm runs;
//! and the exit status and hint where it refuses one.

mod check;
mod completions;
mod install;
mod options;
mod which_file;
mod written;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder to run pm in.
struct Folder(TempDir);

/// What pm has printed, and its exit status.
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(folder.0.path().join(name), text).unwrap();
        }
        folder
    }

    fn pm(&self, arguments: &[&str]) -> Said {
        // timeout(1) stops a pm that runs where it should have ended. Its exit status, 124, is not one of pm's.
        let mut pm = Command::new("timeout");
        let pm = pm.args(["20", env!("CARGO_BIN_EXE_pm")]).args(arguments);
        let pm = pm.current_dir(self.0.path()).env_remove("PORT");
        let Output { status, stdout, stderr } = pm.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

impl Said {
    #[track_caller]
    fn refuses(self, words: &str) -> Self {
        assert_eq!(self.status, Some(2), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(words), "{}", self.stderr);
        self
    }

    #[track_caller]
    fn does(self) -> Self {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{}", self.stdout);
        self
    }
}

const RIGHT: &str = "[pool.web]\ncommand = ['serve', '{port}']\nports = '8080-8081'\n";

const WRONG: &str = "[pool.web]\ncommand = ['serve', '{prot}']\nports = '8080-8081'\n";

/// What a program says; `None` if this machine does not have it.
fn tool(command: &mut Command) -> Option<Said> {
    let Output { status, stdout, stderr } = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some(Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// The files below a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
