//! Requests that are right, however they arrive.

use super::*;
use crate::reactor::control::http::{HEAD_BYTES_MAX, Method};

const REQUESTS: [&str; 9] = [
    GET,
    "\r\nHEAD /v1/slots/web.1?deaths=10 HTTP/1.1\r\nhost:pm:80\r\naccept:\t*/*\t\r\n\r\n",
    "POST /v1/stop HTTP/1.1\r\nHost: pm\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    "POST /v1/stop HTTP/1.1\r\nHost: pm\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n{}",
    "POST /v1/stop HTTP/1.0\r\nContent-Length: 002\r\nExpect: x\r\n\r\n{}",
    "DELETE http://pm:8080/a%20b?c=d%26+e HTTP/1.1\r\nHost: other\r\nConnection: x, Close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\nX: \u{e9}\r\n\r\nGET /2 HTTP/1.1\r\nHost: pm\r\n\r\n",
    "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET /2 HTTP/1.0\r\n\r\nGET /3",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2\r\n\r\n",
];

#[test]
fn the_answer_is_the_same_wherever_the_reads_are_cut() {
    for request in REQUESTS.map(str::as_bytes) {
        let whole = answers_to([request]);
        assert!(whole.contains("HTTP/1.1 200 OK\r\n"), "{whole}");
        assert_eq!(answers_to(request.chunks(1)), whole);
        for at in 0..request.len() {
            let (first, second) = request.split_at(at);
            assert_eq!(answers_to([first, second]), whole, "cut at {at}");
        }
    }
}

#[test]
fn a_request_has_all_that_was_sent() {
    let mut connection = connection_with(
        "POST http://pm:80/v1/st%6fp?a=1&b=%C3%BC&a=2 HTTP/1.1\r\nHost: other\r\nAccept: a/b\r\n\
         Content-Type: application/json\r\nACCEPT:  c/d \r\nX: \r\nContent-Length: 2\r\n\r\n{}",
    );
    let request = connection.next_request().unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/v1/stop"));
    assert_eq!(
        [request.query("a"), request.query("b"), request.query("c")],
        [Some("1"), Some("ü"), None]
    );
    assert_eq!((request.host.as_str(), request.body.as_slice()), ("pm:80", &b"{}"[..]));
    assert_eq!(request.headers.get("accept"), Some("a/b, c/d"));
    assert_eq!(request.headers.get("content-type"), Some("application/json"));
    assert_eq!(request.headers.get("x"), Some(""));
    assert_eq!(request.headers.get("last-event-id"), None);
}

#[test]
fn a_header_that_is_not_utf_8_is_not_lost() {
    let head = b"GET / HTTP/1.1\r\nHost: pm\r\nOrigin: http://\xff\r\n\r\n";
    let request = connection_with(head).next_request().unwrap();
    assert_eq!(request.headers.get("origin"), Some("http://\u{fffd}"));
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read_once() {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nx: ";
    let head = format!("{start}{}\r\n\r\n", "y".repeat(HEAD_BYTES_MAX - start.len() - 4));
    let (looked, parsed) = (LOOKED.get(), PARSED.get());
    assert!(answers_to(head.as_bytes().chunks(1)).starts_with("HTTP/1.1 200 OK\r\n"));
    let (looked, parsed) = (LOOKED.get() - looked, PARSED.get() - parsed);
    assert!((HEAD_BYTES_MAX..2 * HEAD_BYTES_MAX).contains(&looked), "{looked}");
    assert_eq!(parsed, 1);
}

#[test]
fn a_client_that_waits_with_its_body_is_told_once_to_go_on() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut connection = connection_with(head);
    assert_eq!(connection.awaiting(), Awaiting::Body);
    assert_eq!(take_output(&mut connection), "HTTP/1.1 100 Continue\r\n\r\n");
    connection.on_bytes(b"{");
    connection.on_bytes(b"}");
    assert_eq!(take_output(&mut connection), "");
    assert_eq!(connection.next_request().unwrap().body, b"{}");
    // Not for a body that is refused, nor for none.
    let answer = answers_to([head.replace("2\r\n", "99999\r\n").as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = answers_to([head.replace("2\r\n", "0\r\n").as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn one_request_is_in_work_until_its_answer_is_wholly_written() {
    let mut connection = connection_with(GET.repeat(2));
    let first = connection.next_request().unwrap();
    assert_eq!(connection.next_request(), None);
    assert_eq!(connection.awaiting(), Awaiting::Answer);
    connection.reply(&echo(&first));
    connection.advance(connection.output().len() - 1);
    assert_eq!(connection.next_request(), None);
    assert_eq!(connection.awaiting(), Awaiting::Writing);
    connection.advance(1);
    assert!(connection.next_request().is_some());
}

#[test]
fn what_a_connection_waits_for_is_known_at_each_time() {
    let mut connection = Connection::new();
    assert_eq!(connection.awaiting(), Awaiting::Head);
    assert!(connection.is_idle());
    connection.on_bytes(b"G");
    assert!(!connection.is_idle());
    connection.on_bytes(&GET.as_bytes()[1..]);
    assert_eq!(connection.awaiting(), Awaiting::Answer);
    let request = connection.next_request().unwrap();
    connection.reply(&echo(&request));
    take_output(&mut connection);
    assert_eq!(connection.awaiting(), Awaiting::Idle);
    connection.on_bytes(b"POST / HTTP/1.1\r\n");
    assert_eq!(connection.awaiting(), Awaiting::Head);
    connection.on_bytes(b"Host: a\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(connection.awaiting(), Awaiting::Body);
}

#[test]
fn what_a_client_sent_before_it_half_closed_is_answered() {
    let mut connection = connection_with(GET.repeat(3));
    connection.on_eof();
    for _ in 0..3 {
        assert!(!connection.wants_bytes());
        let request = connection.next_request().unwrap();
        connection.reply(&echo(&request));
        assert!(take_output(&mut connection).starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(connection.awaiting(), Awaiting::Closed);
}
