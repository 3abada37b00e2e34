//! Reads an output line by line, on a thread, so that a test can wait for a line.

use std::io::{ErrorKind, Read};
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
    /// The line that has no end yet.
    open: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// Collects what comes out of `source`, on a thread of its own, until it ends.
    pub fn of(mut source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        thread::spawn(move || {
            let mut bytes = vec![0; 64 * 1024];
            loop {
                match source.read(&mut bytes) {
                    Ok(count) if count > 0 => shared.change(|state| state.take(&bytes[..count])),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // A terminal whose other side is closed ends with an error (EIO), not with an end.
                    Ok(_) | Err(_) => break,
                }
            }
            shared.change(State::end);
        });
        lines
    }

    /// An output without lines.
    pub fn none() -> Self {
        let lines = Self::default();
        lines.change(State::end);
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

    /// Waits until the line that has no end yet has `text` in it.
    pub fn wait_for_open(&self, text: &str) {
        self.wait(&format!("an open line with {text:?}"), |state| {
            String::from_utf8_lossy(&state.open).contains(text).then_some(())
        });
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

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.1.notify_all();
    }

    /// A poisoned lock is fine: the test that held it has failed already.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.open);
        let text = String::from_utf8_lossy(&line);
        self.lines.push(text.trim_end_matches(['\r', '\n']).to_owned());
    }

    fn end(&mut self) {
        if !self.open.is_empty() {
            self.end_line();
        }
        self.is_over = true;
    }
}
