//! `pm attach`: the terminal of a worker at one's own. [`keys`] knows which key detaches.
//!
//! The command waits only for its own stdout: one can detach from a worker that reads no keys, and from a pm that is
//! suspended.

mod keys;

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use self::keys::Keys;
use super::args::{AttachArgs, DetachKey};
use super::deadline::Deadline;
use super::failure::Failure;
use super::print::{printable, stderr_line};
use super::session::Session;
use crate::cli::exit_status::{NOT_SO, STOPPED};
use crate::client::{ClientError, Request, Terminal};
use crate::plan::text::phrase;
use crate::sys::own_terminal::{self, RawTerminal, Told, Watch, end_by};
use crate::sys::pty;
use crate::wire::terminal::{CLIENT_BYTES_MAX, FromClient, FromPm, PROTOCOL, Size};

/// The key that detaches goes to the worker if it is pressed again within this time.
const TWICE_WITHIN: Duration = Duration::from_millis(300);

/// Keys that pm has not taken yet, at most: more are not read from a pipe, and lost from a keyboard.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// What a worker may have set on the terminal and left so: colours, a hidden cursor, the modes of cursor keys, mouse
/// and paste, and the other screen (xterm's control sequences).
const RESET: &[u8] =
    b"\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1047l";

/// The bell of the terminal.
const BELL: &[u8] = b"\x07";

/// Types on the terminal of a worker, until the key that detaches, the end of stdin, or the end of pm.
///
/// # Errors
/// If there is no pm, no such slot, or no terminal.
pub fn attach(args: &AttachArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.place)?;
    let mut request = Request::upgrade("/v1/attach", PROTOCOL).query("slot", &args.slot);
    let size = window();
    if let Some(Size { rows, columns }) = size {
        request = request.query("rows", &rows.to_string());
        request = request.query("columns", &columns.to_string());
    }
    let mut terminal = session.terminal(&request)?;
    // From here on a signal does not end the command before its terminal is given back.
    let watch = Watch::begin().map_err(set_up)?;
    if let Some(changed) = window().filter(|now| Some(*now) != size) {
        terminal.add(&FromClient::Size(changed));
    }
    let keyboard = if stdin().is_terminal() {
        let raw = RawTerminal::of(stdin().as_fd()).map_err(set_up)?;
        let (keys, decided_by) = (Keys::new(args.detach_key), Deadline::after(None));
        Keyboard::Terminal { raw, keys, decided_by }
    } else {
        Keyboard::Pipe
    };
    let key = if stdin().is_terminal() { args.detach_key } else { DetachKey::None };
    let screen = Screen { is_line_open: false, greeting: Some(key) };
    let mut attached = Attached { terminal, watch, keyboard, screen };
    let left = attached.until_left();
    attached.end(left?)
}

/// The size of the terminal of this command, if it has one.
fn window() -> Option<Size> {
    let (stdout, stdin) = (stdout(), stdin());
    let terminal = [stdout.as_fd(), stdin.as_fd()].into_iter().find(BorrowedFd::is_terminal)?;
    let size = pty::size_within(terminal, 0);
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}

fn set_up(source: std::io::Error) -> Failure {
    ClientError::Io { step: "set up the terminal for", source }.into()
}

struct Attached {
    terminal: Terminal,
    watch: Watch,
    keyboard: Keyboard,
    screen: Screen,
}

/// Where keys come from.
enum Keyboard {
    Terminal {
        raw: RawTerminal,
        keys: Keys,
        /// When the key that detaches does so by itself.
        decided_by: Deadline,
    },
    Pipe,
    /// The pipe has ended.
    Ended,
}

/// Where the output goes.
struct Screen {
    /// Something stands in the line of the cursor.
    is_line_open: bool,
    /// The first note of pm is to be completed by the key that detaches.
    greeting: Option<DetachKey>,
}

/// Why the command ends.
enum Left {
    Detached,
    /// pm has closed the connection after the last key of a pipe.
    AfterKeys,
    /// The reader of stdout has gone.
    Unread,
    PmEnded(String),
    SentAway(String),
    Signal(i32),
}

impl Attached {
    fn until_left(&mut self) -> Result<Left, Failure> {
        loop {
            while let Some(message) = self.terminal.arrived() {
                if let Some(left) = self.screen.show(message)? {
                    return Ok(left);
                }
            }
            if self.terminal.has_ended() {
                return Ok(match self.keyboard {
                    Keyboard::Ended => Left::AfterKeys,
                    Keyboard::Terminal { .. } | Keyboard::Pipe => {
                        Left::PmEnded("pm has ended".into())
                    }
                });
            }
            self.terminal.send()?;
            let [answers, signals, typed] = self.wait();
            if answers {
                self.terminal.read()?;
            }
            if typed && let Some(left) = self.read_keys() {
                return Ok(left);
            }
            if self.keyboard.is_left() {
                return Ok(Left::Detached);
            }
            if signals && let Some(left) = self.take_signals() {
                return Ok(left);
            }
        }
    }

    /// Which of these can be read: the socket, the signals, stdin. An error of one is found when it is read.
    fn wait(&self) -> [bool; 3] {
        let stdin = stdin();
        let mut answers = PollFlags::POLLIN;
        answers.set(PollFlags::POLLOUT, self.terminal.unsent_bytes() > 0);
        let mut polled = vec![
            PollFd::new(self.terminal.as_fd(), answers),
            PollFd::new(self.watch.as_fd(), PollFlags::POLLIN),
        ];
        if self.reads_keys() {
            polled.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut polled, self.keyboard.patience()) {
            Ok(_) => {
                let is_ready = |n: usize| polled.get(n).is_some_and(|fd| fd.any() != Some(false));
                [is_ready(0), is_ready(1), is_ready(2)]
            }
            Err(Errno::EINTR) => [false; 3],
            Err(_) => [true, true, self.reads_keys()],
        }
    }

    fn reads_keys(&self) -> bool {
        match self.keyboard {
            Keyboard::Terminal { .. } => true,
            Keyboard::Pipe => self.terminal.unsent_bytes() < UNSENT_BYTES_MAX,
            Keyboard::Ended => false,
        }
    }

    /// Reads what was typed, and sees whether it detaches.
    fn read_keys(&mut self) -> Option<Left> {
        let mut typed = [0; CLIENT_BYTES_MAX];
        let count = match read(stdin(), &mut typed) {
            Ok(count) => count,
            Err(Errno::EINTR | Errno::EAGAIN) => return None,
            // EIO: the terminal is gone.
            Err(_) => 0,
        };
        match &mut self.keyboard {
            Keyboard::Terminal { .. } if count == 0 => return Some(Left::Detached),
            Keyboard::Terminal { keys, decided_by, .. } => {
                let keys_for_worker = keys.take(&typed[..count]);
                let time = keys.is_undecided().then_some(TWICE_WITHIN);
                *decided_by = Deadline::after(time);
                let is_detached = keys.are_detached();
                self.type_keys(&keys_for_worker);
                return is_detached.then_some(Left::Detached);
            }
            Keyboard::Pipe if count == 0 => {
                self.keyboard = Keyboard::Ended;
                self.terminal.end_keys();
            }
            Keyboard::Pipe => self.type_keys(&typed[..count]),
            Keyboard::Ended => {}
        }
        None
    }

    /// Keys of a keyboard that pm does not take are lost, as on any terminal: the key that detaches has to be read.
    fn type_keys(&mut self, keys: &[u8]) {
        if keys.is_empty() {
            return;
        }
        if self.terminal.unsent_bytes() < UNSENT_BYTES_MAX {
            self.terminal.add(&FromClient::Keys(keys.to_vec()));
        } else {
            let _ = stderr().write_all(BELL);
        }
    }

    fn take_signals(&mut self) -> Option<Left> {
        for told in self.watch.take() {
            match (told, &self.keyboard) {
                (Told::End(signal), _) => return Some(Left::Signal(signal)),
                (Told::Continued, Keyboard::Terminal { raw, .. }) => {
                    // It fails if the terminal is gone; then stdin ends.
                    let _ = raw.set();
                }
                (Told::Stop, keyboard) => {
                    if let Keyboard::Terminal { raw, .. } = keyboard {
                        // As above.
                        let _ = raw.give_back();
                    }
                    own_terminal::stop();
                }
                (Told::Continued | Told::Resized, _) => {}
            }
            if let Some(size) = window() {
                self.terminal.add(&FromClient::Size(size));
            }
        }
        None
    }

    /// Gives the terminal back, and says why it does.
    fn end(self, left: Left) -> Result<u8, Failure> {
        let Self { keyboard, mut screen, .. } = self;
        if let (Keyboard::Terminal { .. }, true) = (&keyboard, stdout().is_terminal()) {
            let mut out = stdout().lock();
            // A terminal that is gone needs none of it.
            let _ = out.write_all(RESET).and_then(|()| out.flush());
        }
        let is_by_hand = matches!(keyboard, Keyboard::Terminal { .. });
        drop(keyboard);
        match left {
            Left::Detached if is_by_hand => screen.note("detached"),
            Left::Detached | Left::AfterKeys | Left::Unread => {}
            Left::PmEnded(words) => screen.note(&words),
            Left::SentAway(words) => {
                screen.note(&format!("pm: {words}"));
                return Ok(NOT_SO);
            }
            Left::Signal(signal) => {
                screen.end_line();
                // It does not return, unless the signal is one that ends nothing.
                end_by(signal).map_err(set_up)?;
            }
        }
        Ok(STOPPED)
    }
}

impl Keyboard {
    /// How long the next key may take.
    fn patience(&self) -> PollTimeout {
        let left = match self {
            Self::Terminal { decided_by, .. } => decided_by.left(),
            Self::Pipe | Self::Ended => None,
        };
        left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        })
    }

    /// The key that detaches was pressed once, and no other has followed in time.
    fn is_left(&mut self) -> bool {
        let Self::Terminal { keys, decided_by, .. } = self else { return false };
        if decided_by.left().is_some_and(|left| left.is_zero()) {
            keys.decide();
        }
        keys.are_detached()
    }
}

impl Screen {
    /// Shows what pm has sent.
    fn show(&mut self, message: FromPm) -> Result<Option<Left>, Failure> {
        match message {
            FromPm::Output(bytes) => return self.output(&bytes),
            FromPm::Note(words) => {
                let words = match self.greeting.take() {
                    Some(key @ DetachKey::Key(_)) => format!("{words}; {key} detaches"),
                    Some(DetachKey::None) | None => words,
                };
                self.note(&words);
            }
            FromPm::Lost(count) => self.note(&format!("{} were lost", phrase::bytes(count))),
            FromPm::End(words) => return Ok(Some(Left::SentAway(words))),
            FromPm::Bye(words) => return Ok(Some(Left::PmEnded(words))),
        }
        Ok(None)
    }

    fn output(&mut self, bytes: &[u8]) -> Result<Option<Left>, Failure> {
        let mut out = stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Some(Left::Unread)),
            Err(error) => return Err(Failure::Print(error)),
        }
        if let Some(last) = bytes.last() {
            self.is_line_open = *last != b'\n';
        }
        Ok(None)
    }

    /// What pm or this command says stands in a line of its own.
    fn note(&mut self, words: &str) {
        self.end_line();
        stderr_line(&printable(words));
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.is_line_open) && stdout().is_terminal() {
            stderr_line("");
        }
    }
}
