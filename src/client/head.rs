//! The head of an answer: its status, and how its body is framed.

use httparse::{EMPTY_HEADER, Response, Status};

use super::ClientError;
use super::body::Body;

/// More than pm sends.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    pub body: Body,
}

impl Head {
    /// The head that `raw` begins with, and its length; `None` if there is more to come.
    pub(super) fn parse(raw: &[u8]) -> Result<Option<(Self, usize)>, ClientError> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut headers);
        let parsed = response.parse(raw);
        let length = match parsed.map_err(|error| ClientError::Malformed(error.to_string()))? {
            Status::Complete(length) => length,
            Status::Partial if raw.len() > HEAD_BYTES_MAX => {
                return Err(ClientError::Malformed("its head is too long".into()));
            }
            Status::Partial => return Ok(None),
        };
        let status = response.code.expect("a complete head has a status");
        let body = Self::framing(status, response.headers)?;
        Ok(Some((Self { status, body }, length)))
    }

    /// RFC 9112, section 6.3.
    fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Body, ClientError> {
        if status < 200 || status == 204 || status == 304 {
            return Ok(Body::length(0));
        }
        let value = |name: &str| {
            let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok().map(str::trim)
        };
        match (value("Transfer-Encoding"), value("Content-Length")) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Ok(Body::chunked()),
            (Some(coding), _) => Err(ClientError::Malformed(format!("its coding is `{coding}`"))),
            (None, Some(length)) => match length.parse() {
                Ok(length) => Ok(Body::length(length)),
                Err(_) => Err(ClientError::Malformed(format!("its length is `{length}`"))),
            },
            (None, None) => Ok(Body::until_the_end()),
        }
    }
}
