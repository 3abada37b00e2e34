//! A client that has the terminal of a slot: its keys go in, what the workers write comes out. It stays with the slot
//! when a worker is replaced. A place on the screen of the slot, and no queue but of the keys of one frame.

use std::time::{Duration, Instant};

use nix::pty::Winsize;

use super::super::output::{Before, Output, Shown, Typed};
use super::super::tokens::Registrar;
use super::call::AttachCall;
use super::http::{Arrived, Connection};
use crate::supervisor::SlotId;
use crate::wire::terminal::{FRAME_HEAD_BYTES, FromClient, FromPm, OUTPUT_BYTES_MAX, Size};

/// How long a worker may leave keys in its terminal before the client that waits for it is sent away.
const KEYS_PATIENCE: Duration = Duration::from_secs(60);

/// Lines of what was written before, if the client has told no size.
const ROWS_DEFAULT: u16 = 24;

/// Frames of one client in one wakeup.
const FRAMES_PER_WAKEUP: usize = 16;

/// One attached client.
#[derive(Debug)]
pub struct Attachment {
    pub slot: SlotId,
    /// Of the client's terminal, if it has told it.
    pub size: Option<Winsize>,
    /// The place on the screen up to which it has everything.
    place: u64,
    /// Keys that the terminal has not taken yet.
    keys: Vec<u8>,
    /// Since when they wait.
    waiting: Option<Instant>,
    redraw: Redraw,
}

/// Whether the worker is to be told to draw its screen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redraw {
    Due,
    Done,
}

/// Whether a client stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    Yes,
    /// Frames of it may wait.
    YesWithMore,
    No,
}

impl Attachment {
    /// Attaches a client whose connection has changed its protocol. It is greeted with these words, and shown what the
    /// slot has written before.
    pub fn begin(
        slot: SlotId,
        call: &AttachCall,
        greeting: String,
        output: &mut Output,
        connection: &mut Connection,
    ) -> Self {
        let size = call.size.and_then(winsize);
        let rows = size.map_or(ROWS_DEFAULT, |size| size.ws_row);
        let (before, place) = output.attach(slot, usize::from(rows).saturating_sub(1));
        connection.send_frame(&FromPm::Note(greeting).frame());
        for part in before {
            match part {
                Before::Death(words) => connection.send_frame(&FromPm::Note(words).frame()),
                Before::Output(bytes) => bytes.chunks(OUTPUT_BYTES_MAX).for_each(|bytes| {
                    connection.send_frame(&FromPm::Output(bytes.to_vec()).frame());
                }),
            }
        }
        Self { slot, size, place, keys: Vec::new(), waiting: None, redraw: Redraw::Due }
    }

    /// When the client is sent away because its keys are not taken.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.map(|since| since + KEYS_PATIENCE)
    }

    /// True once, after the size of the terminal was set.
    pub fn take_redraw(&mut self) -> bool {
        std::mem::replace(&mut self.redraw, Redraw::Done) == Redraw::Due
    }

    /// Takes what the client has sent. While keys wait for the worker nothing more is taken, so that at last the
    /// client waits too.
    pub fn take(
        &mut self,
        output: &mut Output,
        registrar: &mut Registrar<'_>,
        now: Instant,
        connection: &mut Connection,
    ) -> Stay {
        for _ in 0..FRAMES_PER_WAKEUP {
            if !self.type_keys(output, registrar, now) {
                let is_late = self.deadline().is_some_and(|deadline| now >= deadline);
                let words = "the worker has read no keys for a minute";
                return if is_late { sent_away(words, connection) } else { Stay::Yes };
            }
            match connection.next_frame() {
                Arrived::Frame(frame) => match FromClient::of(frame) {
                    Some(FromClient::Keys(keys)) => self.keys = keys,
                    Some(FromClient::Size(size)) => self.size = winsize(size),
                    None => return sent_away("pm does not know such a frame", connection),
                },
                Arrived::Nothing => return Stay::Yes,
                Arrived::TooLong => return sent_away("the frame is too long", connection),
                Arrived::End => {
                    connection.end_frames();
                    return Stay::No;
                }
            }
        }
        Stay::YesWithMore
    }

    /// Gives the client what is new, as far as there is room.
    pub fn fill(&mut self, output: &Output, connection: &mut Connection) {
        let Some(screen) = output.screen(self.slot) else { return };
        while let Some(room) = connection.frame_room() {
            let (frame, passed) = match screen.after(self.place) {
                Shown::Nothing => return,
                Shown::Lost(count) if room >= size_of::<u64>() => (FromPm::Lost(count), count),
                Shown::Note(words) if room >= words.len() => {
                    let text = String::from_utf8_lossy(words).into_owned();
                    (FromPm::Note(text), words.len() as u64)
                }
                Shown::Lost(_) | Shown::Note(_) => return,
                Shown::Output(bytes) => {
                    let count = bytes.len().min(room).min(OUTPUT_BYTES_MAX - FRAME_HEAD_BYTES);
                    (FromPm::Output(bytes[..count].to_vec()), count as u64)
                }
            };
            connection.send_frame(&frame.frame());
            self.place += passed;
        }
    }

    /// Gives the terminal the keys that wait. True if it has taken all; those for a worker that is gone are dropped.
    fn type_keys(
        &mut self,
        output: &mut Output,
        registrar: &mut Registrar<'_>,
        now: Instant,
    ) -> bool {
        if self.keys.is_empty() {
            return true;
        }
        match output.type_keys(self.slot, &self.keys, registrar) {
            Typed::All | Typed::Nowhere => {
                self.keys = Vec::new();
                self.waiting = None;
                true
            }
            Typed::Some(0) => {
                self.waiting.get_or_insert(now);
                false
            }
            Typed::Some(count) => {
                self.keys.drain(..count);
                self.waiting = Some(now);
                false
            }
        }
    }
}

/// Tells a client why it cannot stay.
pub fn sent_away(words: &str, connection: &mut Connection) -> Stay {
    connection.send_frame(&FromPm::End(words.into()).frame());
    connection.end_frames();
    Stay::No
}

/// The size that suits all of these, if there is one.
pub fn smallest(sizes: impl Iterator<Item = Winsize>) -> Option<Winsize> {
    sizes.reduce(|a, b| Winsize {
        ws_row: a.ws_row.min(b.ws_row),
        ws_col: a.ws_col.min(b.ws_col),
        ..a
    })
}

/// A terminal without rows or columns has not told its size.
fn winsize(Size { rows, columns }: Size) -> Option<Winsize> {
    let is_known = rows > 0 && columns > 0;
    is_known.then_some(Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
}
