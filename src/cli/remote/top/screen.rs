//! The terminal: another screen, keys as they are typed, and all of it given back as it was, whatever ends the command.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::style::{ResetColor, force_color_output};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::frame;
use super::state::{Mouse, State};
use crate::sys::own_terminal::{self, RawTerminal};
use crate::sys::pty;

/// Whether the terminal shows the other screen.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// More than a frame has, on most screens.
const FRAME_BYTES: usize = 64 << 10;

/// The screen of the command. Its drop gives the terminal back, and so does a panic, which ends the process without a
/// drop.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Taken>>>,
    raw: RawTerminal,
    mouse: Mouse,
}

/// The other screen. What is left of a frame when it is left is not for the first one.
struct Taken(Stdout);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if IS_TAKEN.load(Ordering::Relaxed) { self.0.write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If stdin or stdout is none, or is gone.
    pub fn take() -> io::Result<Self> {
        let (columns, rows) = size();
        let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
        // A frame is written at once, so that no half of it is seen.
        let out = BufWriter::with_capacity(FRAME_BYTES, Taken(stdout()));
        let backend = CrosstermBackend::new(out);
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
        let raw = RawTerminal::of(stdin().as_fd())?;
        // What a panic says would be lost with the other screen.
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            let _ = leave();
            before(panicked);
        }));
        let mut screen = Self { terminal, raw, mouse: Mouse::Left };
        // Colours are decided by the state alone.
        force_color_output(true);
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        IS_TAKEN.store(true, Ordering::Relaxed);
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        if self.mouse == Mouse::Captured {
            execute!(stdout(), EnableMouseCapture)?;
        }
        self.redraw()
    }

    /// Draws a state that is settled. Only the cells that have changed are written.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn draw(&mut self, state: &State) -> io::Result<()> {
        let area = Rect::new(0, 0, state.columns, state.rows);
        if self.terminal.get_frame().area() != area {
            self.terminal.resize(area)?;
        }
        self.terminal.draw(|frame| {
            if let Some(place) = frame::draw(state, frame.buffer_mut()) {
                frame.set_cursor_position(place);
            }
        })?;
        Ok(())
    }

    /// Every cell is written again with the next frame.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn redraw(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal for its cursor, and take keys for the answer.
        let area = self.terminal.get_frame().area();
        self.terminal.resize(area)
    }

    /// Gives the terminal back, stops, and takes it again when the command continues.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn suspend(&mut self) -> io::Result<()> {
        leave()?;
        self.raw.give_back()?;
        own_terminal::stop();
        self.resume()
    }

    /// The command was continued: a shell may have changed the terminal meanwhile.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn resume(&mut self) -> io::Result<()> {
        self.raw.set()?;
        self.enter()
    }

    /// Whether the mouse is for the command, or for the terminal's own selection.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn capture_mouse(&mut self, mouse: Mouse) -> io::Result<()> {
        self.mouse = mouse;
        match mouse {
            Mouse::Captured => execute!(stdout(), EnableMouseCapture),
            Mouse::Left => execute!(stdout(), DisableMouseCapture),
        }
    }

    /// Puts a text on the clipboard of the terminal (xterm's OSC 52).
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs none of it.
        let _ = leave();
    }
}

/// Undoes what may have been set, once.
fn leave() -> io::Result<()> {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return Ok(());
    }
    let mut out = stdout();
    queue!(out, DisableMouseCapture, DisableBracketedPaste, ResetColor)?;
    execute!(out, LeaveAlternateScreen, Show)
}

/// The columns and rows of the terminal.
pub fn size() -> (u16, u16) {
    let size = pty::size_within(stdout().as_fd(), 0);
    (size.ws_col.max(1), size.ws_row.max(1))
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let [first, second, third] = std::array::from_fn(|n| chunk.get(n).copied().unwrap_or(0));
        let number = u32::from_be_bytes([0, first, second, third]);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize % DIGITS.len()];
            let is_there = place <= chunk.len();
            let _ = text.write_char(if is_there { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::mem::ManuallyDrop;
    use std::process::{Command, Stdio};

    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;

    use super::*;
    use crate::sys::own_terminal::known;

    /// In the process with this variable, the test panics on the screen that is its terminal.
    const PANICS: &str = "PM_TEST_PANICS";

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_told_on_its_first_screen() {
        if std::env::var_os(PANICS).is_some() {
            let _screen = ManuallyDrop::new(Screen::take().unwrap());
            panic!("the command has a fault");
        }
        let pair = openpty(None, None).unwrap();
        let line = File::from(pair.slave);
        let before = tcgetattr(&line).unwrap();
        let name = "cli::remote::top::screen::tests::a_panic_gives_the_terminal_back_and_is_told_on_its_first_screen";
        let end = || Stdio::from(line.try_clone().unwrap());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", name]).env(PANICS, "1").env("RUST_BACKTRACE", "0");
        let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(command);
        let reader = std::thread::spawn(move || {
            let (mut terminal, mut shown) = (File::from(pair.master), Vec::new());
            // EIO: no process has the terminal any more.
            let _ = terminal.read_to_end(&mut shown);
            String::from_utf8_lossy(&shown).into_owned()
        });
        assert!(!child.wait().unwrap().success());
        assert_eq!(known(&tcgetattr(&line).unwrap()), known(&before));
        drop(line);
        let shown = reader.join().unwrap();
        let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text:?}: {shown:?}"));
        let taken = at("\x1b[?1049h");
        let left = at("\x1b[?1049l");
        let told = at("the command has a fault");
        assert!(taken < left && left < told, "{shown:?}");
        assert!(at("\x1b[?2004l") < told && at("\x1b[?25h") < told, "{shown:?}");
        assert_eq!(shown.matches("\x1b[?1049l").count(), 1, "{shown:?}");
        let after = &shown[left..];
        assert!(!after.contains("\x1b[1;1H"), "a frame is on the first screen: {after:?}");
    }

    #[test]
    fn a_text_for_the_clipboard_is_base64() {
        let texts = ["", "f", "fo", "foo", "foob", "ü?>"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "w7w/Pg=="]);
    }
}
