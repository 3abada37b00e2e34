//! The statuses that pm answers with, and their names.

/// A status of RFC 9110, section 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Of a connection that is no HTTP from then on.
    SwitchingProtocols,
    Ok,
    Accepted,
    /// Has no body.
    NotModified,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    LengthRequired,
    ContentTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    ExpectationFailed,
    UnprocessableContent,
    UpgradeRequired,
    RequestHeaderFieldsTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    GatewayTimeout,
    HttpVersionNotSupported,
}

impl Status {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 24] = [
        Self::SwitchingProtocols,
        Self::Ok,
        Self::Accepted,
        Self::NotModified,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::LengthRequired,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::ExpectationFailed,
        Self::UnprocessableContent,
        Self::UpgradeRequired,
        Self::RequestHeaderFieldsTooLarge,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::ServiceUnavailable,
        Self::GatewayTimeout,
        Self::HttpVersionNotSupported,
    ];

    /// The status with this code, if pm answers with it.
    pub fn of(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    pub fn code(self) -> u16 {
        self.parts().0
    }

    /// Its name in English, as in the status line.
    pub fn reason(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (u16, &'static str) {
        match self {
            Self::SwitchingProtocols => (101, "Switching Protocols"),
            Self::Ok => (200, "OK"),
            Self::Accepted => (202, "Accepted"),
            Self::NotModified => (304, "Not Modified"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Unauthorized => (401, "Unauthorized"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::RequestTimeout => (408, "Request Timeout"),
            Self::Conflict => (409, "Conflict"),
            Self::LengthRequired => (411, "Length Required"),
            Self::ContentTooLarge => (413, "Content Too Large"),
            Self::UriTooLong => (414, "URI Too Long"),
            Self::UnsupportedMediaType => (415, "Unsupported Media Type"),
            Self::ExpectationFailed => (417, "Expectation Failed"),
            Self::UnprocessableContent => (422, "Unprocessable Content"),
            Self::UpgradeRequired => (426, "Upgrade Required"),
            Self::RequestHeaderFieldsTooLarge => (431, "Request Header Fields Too Large"),
            Self::InternalServerError => (500, "Internal Server Error"),
            Self::NotImplemented => (501, "Not Implemented"),
            Self::ServiceUnavailable => (503, "Service Unavailable"),
            Self::GatewayTimeout => (504, "Gateway Timeout"),
            Self::HttpVersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }
}
