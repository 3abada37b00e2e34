//! One poll for the keyboard, the signals, the connections to pm and the clock, and a frame after what has changed:
//! at most 30 in a second, and one a second while nothing changes but the time. [`news`] is what comes from pm.

mod news;

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::Inotify;
use nix::unistd::read;

use super::super::deadline::Deadline;
use super::super::failure::Failure;
use super::super::print::stderr_line;
use super::super::session::Session;
use super::keys::{Key, Keys};
use super::link::{AT_ONCE, Asked, Link, Source};
use super::screen::{self, Screen};
use super::state::{self, Effect, Look, State, Tone};
use super::title;
use super::usage::Sampler;
use crate::client::{ClientError, Exchange};
use crate::sys::own_terminal::{Told, Watch, end_by};

/// From one frame to the next.
const FRAME: Duration = Duration::from_millis(33);
/// From one status to the next, while much happens.
const STATUS: Duration = Duration::from_millis(50);
/// The same after one was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// From one look at the deaths of a slot to the next.
const DETAIL: Duration = Duration::from_millis(100);
/// From one look at the counts to the next.
const TOTALS: Duration = Duration::from_secs(2);
/// Lines that come in small pieces are read together.
const LINES: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
/// The counts are shown from this width on, and asked for if there are not more slots.
const COLUMNS_FOR_TOTALS: u16 = 140;
const SLOTS_FOR_TOTALS: usize = 100;
const READ_BYTES: usize = 4096;

/// Shows pm until it is left.
///
/// # Errors
/// If there is no pm, no such slot, or no terminal.
pub fn show(session: &Session, socket: &Path, slots: &[String], look: Look) -> Result<(), Failure> {
    let asked = Link::ask_for(session, slots)?;
    let answers = answers_within(&asked, AT_ONCE);
    let (opening, opened) = if answers {
        (None, Some(Link::open(session, slots, asked, |_| None)?))
    } else {
        (Some(asked), None)
    };
    // From here on a signal does not end the command before its terminal is given back.
    let watch = Watch::begin().map_err(set_up)?;
    let screen = Screen::take().map_err(set_up)?;
    let (columns, rows) = screen::size();
    let mut state = State::new(look, columns, rows, Zoned::now());
    let link = opened.map(|(link, status)| {
        state.title = title(status.pm.plan.as_deref(), socket);
        state.take_status(status);
        link
    });
    if link.is_none() {
        state.link = state::Link::Silent;
    }
    let mut live = Live {
        session,
        socket,
        slots,
        link,
        opening,
        appears: None,
        watch,
        screen,
        keys: Keys::default(),
        state,
        sampler: Sampler::default(),
        is_changed: true,
        is_stale: false,
        wants_totals: true,
        next_frame: Deadline::after(Some(Duration::ZERO)),
        next_status: Deadline::after(Some(Duration::ZERO)),
        next_totals: Deadline::after(Some(Duration::ZERO)),
        next_detail: Deadline::after(Some(Duration::ZERO)),
        next_lines: Deadline::after(Some(Duration::ZERO)),
        next_second: Deadline::after(Some(Duration::ZERO)),
        replaced: 0,
    };
    live.begin();
    let left = live.until_left();
    let Live { screen, state, .. } = live;
    drop(screen);
    match left.map_err(set_up)? {
        Left::Quit => {}
        // It does not return, unless the signal is one that ends nothing.
        Left::Signal(signal) => end_by(signal).map_err(set_up)?,
        // A terminal that is gone reads nothing.
        Left::Unread => return Ok(()),
        Left::Failed(failure) => return Err(failure),
    }
    match (&state.link, &state.pm) {
        (state::Link::Live, Some(pm)) => stderr_line(&format!("pm goes on (pid {})", pm.pid)),
        (state::Link::Silent, _) => stderr_line(state::SILENT),
        (state::Link::Gone(words), _) => stderr_line(words),
        (state::Link::Live, None) => {}
    }
    Ok(())
}

/// Whether pm begins to answer within this time.
fn answers_within(asked: &Exchange, time: Duration) -> bool {
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    // What is wrong is found when it is read.
    poll(&mut [PollFd::new(asked.as_fd(), PollFlags::POLLIN)], timeout) != Ok(0)
}

fn set_up(source: std::io::Error) -> Failure {
    ClientError::Io { step: "set up the terminal for", source }.into()
}

struct Live<'a> {
    session: &'a Session,
    socket: &'a Path,
    slots: &'a [String],
    link: Option<Link>,
    /// What a pm was asked that has not begun to answer, while there is no link.
    opening: Option<Exchange>,
    /// Tells of files that are made in the folder of the socket, while there is no pm.
    appears: Option<Inotify>,
    watch: Watch,
    screen: Screen,
    keys: Keys,
    state: State,
    sampler: Sampler,
    /// A frame is to be drawn.
    is_changed: bool,
    /// Something has happened since the last status.
    is_stale: bool,
    wants_totals: bool,
    next_frame: Deadline,
    next_status: Deadline,
    next_totals: Deadline,
    next_detail: Deadline,
    next_lines: Deadline,
    next_second: Deadline,
    /// How often a connection was replaced: what was polled before is not to be read.
    replaced: u64,
}

/// Why the command ends.
enum Left {
    Quit,
    Signal(i32),
    /// The terminal is gone.
    Unread,
    /// pm has refused the first question.
    Failed(Failure),
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Signals,
    Keyboard,
    Folder,
    /// The answer of a pm that was looked for.
    Opening,
    Pm(Source),
}

impl Live<'_> {
    fn until_left(&mut self) -> Result<Left, std::io::Error> {
        loop {
            if self.is_changed && self.next_frame.is_over() {
                self.state.settle();
                if self.screen.draw(&self.state).is_err() {
                    return Ok(Left::Unread);
                }
                self.is_changed = false;
                self.next_frame = Deadline::after(Some(FRAME));
            }
            let ready = self.wait();
            self.state.tick(Zoned::now());
            if self.next_second.is_over() {
                self.second();
            }
            let replaced = self.replaced;
            // Answers go when they are read, so the last one is first.
            for ready in ready.into_iter().rev() {
                let left = match ready {
                    Ready::Signals => self.take_signals()?,
                    Ready::Keyboard => self.read_keys()?,
                    Ready::Folder => {
                        self.look_for_pm();
                        None
                    }
                    Ready::Opening => self.open(),
                    Ready::Pm(source) => {
                        if self.replaced == replaced {
                            self.read_pm(source);
                        }
                        None
                    }
                };
                if let Some(left) = left {
                    return Ok(left);
                }
            }
            self.ask();
        }
    }

    /// Waits until something can be read, or something is due.
    fn wait(&self) -> Vec<Ready> {
        let stdin = std::io::stdin();
        let mut sources =
            vec![(Ready::Signals, self.watch.as_fd()), (Ready::Keyboard, stdin.as_fd())];
        sources.extend(self.appears.iter().map(|folder| (Ready::Folder, folder.as_fd())));
        sources.extend(self.opening.iter().map(|asked| (Ready::Opening, asked.as_fd())));
        let reads_lines = self.next_lines.is_over();
        let of_pm = self.link.iter().flat_map(Link::sources);
        let of_pm = of_pm.filter(|(source, _)| *source != Source::Lines || reads_lines);
        sources.extend(of_pm.map(|(source, fd)| (Ready::Pm(source), fd)));
        let mut due = vec![self.next_second];
        due.extend(self.is_changed.then_some(self.next_frame));
        due.extend((!reads_lines).then_some(self.next_lines));
        let is_asking = self.link.as_ref().is_some_and(|link| link.is_asking(Asked::Status));
        due.extend((self.is_stale && !is_asking).then_some(self.next_status));
        due.extend(self.lacks_detail().then_some(self.next_detail));
        let left = due.into_iter().filter_map(Deadline::left).min().unwrap_or(SECOND);
        // A wait of less than a millisecond would be none.
        let left = Duration::from_millis(left.as_micros().div_ceil(1000) as u64);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut polled: Vec<_> =
            sources.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Ok(0) | Err(Errno::EINTR) => Vec::new(),
            // What is wrong is found when it is read.
            Ok(_) | Err(_) => {
                let ready = sources.iter().zip(&polled);
                let ready = ready.filter(|(_, fd)| fd.any() != Some(false));
                ready.map(|((ready, _), _)| *ready).collect()
            }
        }
    }

    /// The next second has begun.
    fn second(&mut self) {
        let millis = u64::from(self.state.now.millisecond().unsigned_abs());
        let left = if self.state.view.frozen { 1000 } else { 1000 - millis.min(999) };
        self.next_second = Deadline::after(Some(Duration::from_millis(left)));
        self.is_changed = true;
        match &self.link {
            Some(link) => {
                self.state.link =
                    if link.is_silent() { state::Link::Silent } else { state::Link::Live };
                if link.has_visible_workers() {
                    self.sampler.tick(&mut self.state);
                }
            }
            None if self.opening.is_some() => self.state.link = state::Link::Silent,
            None => self.look_for_pm(),
        }
    }

    fn read_keys(&mut self) -> Result<Option<Left>, std::io::Error> {
        let mut bytes = [0; READ_BYTES];
        let count = match read(std::io::stdin(), &mut bytes) {
            Ok(count) => count,
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            // EIO: the terminal is gone.
            Err(_) => 0,
        };
        if count == 0 {
            return Ok(Some(Left::Unread));
        }
        for key in self.keys.take(&bytes[..count]) {
            if let Some(left) = self.press(&key)? {
                return Ok(Some(left));
            }
        }
        Ok(None)
    }

    fn press(&mut self, key: &Key) -> Result<Option<Left>, std::io::Error> {
        self.is_changed = true;
        // Keys that come together see each other's effects on the view.
        self.state.settle();
        match self.state.press(key) {
            None => {}
            Some(Effect::Quit) => return Ok(Some(Left::Quit)),
            Some(Effect::Suspend) => {
                self.screen.suspend()?;
                self.resize();
            }
            Some(Effect::Redraw) => self.screen.redraw()?,
            Some(Effect::Copy(text)) => self.screen.copy(&text)?,
            Some(Effect::CaptureMouse(wanted)) => self.screen.capture_mouse(wanted)?,
            Some(Effect::Ask(order)) => match &mut self.link {
                Some(link) => {
                    let news = link.give(&order);
                    self.take_in(news);
                }
                None => self.state.say("there is no pm for that now", Tone::Bad),
            },
        }
        Ok(None)
    }

    fn take_signals(&mut self) -> Result<Option<Left>, std::io::Error> {
        for told in self.watch.take() {
            match told {
                Told::End(signal) => return Ok(Some(Left::Signal(signal))),
                Told::Stop => self.screen.suspend()?,
                Told::Continued => self.screen.resume()?,
                Told::Resized => {}
            }
            self.resize();
        }
        Ok(None)
    }

    fn resize(&mut self) {
        let (columns, rows) = screen::size();
        self.state.resize(columns, rows);
        self.is_changed = true;
    }
}
