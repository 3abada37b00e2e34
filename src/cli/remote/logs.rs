//! `pm logs`: the lines of the workers that pm still has, on request with the older ones in log files ([`older`]) and
//! those that come.

mod older;

use anstyle::Style;
use jiff::Zoned;
use regex_lite::Regex;
use serde::de::DeserializeOwned;
use serde_json::json;

use self::older::Older;
use super::args::LogsArgs;
use super::failure::Failure;
use super::print::{Paint, Printer, stderr_line, tame, terminal_width};
use super::session::{Session, with_slots};
use super::times::{moment, stamp, written};
use crate::cli::exit_status::STOPPED;
use crate::client::{ClientError, Lines, Request};
use crate::reactor::label_colour;
use crate::wire::{LogFile, LogLine, LogStart, SlotStatus};

/// What `-f` alone begins with.
const LINES_BEFORE_FOLLOW: &str = "10";

/// Of a date and time with milliseconds.
const STAMP_WIDTH: usize = 23;

/// Prints the lines.
///
/// # Errors
/// If there is no pm or no such slot, or if the times or the regular expression cannot be used.
pub fn logs(args: &LogsArgs) -> Result<u8, Failure> {
    let now = Zoned::now();
    let request = request(args, &now)?;
    let session = Session::of(&args.target.place)?;
    let (status, _) = session.status(&args.slots)?;
    let mut page = Page::new(args, &status.slots, now);
    if args.previous {
        for line in previous(&session, &request, &status.slots)? {
            page.print(&line)?;
        }
        page.printer.flush()?;
        return Ok(STOPPED);
    }
    let wants_older = wants_older(args);
    let request = if wants_older { request.query("files", "1") } else { request };
    let mut lines = session.lines(&with_slots(request, &args.slots))?;
    if wants_older {
        print_with_older(args, &mut lines, &mut page)?;
    }
    loop {
        match next(&mut lines) {
            Ok(Some(line)) => page.print(&line)?,
            Ok(None) => break,
            // A stream that is followed ends with pm, and then it may have no end.
            Err(Failure::Client(ClientError::Ended)) if args.follow => {
                page.printer.flush()?;
                stderr_line("pm has ended; the last lines may be missing here");
                return Ok(STOPPED);
            }
            Err(other) => return Err(other),
        }
        if args.follow {
            page.printer.flush()?;
        }
        if page.printer.is_closed() {
            return Ok(STOPPED);
        }
    }
    page.printer.flush()?;
    if args.follow {
        stderr_line("pm has ended");
    }
    Ok(STOPPED)
}

fn request(args: &LogsArgs, now: &Zoned) -> Result<Request, Failure> {
    let mut request = Request::get("/v1/logs");
    let default = if args.follow && args.since.is_none() { LINES_BEFORE_FOLLOW } else { "all" };
    request = request.query("lines", args.lines.as_deref().unwrap_or(default));
    for (name, text) in [("since", &args.since), ("until", &args.until)] {
        if let Some(text) = text {
            let moment = moment(text, now).map_err(Failure::Usage)?;
            request = request.query(name, &written(moment));
        }
    }
    if let Some(grep) = &args.grep {
        request = request.query("grep", grep);
    }
    Ok(if args.follow { request.query("follow", "1") } else { request })
}

/// True if more lines may be asked for than pm keeps. The lines of files have no times and no generations.
fn wants_older(args: &LogsArgs) -> bool {
    let is_some = args.lines.as_deref().is_some_and(|lines| lines != "0");
    is_some && args.since.is_none() && args.until.is_none()
}

/// Prints the lines that pm has by now, behind the older ones of files if they are too few.
fn print_with_older(args: &LogsArgs, lines: &mut Lines, page: &mut Page) -> Result<(), Failure> {
    let Some(start) = next::<LogStart>(lines)? else { return Ok(()) };
    // They are taken first, because pm does not keep them for a slow reader.
    let mut kept = Vec::new();
    while (kept.len() as u64) < start.kept
        && let Some(line) = next::<LogLine>(lines)?
    {
        let is_lost = line.generation == 0;
        kept.push(line);
        if is_lost {
            break;
        }
    }
    // A number that is not one is `all`.
    let most = args.lines.as_deref().and_then(|lines| lines.parse().ok()).unwrap_or(u64::MAX);
    let missing = most.saturating_sub(start.kept);
    if missing > 0 {
        let grep = args.grep.as_deref().map(Regex::new).transpose();
        let grep = grep.map_err(|error| Failure::Usage(format!("`grep`: {error}")))?;
        for file in &start.files {
            match Older::find(file) {
                Ok(older) => older.print(file, missing, grep.as_ref(), page)?,
                Err(error) => stderr_line(&format!("{}: {error}", file.slot)),
            }
        }
    }
    kept.iter().try_for_each(|line| page.print(line))
}

/// The lines of the last worker of each slot that has ended, in the order in which they were written.
fn previous(
    session: &Session,
    request: &Request,
    slots: &[SlotStatus],
) -> Result<Vec<LogLine>, Failure> {
    let mut all = Vec::new();
    for slot in slots {
        let Some(death) = &slot.last_death else {
            stderr_line(&format!("{}: no worker has ended yet", slot.slot));
            continue;
        };
        let request = request.clone().query("slots", &slot.slot);
        let mut lines =
            session.lines(&request.query("generation", &death.generation.to_string()))?;
        while let Some(line) = next::<LogLine>(&mut lines)? {
            all.push(line);
        }
    }
    all.sort_by_key(|line| line.n);
    Ok(all)
}

fn next<T: DeserializeOwned>(lines: &mut Lines) -> Result<Option<T>, Failure> {
    let Some(line) = lines.next_line()? else { return Ok(None) };
    let line = serde_json::from_str(&line)
        .map_err(|error| ClientError::Malformed(format!("{error}: {line}")))?;
    Ok(Some(line))
}

/// How lines are printed.
struct Page {
    printer: Printer,
    /// The names of the slots, in their order.
    names: Vec<String>,
    now: Zoned,
    form: Form,
    prefix: Prefix,
    timestamps: bool,
    paint: Paint,
    is_terminal: bool,
}

/// What a line is printed as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// The line of the worker, and nothing else.
    Raw,
    Text,
}

/// What stands before each line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Nothing,
    /// The name of the slot, in as many columns.
    Name(usize),
}

impl Page {
    fn new(args: &LogsArgs, slots: &[SlotStatus], now: Zoned) -> Self {
        let names: Vec<_> = slots.iter().map(|slot| slot.slot.clone()).collect();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let has_prefix = !args.no_prefix && !args.raw;
        Self {
            printer: Printer::new(),
            names,
            now,
            form: match (args.target.json, args.raw) {
                (true, _) => Form::Json,
                (false, true) => Form::Raw,
                (false, false) => Form::Text,
            },
            prefix: if has_prefix { Prefix::Name(width) } else { Prefix::Nothing },
            timestamps: args.timestamps,
            paint: Paint::of(args.target.colour),
            is_terminal: terminal_width().is_some(),
        }
    }

    fn print(&mut self, line: &LogLine) -> Result<(), Failure> {
        match self.form {
            Form::Json => self.printer.json(line),
            Form::Raw if line.from_worker => self.printer.line(&line.line),
            // What a reader has lost is no line of a worker.
            Form::Raw if line.generation == 0 => {
                self.printer.flush()?;
                stderr_line(&line.line);
                Ok(())
            }
            Form::Raw => Ok(()),
            Form::Text => {
                let text = self.text(line);
                self.printer.line(&text)
            }
        }
    }

    /// Prints a line of a file: when it was written, and by which worker, is not known.
    fn print_older(&mut self, file: &LogFile, line: &str) -> Result<(), Failure> {
        match self.form {
            Form::Json => self.printer.json(&json!({
                "n": null, "at": null, "slot": file.slot, "generation": null, "from_worker": true,
                "line": line, "file": file.file,
            })),
            Form::Raw => self.printer.line(line),
            Form::Text => {
                let text = self.head(&file.slot, "-") + &self.tamed(line);
                self.printer.line(&text)
            }
        }
    }

    /// What stands before a line of this slot.
    fn head(&self, slot: &str, stamp: &str) -> String {
        let mut text = String::new();
        if self.timestamps {
            text += &format!("{stamp:<STAMP_WIDTH$} ");
        }
        let style = self.style(slot);
        if let Prefix::Name(width) = self.prefix {
            text += &format!("{style}{slot:<width$} |{style:#} ");
        }
        text
    }

    fn tamed(&self, line: &str) -> String {
        // A file gets the line as the worker wrote it.
        if self.is_terminal { tame(line, self.paint) } else { line.to_owned() }
    }

    fn text(&self, line: &LogLine) -> String {
        let mut text = self.head(&line.slot, &stamp(line.at, &self.now));
        if line.from_worker {
            text += &self.tamed(&line.line);
        } else {
            let bold = self.paint.style(Style::new().bold());
            text += &format!("{bold}-- {} --{bold:#}", tame(&line.line, Paint::Plain));
        }
        text
    }

    fn style(&self, slot: &str) -> Style {
        let Some(index) = self.names.iter().position(|name| name == slot) else {
            return Style::new();
        };
        let colour = label_colour(index);
        self.paint.style(Style::new().fg_color(Some(colour.into())))
    }
}

#[cfg(test)]
mod tests;
