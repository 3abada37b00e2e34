//! One question by HTTP and the judgement of its answer. Bytes in and out; no socket, no clock.

use std::ops::RangeInclusive;

use super::Trouble;

/// No answer is read further than this, however long it goes on.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A head that is longer is no answer to so small a question.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const HEADERS_MAX: usize = 128;

/// What an answer has to be like.
#[derive(Debug)]
pub struct Expectation {
    pub status: RangeInclusive<u16>,
    /// It has to be somewhere in the first [`ANSWER_BYTES_MAX`] bytes.
    pub text: Option<String>,
}

/// What is known by now.
#[derive(Debug, PartialEq)]
pub enum Judgement {
    /// More of the answer has to come.
    Open,
    Passed,
    Failed(Trouble),
}

/// The question: one connection, one answer.
pub fn request(target: &str, port: u16) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: pm/{version}\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

impl Expectation {
    /// Judges an answer of which these are the bytes so far; `is_over` if there will be no more.
    pub fn judge(&self, answer: &[u8], is_over: bool) -> Judgement {
        let is_over = is_over || answer.len() >= ANSWER_BYTES_MAX;
        let mut rest = answer;
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut head = httparse::Response::new(&mut headers);
            let (length, status) = match (head.parse(rest), head.code) {
                (Ok(httparse::Status::Complete(length)), Some(status)) => (length, status),
                (Ok(_), _) if rest.len() > HEAD_BYTES_MAX => {
                    return Judgement::Failed(Trouble::NotHttp);
                }
                (Ok(_), _) if is_over => return Judgement::Failed(Trouble::ClosedEarly),
                (Ok(_), _) => return Judgement::Open,
                (Err(_), _) => return Judgement::Failed(Trouble::NotHttp),
            };
            // What is only on the way to the answer (RFC 9110, section 15.2).
            if (100..200).contains(&status) {
                rest = &rest[length..];
                continue;
            }
            if !self.status.contains(&status) {
                return Judgement::Failed(Trouble::Status(status));
            }
            let announced = content_length(head.headers);
            return self.judge_body(&rest[length..], is_over, announced);
        }
    }

    fn judge_body(&self, body: &[u8], is_over: bool, announced: Option<usize>) -> Judgement {
        let Some(text) = &self.text else {
            return Judgement::Passed;
        };
        let is_whole = is_over || announced.is_some_and(|length| body.len() >= length);
        match memchr::memmem::find(body, text.as_bytes()) {
            Some(_) => Judgement::Passed,
            None if is_whole => Judgement::Failed(Trouble::NoText),
            None => Judgement::Open,
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
    fn a_head_with_a_good_status_is_enough() {
        let expectation = expecting(None);
        let answer = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n";
        for length in 0..answer.len() {
            assert_eq!(expectation.judge(&answer[..length], false), Judgement::Open);
            let early = Judgement::Failed(Trouble::ClosedEarly);
            assert_eq!(expectation.judge(&answer[..length], true), early);
        }
        assert_eq!(expectation.judge(answer, false), Judgement::Passed);
    }

    #[test]
    fn another_status_is_named() {
        let answer = b"HTTP/1.0 503 Service Unavailable\r\n\r\n";
        assert_eq!(expecting(None).judge(answer, false), Judgement::Failed(Trouble::Status(503)));
    }

    #[test]
    fn what_is_only_on_the_way_is_passed_over() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(expecting(None).judge(answer, false), Judgement::Passed);
        assert_eq!(expecting(None).judge(&answer[..30], false), Judgement::Open);
    }

    #[test]
    fn a_text_is_looked_for_in_the_body_alone() {
        let head = "HTTP/1.1 200 OK\r\nX-State: fine\r\nContent-Length: 6\r\n\r\n";
        let judge = |body: &str, is_over| {
            expecting(Some("fine")).judge(format!("{head}{body}").as_bytes(), is_over)
        };
        assert_eq!(judge("fi", false), Judgement::Open);
        assert_eq!(judge("is fine", false), Judgement::Passed);
        assert_eq!(judge("fi", true), Judgement::Failed(Trouble::NoText));
        assert_eq!(judge("is bad", false), Judgement::Failed(Trouble::NoText));
    }

    #[test]
    fn what_is_not_http_is_said_to_be_so() {
        for answer in ["SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0", "HTTP/9 what"] {
            let judgement = expecting(None).judge(answer.as_bytes(), false);
            assert_eq!(judgement, Judgement::Failed(Trouble::NotHttp), "{answer}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        let judgement = expecting(None).judge(endless.as_bytes(), false);
        assert_eq!(judgement, Judgement::Failed(Trouble::NotHttp));
    }
}
