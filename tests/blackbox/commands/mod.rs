//! The commands that ask and command a running pm: what they print, where, and their exit status.

mod attach;
mod changes;
mod chaos;
mod completions;
mod finding;
mod logs;
mod older_logs;
mod status;
#[cfg(feature = "top")]
mod top;
mod waiting;

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::programs::pm_binary;

/// A pm with the socket beside its file, in a folder of its own.
struct Run {
    folder: TempDir,
    pm: Pm,
}

/// What a command has printed, and its exit status.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Three workers with ports, a job that gives up, and one that ends well.
const TEXT: &str = "
[pool.POOL-web]
command = ['WORKER', 'listen', '{port}', 'stay']
ports   = [PORT1, PORT2, PORT3]

[pool.POOL-bad]
command = ['WORKER', 'say', 'no config', 'exit', '3']
backoff = { first = '1ms', max = '1ms', give_up_after = 3 }

[pool.POOL-setup]
command = ['WORKER', 'exit', '0']
restart = 'on-failure'
ready   = { exit = true }
";

fn started(ports: usize, text: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", ports, text);
    let pm = pm.without("PM_SOCKET").start();
    // The socket is made before.
    pm.says.wait_for("keeping");
    Run { folder, pm }
}

/// [`TEXT`], when it has come to rest.
fn settled() -> Run {
    let run = started(3, TEXT);
    for n in 1..=3 {
        run.pm.wait_slot_ready(&format!("-web.{n}"), 1);
    }
    run.pm.says.wait_for("giving up");
    run.pm.says.wait_for("-setup.1 exited 0");
    run
}

/// A command in this folder.
fn command(folder: &Path, words: &[&str]) -> Command {
    // timeout(1) ends a command that should have ended. Its exit status, 124, is not one of pm's.
    let mut command = Command::new("timeout");
    command.arg("20").arg(pm_binary()).args(words).current_dir(folder);
    command.env_remove("PM_SOCKET").env("HOME", folder).env("TZ", "UTC");
    command
}

fn say(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// What a command says in this folder.
fn pm(folder: &Path, words: &[&str]) -> Said {
    say(&mut command(folder, words))
}

impl Run {
    /// What a command says; in its words, `@` stands for the name of the test's pool.
    fn pm(&self, words: &[&str]) -> Said {
        let words: Vec<_> = words.iter().map(|word| word.replace('@', &self.pm.name)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let Said { status, stdout, stderr } = pm(self.folder.path(), &words);
        let named = |text: String| text.replace(&self.pm.name, "@");
        Said { status, stdout: named(stdout), stderr: named(stderr) }
    }
}

impl Said {
    /// It has this exit status.
    #[track_caller]
    fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    /// The result has this in it.
    #[track_caller]
    fn prints(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "{words}\n{self:#?}");
        self
    }

    /// The notes have this in them.
    #[track_caller]
    fn notes(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words}\n{self:#?}");
        self
    }

    /// There is nothing beside the result.
    #[track_caller]
    fn quietly(self) -> Self {
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }

    /// There is no result.
    #[track_caller]
    fn without_result(self) -> Self {
        assert_eq!(self.stdout, "", "{self:#?}");
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self:#?}"))
    }
}
