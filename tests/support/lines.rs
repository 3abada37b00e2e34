//! Reads an output line by line, on a thread, so that a test can wait for a line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use super::waiting::DEADLINE;

/// The lines of one output so far, without their ends. Clones share them.
#[derive(Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    is_over: bool,
}

impl Lines {
    /// Collects what comes out of `source`, on a thread of its own, until it ends.
    pub fn of(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            // A terminal whose other side is closed ends with an error (EIO), not with an end.
            while source.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line);
                shared.add(text.trim_end_matches(['\r', '\n']).to_owned());
                line.clear();
            }
            shared.change(|state| state.is_over = true);
        });
        lines
    }

    /// An output without lines.
    pub fn none() -> Self {
        let lines = Self::default();
        lines.change(|state| state.is_over = true);
        lines
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Waits for the end of the output. Returns all lines.
    pub fn all_to_the_end(&self) -> Vec<String> {
        self.wait("the end of the output", |state| state.is_over.then(|| state.lines.clone()))
    }

    /// The lines so far with `text` in them.
    pub fn with(&self, text: &str) -> Vec<String> {
        self.lock().lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits for a line with `text` in it.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_all(&[text])
    }

    /// Waits for a line with all of `texts` in it.
    pub fn wait_for_all(&self, texts: &[&str]) -> String {
        self.wait(&format!("a line with {texts:?}"), |state| {
            let has_all = |line: &&String| texts.iter().all(|text| line.contains(text));
            state.lines.iter().find(has_all).cloned()
        })
    }

    /// Waits until `count` lines have `text` in them. Returns them.
    pub fn wait_for_many(&self, count: usize, text: &str) -> Vec<String> {
        self.wait(&format!("{count} lines with {text:?}"), |state| {
            let found = state.lines.iter().filter(|line| line.contains(text));
            (found.clone().count() >= count).then(|| found.cloned().collect())
        })
    }

    fn wait<T>(&self, what: &str, mut found: impl FnMut(&State) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            if let Some(found) = found(&state) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "there was never {what}");
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }

    fn add(&self, line: String) {
        self.change(|state| state.lines.push(line));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.1.notify_all();
    }

    /// A poisoned lock is fine: the test that held it has failed already.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
