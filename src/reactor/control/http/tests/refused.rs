//! Requests that are refused: one row a way to break a rule.

use httparse::Error;

use super::*;
use crate::reactor::control::http::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Refusal, TARGET_BYTES_MAX,
};

/// What stands after the request line, and why the request is refused.
const HEADERS: [(&str, Refusal); 53] = [
    // Line ends (RFC 9112, section 2.2).
    ("Host: a\r\n\n", Refusal::LineEnd),
    ("Host: a\n\r\n", Refusal::LineEnd),
    ("Host: a\n\n", Refusal::LineEnd),
    ("Host: a\r\r\n\r\n", Refusal::LineEnd),
    ("Host: a\rX: b\r\n\r\n", Refusal::LineEnd),
    ("Host: a\r\n\r", Refusal::Incomplete),
    ("Host: a\r\n\rX: b\r\n\r\n", Refusal::LineEnd),
    ("Host: a\r\nX: \nb\r\n\r\n", Refusal::LineEnd),
    ("\rHost: a\r\n\r\n", Refusal::LineEnd),
    // Header lines (sections 5 and 5.2).
    ("Host : a\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host\t: a\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    (" Host: a\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX: b\r\n c\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX: b\r\n\tc\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX: b\r\n \r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\n: b\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX Y: b\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX(: b\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX\0: b\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nÜ: b\r\n\r\n", Refusal::Syntax(Error::HeaderName)),
    ("Host: a\r\nX: b\0c\r\n\r\n", Refusal::Syntax(Error::HeaderValue)),
    ("Host: a\r\nX: b\x1bc\r\n\r\n", Refusal::Syntax(Error::HeaderValue)),
    ("Host: a\r\nX: b\x7fc\r\n\r\n", Refusal::Syntax(Error::HeaderValue)),
    // Host (section 3.2).
    ("\r\n", Refusal::Host),
    ("Hosts: a\r\n\r\n", Refusal::Host),
    ("Host: a\r\nHost: a\r\n\r\n", Refusal::Host),
    ("Host: a\r\nHOST: b\r\n\r\n", Refusal::Host),
    ("Host:\r\nHost:\r\n\r\n", Refusal::Host),
    ("Host: a b\r\n\r\n", Refusal::Host),
    ("Host: a, b\r\n\r\n", Refusal::Host),
    ("Host: a/b\r\n\r\n", Refusal::Host),
    ("Host: u@a\r\n\r\n", Refusal::Host),
    ("Host: a:b:c\r\n\r\n", Refusal::Host),
    ("Host: [::1\r\n\r\n", Refusal::Host),
    // Lengths (sections 6.1 to 6.3).
    ("Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 5, 5\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: +5\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: -5\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 0x5\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 5 5\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 5.0\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: ٥\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length:\r\n\r\n", Refusal::ContentLength),
    ("Host: a\r\nContent-Length: 16385\r\n\r\n", Refusal::BodyTooLarge),
    ("Host: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", Refusal::BodyTooLarge),
    ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TwoLengths),
    ("Host: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", Refusal::Chunked),
    ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::Coding),
    ("Host: a\r\nTransfer-Encoding: identity\r\n\r\n", Refusal::Coding),
    // Expectations (RFC 9110, section 10.1.1).
    ("Host: a\r\nExpect: 200-ok\r\n\r\n", Refusal::Expectation),
    ("Host: a\r\nExpect: 100-continue, x\r\nContent-Length: 1\r\n\r\nx", Refusal::Expectation),
];

/// Request lines, each before a right Host, and why the request is refused.
const REQUEST_LINES: [(&str, Refusal); 40] = [
    // The empty line is tolerated, and what follows is a header.
    ("", Refusal::RequestLine),
    ("GET", Refusal::RequestLine),
    ("GET /", Refusal::RequestLine),
    (" GET / HTTP/1.1", Refusal::RequestLine),
    ("GET  / HTTP/1.1", Refusal::RequestLine),
    ("GET /  HTTP/1.1", Refusal::RequestLine),
    ("GET / HTTP/1.1 ", Refusal::RequestLine),
    ("GET / a HTTP/1.1", Refusal::RequestLine),
    ("GET\t/ HTTP/1.1", Refusal::RequestLine),
    ("GET /\tHTTP/1.1", Refusal::RequestLine),
    ("GET / http/1.1", Refusal::RequestLine),
    ("GET / HTTP/1", Refusal::RequestLine),
    ("GET / HTTP/1.10", Refusal::RequestLine),
    ("GET / HTTP/01.1", Refusal::RequestLine),
    ("GET / HTTP1.1", Refusal::RequestLine),
    ("GET / ICY/1.1", Refusal::RequestLine),
    ("GET / HTTP/0.9", Refusal::Version),
    ("GET / HTTP/1.2", Refusal::Version),
    ("GET / HTTP/2.0", Refusal::Version),
    ("PRI * HTTP/2.0", Refusal::Version),
    ("get / HTTP/1.1", Refusal::Method),
    ("BREW / HTTP/1.1", Refusal::Method),
    ("TRACE / HTTP/1.1", Refusal::Method),
    ("CONNECT pm:80 HTTP/1.1", Refusal::Method),
    ("G@T / HTTP/1.1", Refusal::Syntax(Error::Token)),
    ("GET\0 / HTTP/1.1", Refusal::Syntax(Error::Token)),
    ("G\u{fc}T / HTTP/1.1", Refusal::Syntax(Error::Token)),
    ("GET /\0 HTTP/1.1", Refusal::Syntax(Error::Token)),
    ("GET /\x7f HTTP/1.1", Refusal::Syntax(Error::Token)),
    ("GET * HTTP/1.1", Refusal::Target),
    ("OPTIONS * HTTP/1.1", Refusal::Target),
    ("GET pm:80 HTTP/1.1", Refusal::Target),
    ("GET v1/status HTTP/1.1", Refusal::Target),
    ("GET https://pm/ HTTP/1.1", Refusal::Target),
    ("GET http:///v1 HTTP/1.1", Refusal::Target),
    ("GET http://u@pm/v1 HTTP/1.1", Refusal::Target),
    ("GET /#a HTTP/1.1", Refusal::Target),
    ("GET /%4 HTTP/1.1", Refusal::Encoding),
    ("GET /%00 HTTP/1.1", Refusal::Encoding),
    ("GET /?a=%ff HTTP/1.1", Refusal::Encoding),
];

fn assert_refused(request: &[u8], refusal: Refusal) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(200)]);
    let (whole, bytes) = (answers_to([request]), answers_to(request.chunks(1)));
    assert_eq!(whole, bytes, "the answer depends on the reads: {shown:?}");
    let (head, body) = whole.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown:?}"));
    let status = refusal.status();
    let first = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
    assert!(head.starts_with(&first), "{shown:?}: {whole}");
    assert!(head.contains("\r\nConnection: close"), "{shown:?}: {whole}");
    assert!(head.contains("\r\nContent-Type: application/problem+json"), "{shown:?}: {whole}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["detail"], refusal.to_string(), "{shown:?}");
    assert_eq!(body["status"], status.code(), "{shown:?}");
    assert_eq!(body["title"], status.reason(), "{shown:?}");
}

#[test]
fn a_wrong_header_is_refused() {
    for (headers, refusal) in HEADERS {
        assert_refused(format!("POST /v1/stop HTTP/1.1\r\n{headers}").as_bytes(), refusal);
    }
}

#[test]
fn a_wrong_request_line_is_refused() {
    for (line, refusal) in REQUEST_LINES {
        assert_refused(format!("{line}\r\nHost: pm\r\n\r\n").as_bytes(), refusal);
    }
}

#[test]
fn what_is_not_utf_8_is_refused_where_it_is_read() {
    assert_refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Syntax(Error::Token));
    assert_refused(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", Refusal::Host);
    assert_refused(b"\x16\x03\x01\x02\0\x01\0\x01", Refusal::RequestLine);
}

#[test]
fn http_1_0_has_rules_of_its_own() {
    let chunked = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_refused(chunked, Refusal::EncodedOldVersion);
    assert_refused(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::Host);
}

#[test]
fn a_second_empty_line_before_the_request_is_refused() {
    assert_refused(format!("\r\n\r\n{GET}").as_bytes(), Refusal::EmptyLines);
    assert_refused(format!("\n{GET}").as_bytes(), Refusal::LineEnd);
}

#[test]
fn what_is_too_long_is_refused_and_what_just_fits_is_not() {
    let target = |length: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1)).into_bytes()
    };
    let headers = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1)).into_bytes()
    };
    let head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nx: ";
        format!("{start}{}\r\n\r\n", "y".repeat(length - start.len() - 4)).into_bytes()
    };
    let body = |length: usize| {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        head.into_bytes().into_iter().chain(std::iter::repeat_n(b'x', length)).collect::<Vec<_>>()
    };
    for (fits, exceeds, refusal) in [
        (target(TARGET_BYTES_MAX), target(TARGET_BYTES_MAX + 1), Refusal::TargetTooLong),
        (headers(HEADERS_MAX), headers(HEADERS_MAX + 1), Refusal::TooManyHeaders),
        (head(HEAD_BYTES_MAX), head(HEAD_BYTES_MAX + 1), Refusal::HeadTooLarge),
        (body(BODY_BYTES_MAX), body(BODY_BYTES_MAX + 1), Refusal::BodyTooLarge),
    ] {
        assert!(answers_to([fits.as_slice()]).starts_with("HTTP/1.1 200 OK\r\n"), "{refusal}");
        assert_refused(&exceeds, refusal);
    }
    assert_refused(&[b'x'; 2 * HEAD_BYTES_MAX], Refusal::TargetTooLong);
}

#[test]
fn a_request_without_its_end_is_refused_at_the_end_of_the_bytes() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for length in 1..post.len() {
        assert_refused(&post.as_bytes()[..length], Refusal::Incomplete);
    }
    assert_eq!(answers_to([]), "");
    assert_eq!(answers_to([&b"\r\n"[..]]), "");
}

#[test]
fn a_refused_head_request_gets_no_body() {
    for request in
        ["HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"]
    {
        let answer = answers_to([request.as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
