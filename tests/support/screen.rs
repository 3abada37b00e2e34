//! The screen of a real terminal emulator (tmux), with the test as its user.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use super::processes;

/// A tmux server of its own with one window. Drop ends it and what runs in it.
pub struct Screen {
    /// Of no other screen.
    pub name: String,
}

impl Screen {
    /// A name for a screen.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("s{}-{n}", std::process::id()) }
    }

    /// Runs a program on a screen of this many columns and 40 rows.
    pub fn start<S: AsRef<OsStr>>(&self, columns: u16, folder: &Path, program: &[S]) {
        let size = columns.to_string();
        let new = ["-f", "/dev/null", "new-session", "-d", "-x", &size, "-y", "40", "-c"];
        let mut arguments: Vec<&OsStr> = new.iter().map(AsRef::as_ref).collect();
        arguments.push(folder.as_os_str());
        arguments.extend(program.iter().map(AsRef::as_ref));
        let started = self.tmux(&arguments);
        assert!(started.status.success(), "{started:?}");
    }

    /// All that it shows, with what has been scrolled away.
    pub fn shows(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-S", "-"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a text, as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key by the name that tmux has for it.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn tmux<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.name]).args(arguments).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        tmux.output().expect("tmux")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
        processes::end_all_of(&self.name);
    }
}
