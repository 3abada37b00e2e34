//! A request, and how its head is read.

use super::framing::body_length;
use super::target::{self, Target};
use super::{HEADERS_MAX, Refusal, TARGET_BYTES_MAX};

/// A whole request: its body has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Without percent-encoding; it begins with `/` and has no control character.
    pub path: String,
    /// In their order, without percent-encoding; one without `=` has an empty value.
    pub query: Vec<(String, String)>,
    /// That of an absolute target, else the Host header; empty if an HTTP/1.0 client names none. With its port.
    pub host: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// What the client would rather speak, in lower case. An HTTP/1.0 client cannot ask for it (RFC 9110, section 7.8).
    pub upgrade: Vec<String>,
}

/// A method that some server has for some path. pm answers every other one with 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// The headers of a request, each name once: the values of equal names are joined by `, ` (RFC 9110, section 5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    NextRequest,
    Close,
}

/// A request whose body has not come yet, and how its answer is framed.
#[derive(Debug)]
pub struct Incoming {
    pub request: Request,
    pub body_bytes: usize,
    pub version: Version,
    pub after: After,
    pub expectation: Expectation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    None,
    /// The client sends the body after a `100 Continue`.
    Continue,
}

impl Headers {
    /// The value of a header, by its name in lower case. What is not UTF-8 in it is U+FFFD.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The elements of a header that is a list, in lower case.
    fn list(&self, name: &str) -> impl Iterator<Item = String> {
        let value = self.get(name).unwrap_or_default();
        value.split(',').map(|element| element.trim().to_ascii_lowercase())
    }

    fn has(&self, name: &str, element: &str) -> bool {
        self.list(name).any(|own| own == element)
    }

    fn of(parsed: &[httparse::Header<'_>]) -> Self {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(parsed.len());
        for header in parsed {
            let name = header.name.to_ascii_lowercase();
            let value = String::from_utf8_lossy(header.value.trim_ascii());
            match headers.iter_mut().find(|(own, _)| *own == name) {
                Some((_, values)) => {
                    values.push_str(", ");
                    values.push_str(&value);
                }
                None => headers.push((name, value.into_owned())),
            }
        }
        Self(headers)
    }
}

impl Request {
    /// The first value of a query name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a head that ends with its empty line.
///
/// # Errors
/// For the first rule that it breaks, in the order in which they stand here.
pub fn read(head: &[u8]) -> Result<Incoming, Refusal> {
    #[cfg(test)]
    super::tests::note_parsed();
    let version = check_request_line(head)?;
    let mut parsed = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parser = httparse::Request::new(&mut parsed);
    match parser.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refusal::RequestLine),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
        Err(error) => return Err(Refusal::Syntax(error)),
    }
    let (Some(method), Some(target)) = (parser.method, parser.path) else {
        return Err(Refusal::RequestLine);
    };
    let method = Method::named(method).ok_or(Refusal::Method)?;
    let target = target::read(target)?;
    let headers = Headers::of(parser.headers);
    let host = match (headers.get("host"), version) {
        (Some(host), _) if target::is_host(host) => host,
        (None, Version::Http10) => "",
        (Some(_), _) | (None, Version::Http11) => return Err(Refusal::Host),
    };
    let host = target.host.unwrap_or_else(|| host.to_owned());
    let body_bytes = body_length(&headers, version)?;
    let expectation = match (headers.get("expect"), version) {
        // RFC 9110, section 10.1.1: an HTTP/1.0 client does not know it.
        (None, _) | (Some(_), Version::Http10) => Expectation::None,
        (Some(value), _) if value.eq_ignore_ascii_case("100-continue") => Expectation::Continue,
        (Some(_), _) => return Err(Refusal::Expectation),
    };
    let after = match version {
        Version::Http11 if !headers.has("connection", "close") => After::NextRequest,
        Version::Http11 | Version::Http10 => After::Close,
    };
    let upgrade = match version {
        Version::Http11 if headers.has("connection", "upgrade") => {
            headers.list("upgrade").collect()
        }
        Version::Http11 | Version::Http10 => Vec::new(),
    };
    let Target { path, query, .. } = target;
    let request = Request { method, path, query, host, headers, body: Vec::new(), upgrade };
    Ok(Incoming { request, body_bytes, version, after, expectation })
}

impl Method {
    /// Methods differ by case (RFC 9110, section 9.1).
    fn named(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            "OPTIONS" => Some(Self::Options),
            _ => None,
        }
    }
}

/// httparse does not say in which part a request line is wrong.
fn check_request_line(head: &[u8]) -> Result<Version, Refusal> {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let parts: Vec<_> = line.split(|byte| *byte == b' ').take(4).collect();
    let [method, target, version] = parts[..] else { return Err(Refusal::RequestLine) };
    if method.is_empty() || target.is_empty() {
        return Err(Refusal::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::RequestLine),
    };
    if target.len() > TARGET_BYTES_MAX { Err(Refusal::TargetTooLong) } else { Ok(version) }
}
