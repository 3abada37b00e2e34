//! Why a request is refused before any route sees it. The answer is the last one of its connection.

use super::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Problem, Reply, Status, TARGET_BYTES_MAX,
};

/// One rule that a request has broken. Its words are the `detail` of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("each line ends with CR LF; a CR or LF stands alone")]
    LineEnd,
    #[error("more than one empty line stands before the request")]
    EmptyLines,
    #[error("the request line is not METHOD TARGET VERSION with one space between")]
    RequestLine,
    /// A header name or value with other characters, a folded line, a space before the colon.
    #[error("the head is not HTTP: {0}")]
    Syntax(httparse::Error),
    #[error("the HTTP version is neither 1.1 nor 1.0")]
    Version,
    #[error("pm does not know this method")]
    Method,
    #[error("the target is neither a path nor an http:// address, or has a fragment")]
    Target,
    #[error("the target has a wrong percent-encoding, or a control character in its path")]
    Encoding,
    #[error("the target is longer than {TARGET_BYTES_MAX} bytes")]
    TargetTooLong,
    #[error("the head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("the head has more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    #[error("the request needs one Host header, with a host and at most a port")]
    Host,
    #[error("Content-Length is not one number")]
    ContentLength,
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// RFC 9112, section 6.1: the framing of such a message is faulty.
    #[error("an HTTP/1.0 request has no Transfer-Encoding")]
    EncodedOldVersion,
    /// RFC 9112, section 6.3: a server may ask for a length instead.
    #[error("pm takes no body in chunks; send a Content-Length")]
    Chunked,
    #[error("pm knows no transfer coding but chunked")]
    Coding,
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    BodyTooLarge,
    #[error("pm knows no expectation but 100-continue")]
    Expectation,
    #[error("the connection was closed before the end of the request")]
    Incomplete,
    #[error("the request did not arrive in time")]
    Late,
    #[error("as many clients as pm serves at once are connected, and each waits; end one of them")]
    Busy,
}

impl Refusal {
    pub fn status(self) -> Status {
        match self {
            Self::LineEnd
            | Self::EmptyLines
            | Self::RequestLine
            | Self::Syntax(_)
            | Self::Target
            | Self::Encoding
            | Self::Host
            | Self::ContentLength
            | Self::TwoLengths
            | Self::EncodedOldVersion
            | Self::Incomplete => Status::BadRequest,
            Self::Late => Status::RequestTimeout,
            Self::Chunked => Status::LengthRequired,
            Self::BodyTooLarge => Status::ContentTooLarge,
            Self::TargetTooLong => Status::UriTooLong,
            Self::Expectation => Status::ExpectationFailed,
            Self::HeadTooLarge | Self::TooManyHeaders => Status::RequestHeaderFieldsTooLarge,
            Self::Method | Self::Coding => Status::NotImplemented,
            Self::Busy => Status::ServiceUnavailable,
            Self::Version => Status::HttpVersionNotSupported,
        }
    }

    /// The answer, which names the rule.
    pub fn reply(self) -> Reply {
        let status = self.status();
        let name = status.reason().to_ascii_lowercase().replace(' ', "-");
        Problem::new(name, status.reason(), status, self.to_string()).reply().closing()
    }
}
