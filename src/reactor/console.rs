//! stdout and stderr: the workers' lines go to the one, pm's own to the other.
//!
//! If both are the same terminal or pipe they share one outlet, so that no line stands in the middle of another.

use std::io::{self, stderr, stdout};
use std::os::fd::AsFd;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use mio::Registry;
use nix::pty::Winsize;

use super::logs::Label;
use super::outlet::{Incident, Outlet};
use super::source::Source;
use crate::sys::{pty, stream};

/// Whether to colour what goes to each of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub stdout: bool,
    pub stderr: bool,
}

/// Told apart at a glance on a dark and on a light ground; red is left to what has gone wrong.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

/// What pm calls itself before its own lines.
const OWN_NAME: &str = "pm";

/// Both outputs.
#[derive(Debug)]
pub struct Console {
    workers: Outlet,
    /// None if it is the same as `workers`.
    own: Option<Outlet>,
    colour: Colour,
    name_width: usize,
}

impl Console {
    /// The console of this process.
    ///
    /// # Errors
    /// If a descriptor cannot be duplicated or watched.
    pub fn open(colour: Colour, registry: &Registry) -> io::Result<Self> {
        let (out, err) = (stdout(), stderr());
        let workers = Outlet::to(out.as_fd(), registry, Source::Stdout.token())?;
        let own = match stream::is_same_file(out.as_fd(), err.as_fd()) {
            true => None,
            false => Some(Outlet::to(err.as_fd(), registry, Source::Stderr.token())?),
        };
        Ok(Self { workers, own, colour, name_width: OWN_NAME.len() })
    }

    /// What stands before the lines of the slot with this number.
    pub fn label(&self, name: &str, slot: usize) -> Label {
        let colour = Style::new().fg_color(Some(COLOURS[slot % COLOURS.len()].into()));
        let colour = if self.colour.stdout { colour } else { Style::new() };
        let label =
            |bar| format!("{colour}{name:<width$} {bar}{colour:#} ", width = self.name_width);
        Label { line: label('|').into_bytes(), continuation: label('+').into_bytes() }
    }

    /// From now on labels are as wide as the longest of `names`.
    pub fn make_room_for<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.name_width = names.map(str::len).max().unwrap_or(0).max(OWN_NAME.len());
    }

    /// The size of a terminal whose lines fit behind the labels.
    pub fn room(&self) -> Winsize {
        let label_columns = u16::try_from(self.name_width + " | ".len()).unwrap_or(u16::MAX);
        pty::size_within(stdout().as_fd(), label_columns)
    }

    /// Where the workers' lines go.
    pub fn workers(&mut self) -> &mut Outlet {
        &mut self.workers
    }

    /// Adds a line of pm's own.
    pub fn say(&mut self, text: &str, now: Instant) {
        let bold = if self.colour.stderr { Style::new().bold() } else { Style::new() };
        let label = format!("{bold}{OWN_NAME:<width$} |{bold:#} ", width = self.name_width);
        let own = self.own.as_mut().unwrap_or(&mut self.workers);
        own.push(&[label.as_bytes(), text.as_bytes()], now);
    }

    /// Writes what the readers take now, and says what they missed. Never waits.
    pub fn flush(&mut self, now: Instant) {
        if let Some(incident) = self.workers.flush(now) {
            self.say_of_stdout(incident, now);
        }
        // A closed stderr has nobody left to be told, and the lines dropped there were pm's own.
        let own = self.own.as_mut().unwrap_or(&mut self.workers);
        let _ = own.flush(now);
    }

    fn say_of_stdout(&mut self, incident: Incident, now: Instant) {
        let stalled = super::outlet::STALLED_AFTER.as_secs();
        let line = match incident {
            Incident::Dropped(lines) => {
                format!("dropped {lines} lines of output: nobody had read any for {stalled}s")
            }
            Incident::Broken(errno) => {
                let why = errno.desc();
                format!(
                    "cannot write to stdout: {why}; after {stalled}s lines are dropped until it can"
                )
            }
            Incident::Mended(0) => "stdout can be written again; nothing was lost".into(),
            Incident::Mended(lines) => {
                format!("stdout can be written again; {lines} lines are missing")
            }
            Incident::Closed if self.own.is_some() => {
                "stdout is closed: the workers go on, their output is thrown away".into()
            }
            Incident::Closed => return,
        };
        self.say(&line, now);
    }

    /// True if nothing waits to be written, or nobody is there to take it.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.outlets().all(|outlet| outlet.is_settled(now))
    }

    /// When a reader will count as stalled.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.outlets().filter_map(|outlet| outlet.deadline(now)).min()
    }

    fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        [&self.workers].into_iter().chain(self.own.as_ref())
    }
}
