//! Where a head ends, and how long the body after it is. RFC 9112, sections 2.2 and 6.

use super::request::{Headers, Version};
use super::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Refusal};

/// How far the end of a head has been looked for. No byte is looked at twice, but for a CR at the end.
#[derive(Debug, Default)]
pub struct HeadSearch {
    looked: usize,
    /// Where the present line begins.
    line: usize,
    leading: Leading,
}

/// Some clients send an empty line after a body; one is tolerated (RFC 9112, section 2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leading {
    #[default]
    Tolerated,
    Had,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// More bytes have to come.
    Nothing,
    /// [`EMPTY_LINE_BYTES`] that stand before the request: the caller removes them.
    LeadingLine,
    /// The head with its last empty line has this length.
    Head(usize),
}

pub const EMPTY_LINE_BYTES: usize = 2;

impl HeadSearch {
    /// Goes on with the search. `bytes` begins where it began the last time, and has grown.
    ///
    /// # Errors
    /// If the bytes so far cannot become a head. Where the reads were cut makes no difference.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Found, Refusal> {
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        // The hello of TLS has no line end, and its client would wait for the deadline.
        if bytes.first().is_some_and(|byte| byte.is_ascii_control() && !b"\r\n".contains(byte)) {
            return Err(Refusal::RequestLine);
        }
        loop {
            #[cfg(test)]
            super::tests::note_looked(bytes.len() - self.looked);
            let Some(at) = memchr::memchr2(b'\r', b'\n', &bytes[self.looked..]) else {
                self.looked = bytes.len();
                break;
            };
            self.looked += at;
            match bytes[self.looked..] {
                [b'\r'] => break,
                [b'\r', b'\n', ..] => {}
                // httparse would take a lone LF, and others would not: who reads what must not differ.
                _ => return Err(Refusal::LineEnd),
            }
            let (line, end) = (self.line, self.looked);
            self.looked += EMPTY_LINE_BYTES;
            self.line = self.looked;
            if end > line {
                continue;
            }
            if line > 0 {
                return Ok(Found::Head(self.looked));
            }
            if self.leading == Leading::Had {
                return Err(Refusal::EmptyLines);
            }
            *self = Self { leading: Leading::Had, ..Self::default() };
            return Ok(Found::LeadingLine);
        }
        if bytes.len() < HEAD_BYTES_MAX {
            return Ok(Found::Nothing);
        }
        Err(if self.line == 0 { Refusal::TargetTooLong } else { Refusal::HeadTooLarge })
    }
}

/// The length of the body that follows this head; 0 without a Content-Length.
///
/// # Errors
/// If two readers could disagree about it, or if pm takes no such body.
pub fn body_length(headers: &Headers, version: Version) -> Result<usize, Refusal> {
    let (length, coding) = (headers.get("content-length"), headers.get("transfer-encoding"));
    if let Some(coding) = coding {
        if length.is_some() {
            return Err(Refusal::TwoLengths);
        }
        return Err(match version {
            Version::Http10 => Refusal::EncodedOldVersion,
            Version::Http11 if coding.eq_ignore_ascii_case("chunked") => Refusal::Chunked,
            Version::Http11 => Refusal::Coding,
        });
    }
    let Some(length) = length else { return Ok(0) };
    // No sign, no list: each digit is one. Two headers have become a list.
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::ContentLength);
    }
    let length = length.parse().ok().filter(|length| *length <= BODY_BYTES_MAX);
    length.ok_or(Refusal::BodyTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(bytes: &[u8]) -> Result<Found, Refusal> {
        HeadSearch::default().find(bytes)
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"), Ok(Found::Head(24)));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(Found::Nothing));
        assert_eq!(find(b""), Ok(Found::Nothing));
        assert_eq!(find(b"\x16"), Err(Refusal::RequestLine), "the hello of TLS");
    }

    #[test]
    fn one_empty_line_may_stand_before_it() {
        let mut search = HeadSearch::default();
        assert_eq!(search.find(b"\r\n\r\nGET"), Ok(Found::LeadingLine));
        assert_eq!(search.find(b"\r\nGET"), Err(Refusal::EmptyLines));
        let mut search = HeadSearch::default();
        assert_eq!(search.find(b"\r\na\r\n\r\n"), Ok(Found::LeadingLine));
        assert_eq!(search.find(b"a\r\n\r\n"), Ok(Found::Head(5)));
    }

    #[test]
    fn a_head_of_8_kib_is_found_and_a_longer_one_is_not() {
        let head = |length: usize| format!("a\r\n{}\r\n\r\n", "b".repeat(length - 7));
        assert_eq!(find(head(HEAD_BYTES_MAX).as_bytes()), Ok(Found::Head(HEAD_BYTES_MAX)));
        let longer = find(head(HEAD_BYTES_MAX + 1).as_bytes());
        assert_eq!(longer, Err(Refusal::HeadTooLarge));
        assert_eq!(find(&[b'a'; HEAD_BYTES_MAX - 1]), Ok(Found::Nothing));
        assert_eq!(find(&[b'a'; HEAD_BYTES_MAX]), Err(Refusal::TargetTooLong));
    }
}
