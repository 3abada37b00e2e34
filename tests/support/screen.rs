//! The screen of a real terminal emulator (tmux), with the test as its user.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use super::processes;
use super::waiting::eventually;

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
        self.start_with_size(columns, 40, folder, program);
    }

    /// Runs a program on a screen of this many columns and rows.
    pub fn start_with_size<S: AsRef<OsStr>>(
        &self,
        columns: u16,
        rows: u16,
        folder: &Path,
        program: &[S],
    ) {
        let [columns, rows] = [columns, rows].map(|number| number.to_string());
        let new = ["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, "-c"];
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

    /// What is on it now.
    pub fn visible(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same with the colours, as control sequences.
    pub fn shows_with_styles(&self) -> String {
        let output = self.tmux(&["capture-pane", "-pe"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until all of these words are on it, and returns what is.
    #[track_caller]
    pub fn wait_for(&self, words: &[&str]) -> String {
        let mut last = String::new();
        let found = catch_unwind(AssertUnwindSafe(|| {
            eventually(&format!("the screen shows {words:?}"), || {
                last = self.visible();
                words.iter().all(|word| last.contains(word)).then_some(())
            });
        }));
        assert!(found.is_ok(), "the screen shows not {words:?} but\n{last}");
        last
    }

    /// A variable of tmux (tmux(1), FORMATS): `alternate_on`.
    pub fn variable(&self, name: &str) -> String {
        let output = self.tmux(&["display-message", "-p", &format!("#{{{name}}}")]);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let [columns, rows] = [columns, rows].map(|number| number.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// What programs have put on its clipboard.
    pub fn clipboard(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["show-buffer"]).stdout).into_owned()
    }

    /// Programs may put something on its clipboard.
    pub fn allow_clipboard(&self) {
        self.tmux(&["set-option", "-s", "set-clipboard", "on"]);
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
