//! One HTTP request and the judgement of its answer. Bytes in and out; no socket, no clock.

use std::ops::RangeInclusive;

use crate::reactor::report::ProbeFailure;

/// No more of an answer is read than this.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A longer head is not an answer to so small a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a good answer has.
#[derive(Debug)]
pub struct Expectation {
    pub status: RangeInclusive<u16>,
    /// It has to be in the first [`ANSWER_BYTES_MAX`] bytes.
    pub text: Option<String>,
}

/// What the bytes so far mean.
#[derive(Debug, PartialEq)]
pub enum Judgement {
    /// More of the answer has to come.
    Open,
    Passed,
    Failed(ProbeFailure),
}

/// The request: one connection, one answer.
///
/// HTTP/1.0, to which no server may answer in chunks (RFC 9112, section 6.1), so the text to look for is never cut.
pub fn request(target: &str, port: u16) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "GET {target} HTTP/1.0\r\nHost: localhost:{port}\r\nUser-Agent: pm/{version}\r\n\
         Accept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// Whether the server may send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Open,
    Closed,
}

impl Expectation {
    /// Judges an answer by its bytes so far.
    pub fn judge(&self, answer: &[u8], stream: Stream) -> Judgement {
        let is_over = stream == Stream::Closed || answer.len() >= ANSWER_BYTES_MAX;
        let mut rest = answer;
        loop {
            let bytes = &rest[..rest.len().min(HEAD_BYTES_MAX)];
            // Each header has a line.
            let lines = memchr::memchr_iter(b'\n', bytes).count();
            let mut headers = vec![httparse::EMPTY_HEADER; lines];
            let mut head = httparse::Response::new(&mut headers);
            let (length, status) = match (head.parse(bytes), head.code) {
                (Ok(httparse::Status::Complete(length)), Some(status)) => (length, status),
                (Ok(_), _) if rest.len() > HEAD_BYTES_MAX => {
                    return Judgement::Failed(ProbeFailure::NotHttp);
                }
                (Ok(_), _) if answer.len() >= ANSWER_BYTES_MAX => {
                    return Judgement::Failed(ProbeFailure::InterimOnly);
                }
                (Ok(_), _) if is_over => return Judgement::Failed(ProbeFailure::ClosedEarly),
                (Ok(_), _) => return Judgement::Open,
                (Err(_), _) => return Judgement::Failed(ProbeFailure::NotHttp),
            };
            // An interim answer: the final one follows (RFC 9110, section 15.2).
            if (100..200).contains(&status) {
                rest = &rest[length..];
                continue;
            }
            if !self.status.contains(&status) {
                return Judgement::Failed(ProbeFailure::Status(status));
            }
            let announced = content_length(head.headers);
            let body = &rest[length..];
            let is_whole = is_over || announced.is_some_and(|length| body.len() >= length);
            return self.judge_body(body, if is_whole { Stream::Closed } else { Stream::Open });
        }
    }

    fn judge_body(&self, body: &[u8], stream: Stream) -> Judgement {
        let Some(text) = &self.text else {
            return Judgement::Passed;
        };
        match (memchr::memmem::find(body, text.as_bytes()), stream) {
            (Some(_), _) => Judgement::Passed,
            (None, Stream::Closed) => Judgement::Failed(ProbeFailure::NoText),
            (None, Stream::Open) => Judgement::Open,
        }
    }
}

fn content_length(headers: &[httparse::Header<'_>]) -> Option<usize> {
    let named = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
    std::str::from_utf8(named.value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(text: Option<&str>) -> Expectation {
        Expectation { status: 200..=399, text: text.map(Into::into) }
    }

    #[test]
    fn the_request_forbids_a_chunked_answer() {
        assert!(request("/up", 8080).starts_with(b"GET /up HTTP/1.0\r\n"));
    }

    #[test]
    fn a_head_with_a_good_status_is_enough() {
        let expectation = expecting(None);
        let answer = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n";
        for length in 0..answer.len() {
            assert_eq!(expectation.judge(&answer[..length], Stream::Open), Judgement::Open);
            let early = Judgement::Failed(ProbeFailure::ClosedEarly);
            assert_eq!(expectation.judge(&answer[..length], Stream::Closed), early);
        }
        assert_eq!(expectation.judge(answer, Stream::Open), Judgement::Passed);
    }

    #[test]
    fn a_bad_status_is_named() {
        let answer = b"HTTP/1.0 503 Service Unavailable\r\n\r\n";
        assert_eq!(
            expecting(None).judge(answer, Stream::Open),
            Judgement::Failed(ProbeFailure::Status(503))
        );
    }

    #[test]
    fn an_interim_answer_is_skipped() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(expecting(None).judge(answer, Stream::Open), Judgement::Passed);
        assert_eq!(expecting(None).judge(&answer[..30], Stream::Open), Judgement::Open);
    }

    #[test]
    fn a_head_with_many_headers_counts() {
        let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(2_000));
        assert_eq!(expecting(None).judge(answer.as_bytes(), Stream::Open), Judgement::Passed);
    }

    #[test]
    fn a_head_that_is_too_long_is_none_however_it_comes() {
        let head = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(HEAD_BYTES_MAX));
        for length in [head.len() - 1, head.len()] {
            let judgement = expecting(None).judge(&head.as_bytes()[..length], Stream::Open);
            assert_eq!(judgement, Judgement::Failed(ProbeFailure::NotHttp), "{length}");
        }
    }

    #[test]
    fn interim_answers_without_an_end_are_called_so() {
        let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(ANSWER_BYTES_MAX / 20);
        let endless = &endless.as_bytes()[..ANSWER_BYTES_MAX];
        let judgement = expecting(None).judge(endless, Stream::Open);
        assert_eq!(judgement, Judgement::Failed(ProbeFailure::InterimOnly));
    }

    #[test]
    fn the_text_is_looked_for_in_the_body_only() {
        let head = "HTTP/1.1 200 OK\r\nX-State: fine\r\nContent-Length: 6\r\n\r\n";
        let judge = |body: &str, stream| {
            expecting(Some("fine")).judge(format!("{head}{body}").as_bytes(), stream)
        };
        assert_eq!(judge("fi", Stream::Open), Judgement::Open);
        assert_eq!(judge("is fine", Stream::Open), Judgement::Passed);
        assert_eq!(judge("fi", Stream::Closed), Judgement::Failed(ProbeFailure::NoText));
        assert_eq!(judge("is bad", Stream::Open), Judgement::Failed(ProbeFailure::NoText));
    }

    #[test]
    fn an_answer_that_is_not_http_fails() {
        for answer in ["SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0", "HTTP/9 what"] {
            let judgement = expecting(None).judge(answer.as_bytes(), Stream::Open);
            assert_eq!(judgement, Judgement::Failed(ProbeFailure::NotHttp), "{answer}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        let judgement = expecting(None).judge(endless.as_bytes(), Stream::Open);
        assert_eq!(judgement, Judgement::Failed(ProbeFailure::NotHttp));
    }
}
