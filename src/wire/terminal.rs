//! What crosses the control socket after `101 Switching Protocols`: the terminal of a worker, as frames, both ways.
//!
//! A frame is its kind (one byte), the length of the rest (two bytes, the higher one first), and the rest. Frames of
//! pm that a client does not know are left out; a frame of a client that pm does not know ends the connection.

/// The protocol of the `Upgrade` header.
pub const PROTOCOL: &str = "pm-terminal";

/// What stands before the rest of a frame.
pub const FRAME_HEAD_BYTES: usize = 3;

/// The rest of a frame of a client is at most this long.
pub const CLIENT_BYTES_MAX: usize = 4096;

/// The rest of a frame of pm is at most this long.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// A frame as it crosses the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub rest: Vec<u8>,
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// `k`: bytes for the worker's terminal, at most [`CLIENT_BYTES_MAX`].
    Keys(Vec<u8>),
    /// `s`: the size of the client's terminal, each number as two bytes, the higher one first.
    Size(Size),
}

/// What pm sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromPm {
    /// `o`: what the worker has written to its terminal.
    Output(Vec<u8>),
    /// `n`: what pm says of the slot, such as the end of its worker.
    Note(String),
    /// `l`: this many bytes were lost here, since the client has not read them in time. Eight bytes, the highest first.
    Lost(u64),
    /// `e`: why pm ends the connection, although the client wants it.
    End(String),
    /// `b`: pm itself ends.
    Bye(String),
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// What bytes begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// A frame, and how many bytes it takes.
    Frame(Frame, usize),
    /// More has to come.
    Nothing,
    /// A frame that is longer than allowed.
    TooLong,
}

/// The frame that these bytes begin with. Its rest is at most `rest_max` long.
pub fn first(bytes: &[u8], rest_max: usize) -> First {
    let [kind, high, low, rest @ ..] = bytes else { return First::Nothing };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > rest_max {
        return First::TooLong;
    }
    match rest.get(..length) {
        Some(rest) => {
            First::Frame(Frame { kind: *kind, rest: rest.to_vec() }, FRAME_HEAD_BYTES + length)
        }
        None => First::Nothing,
    }
}

impl Frame {
    /// Its rest is cut to what a frame can have.
    pub fn new(kind: u8, rest: &[u8]) -> Self {
        let length = rest.len().min(usize::from(u16::MAX));
        Self { kind, rest: rest[..length].to_vec() }
    }

    pub fn written(&self) -> Vec<u8> {
        let length = u16::try_from(self.rest.len()).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        [&[self.kind, high, low], &self.rest[..usize::from(length)]].concat()
    }
}

impl FromClient {
    pub fn frame(&self) -> Frame {
        match self {
            Self::Keys(keys) => Frame::new(b'k', keys),
            Self::Size(Size { rows, columns }) => {
                Frame::new(b's', &[rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
        }
    }

    /// `None` if it is none that pm knows.
    pub fn of(frame: Frame) -> Option<Self> {
        match (frame.kind, frame.rest) {
            (b'k', keys) => Some(Self::Keys(keys)),
            (b's', size) => {
                let [a, b, c, d] = size[..] else { return None };
                let (rows, columns) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Some(Self::Size(Size { rows, columns }))
            }
            _ => None,
        }
    }
}

impl FromPm {
    pub fn frame(&self) -> Frame {
        match self {
            Self::Output(bytes) => Frame::new(b'o', bytes),
            Self::Note(words) => Frame::new(b'n', words.as_bytes()),
            Self::Lost(count) => Frame::new(b'l', &count.to_be_bytes()),
            Self::End(words) => Frame::new(b'e', words.as_bytes()),
            Self::Bye(words) => Frame::new(b'b', words.as_bytes()),
        }
    }

    /// `None` if it is none that this client knows.
    pub fn of(frame: Frame) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match frame.kind {
            b'o' => Some(Self::Output(frame.rest)),
            b'n' => Some(Self::Note(text(&frame.rest))),
            b'l' => Some(Self::Lost(u64::from_be_bytes(frame.rest.try_into().ok()?))),
            b'e' => Some(Self::End(text(&frame.rest))),
            b'b' => Some(Self::Bye(text(&frame.rest))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_wherever_it_is_cut() {
        let frames = [
            FromPm::Output(b"(Pdb) ".to_vec()).frame(),
            FromPm::Note("web.2 exited 1".into()).frame(),
            FromPm::Lost(70_000).frame(),
            FromClient::Size(Size { rows: 300, columns: 80 }).frame(),
            FromClient::Keys(Vec::new()).frame(),
        ];
        for frame in frames {
            let written = frame.written();
            for cut in 0..written.len() {
                assert_eq!(first(&written[..cut], CLIENT_BYTES_MAX), First::Nothing);
            }
            let more = [&written[..], b"x"].concat();
            assert_eq!(first(&more, CLIENT_BYTES_MAX), First::Frame(frame, written.len()));
        }
        assert_eq!(FromPm::of(FromPm::Lost(7).frame()), Some(FromPm::Lost(7)));
        let size = FromClient::Size(Size { rows: 300, columns: 80 });
        assert_eq!(FromClient::of(size.frame()), Some(size));
    }

    #[test]
    fn what_is_too_long_or_unknown_is_no_message() {
        let long = Frame::new(b'k', &[b'x'; CLIENT_BYTES_MAX + 1]).written();
        assert_eq!(first(&long, CLIENT_BYTES_MAX), First::TooLong);
        assert_eq!(first(&long[..3], CLIENT_BYTES_MAX), First::TooLong);
        assert_eq!(Frame::new(b'o', &[b'x'; 100_000]).rest.len(), usize::from(u16::MAX));
        assert_eq!(FromClient::of(Frame::new(b'x', b"")), None);
        assert_eq!(FromClient::of(Frame::new(b's', b"abc")), None);
        assert_eq!(FromPm::of(Frame::new(b'l', b"abc")), None);
        assert_eq!(FromPm::of(Frame::new(b'?', b"")), None);
    }
}
