//! stdout and stderr: the workers' lines go to stdout, pm's own to stderr.
//!
//! Both share one queue if they are the same terminal or pipe, so that no line stands in the middle of another.

use std::io::{self, stderr, stdout};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use nix::pty::Winsize;

use super::queue::{Incident, LineQueue};
use super::view::{self, Form, OwnLine, OwnLines, TIMESTAMP_COLUMNS, View, Writer};
use crate::plan::LabelStyle;
use crate::reactor::clock::Moment;
use crate::reactor::tokens::{Registrar, Source};
use crate::sys::{pty, stream};

/// Whether each of the two outputs is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    pub stdout: bool,
    pub stderr: bool,
}

/// The colour of the n-th label: distinguishable on a dark and on a light background. Red is left for what has failed.
pub fn label_colour(n: usize) -> AnsiColor {
    const COLOURS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Yellow,
        AnsiColor::Green,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::BrightCyan,
    ];
    COLOURS[n % COLOURS.len()]
}

/// The name that stands before pm's own lines.
const OWN_NAME: &str = "pm";

/// What stands before a worker's line, in bytes: the slot's name and a bar.
#[derive(Clone, Debug)]
pub struct Label {
    /// The slot's name.
    pub slot: Rc<str>,
    pub line: Vec<u8>,
    /// Before each piece of a long line but the first.
    pub continuation: Vec<u8>,
    pub shown: Shown,
}

/// Whether the lines of a slot go to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Yes,
    No,
}

/// Both outputs.
#[derive(Debug)]
pub struct Console {
    stdout: LineQueue,
    /// `None` if it is the same as stdout, or if pm's own lines go to stdout too.
    stderr: Option<LineQueue>,
    view: View,
    writer: Writer,
    name_width: usize,
}

impl Console {
    /// The outputs of this process.
    ///
    /// # Errors
    /// If a descriptor cannot be duplicated or watched.
    pub fn open(view: View, registrar: &mut Registrar<'_>) -> io::Result<Self> {
        let (out, err) = (stdout(), stderr());
        let stdout = LineQueue::to(out.as_fd(), Source::Stdout, registrar)?;
        let is_one = view.form == Form::Json || stream::is_same_file(out.as_fd(), err.as_fd());
        let stderr = if is_one {
            None
        } else {
            Some(LineQueue::to(err.as_fd(), Source::Stderr, registrar)?)
        };
        let writer = Writer::of(view.form);
        Ok(Self { stdout, stderr, view, writer, name_width: OWN_NAME.len() })
    }

    /// What stands before the lines of the slot with this number.
    pub fn label(&self, pool: &str, name: &str, number: usize, style: LabelStyle) -> Label {
        let colour = match style {
            LabelStyle::Coloured if self.view.colour.stdout => {
                Style::new().fg_color(Some(label_colour(number).into()))
            }
            LabelStyle::Coloured | LabelStyle::Plain | LabelStyle::None => Style::new(),
        };
        let label = |bar| match style {
            LabelStyle::Coloured | LabelStyle::Plain => {
                format!("{colour}{name:<width$} {bar}{colour:#} ", width = self.name_width)
            }
            LabelStyle::None => String::new(),
        };
        Label {
            slot: name.into(),
            line: label('|').into_bytes(),
            continuation: label('+').into_bytes(),
            shown: if self.view.shows(pool, name) { Shown::Yes } else { Shown::No },
        }
    }

    /// Makes all labels as wide as the longest of `names`.
    pub fn set_label_width<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.name_width = names.map(str::len).max().unwrap_or(0).max(OWN_NAME.len());
    }

    /// The size of a terminal whose lines fit behind the labels.
    pub fn terminal_size(&self) -> Winsize {
        let timestamp = match self.view.form {
            Form::Timestamps => TIMESTAMP_COLUMNS,
            Form::Plain | Form::Json => 0,
        };
        let label_columns = self.name_width + " | ".len() + timestamp;
        let label_columns = u16::try_from(label_columns).unwrap_or(u16::MAX);
        pty::size_within(stdout().as_fd(), label_columns)
    }

    /// Where the workers' lines go, and what makes them.
    pub fn stdout(&mut self) -> (&mut LineQueue, &mut Writer) {
        (&mut self.stdout, &mut self.writer)
    }

    /// The lines that wait for the reader of stdout.
    pub fn waiting_for_stdout(&self) -> &LineQueue {
        &self.stdout
    }

    /// How many lines the reader of stdout was not given since the start.
    pub fn lost(&self) -> u64 {
        self.stdout.lost()
    }

    /// Adds what pm itself says: a line, or more.
    pub fn say(&mut self, line: OwnLine<'_>, at: Moment) {
        let bold = if self.view.colour.stderr { Style::new().bold() } else { Style::new() };
        let label = format!("{bold}{OWN_NAME:<width$} |{bold:#} ", width = self.name_width);
        let own = self.stderr.as_mut().unwrap_or(&mut self.stdout);
        let timestamp = match &mut self.writer {
            Writer::Plain => "",
            Writer::Timestamps(time) => time.written(at.wall),
            Writer::Json(out) => return own.push(&[view::json_of_own(out, line)], at.now),
        };
        for text in line.words.lines() {
            own.push(&[timestamp.as_bytes(), label.as_bytes(), text.as_bytes()], at.now);
        }
    }

    /// Which of pm's own lines are asked for.
    pub fn own_lines(&self) -> OwnLines {
        self.view.own
    }

    /// Writes what the reader of stdout takes now, without waiting.
    pub fn flush_stdout(&mut self, now: Instant) -> Option<Incident> {
        let incident = self.stdout.flush(now);
        // A reader that has closed both cannot be told so.
        incident.filter(|incident| *incident != Incident::Closed || self.stderr.is_some())
    }

    /// Writes what the reader of stdout takes now, for the last time. What it does not take is lost.
    pub fn close_stdout(&mut self, now: Instant) -> Option<Incident> {
        self.stdout.close(now)
    }

    /// Writes what the reader of pm's own lines takes now, without waiting. Its incidents cannot be reported to anyone:
    /// the lines that are lost there are pm's own.
    pub fn flush_own(&mut self, now: Instant) {
        let _ = self.own().flush(now);
    }

    /// True if no line waits, or waiting is of no use.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.queues().all(|queue| queue.is_settled(now))
    }

    /// When a reader will count as stalled.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.queues().filter_map(|queue| queue.deadline(now)).min()
    }

    fn own(&mut self) -> &mut LineQueue {
        self.stderr.as_mut().unwrap_or(&mut self.stdout)
    }

    fn queues(&self) -> impl Iterator<Item = &LineQueue> {
        [&self.stdout].into_iter().chain(self.stderr.as_ref())
    }
}
