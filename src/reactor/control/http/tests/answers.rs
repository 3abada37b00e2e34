//! Answers: whole, in pieces, too late, and the end of a connection.

use serde_json::json;

use super::*;
use crate::reactor::control::http::{
    DRAINED_BYTES_MAX, HEAD_BYTES_MAX, Head, OUTPUT_BYTES_MAX, Problem,
};

const GET_1_0: &str = "GET / HTTP/1.0\r\n\r\n";

fn head_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().0
}

fn answer(request: &str, reply: &Reply) -> String {
    let mut connection = connection_with(request);
    connection.next_request().unwrap();
    connection.reply(reply);
    take_output(&mut connection)
}

/// Puts the chunks of a body together, and returns what follows them.
fn unchunk(mut body: &str) -> (String, &str) {
    let mut whole = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &rest[..length];
        body = rest[length..].strip_prefix("\r\n").unwrap();
        if length == 0 {
            return (whole, body);
        }
    }
}

#[test]
fn an_answer_has_its_length_and_its_headers() {
    let reply = Reply::json(Status::Conflict, &json!({"a": 1})).with("Retry-After", "5");
    assert_eq!(
        answer(GET, &reply),
        "HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\
         Retry-After: 5\r\n\r\n{\"a\":1}"
    );
}

#[test]
fn an_answer_that_will_be_another_one_soon_says_when_to_ask_again() {
    let busy = Problem::new("busy", "Busy", Status::ServiceUnavailable, "too many").reply();
    assert!(head_of(&answer(GET, &busy)).contains("\r\nRetry-After: 1"));
    let reply = Reply::json(Status::Ok, &json!({}));
    assert!(!head_of(&answer(GET, &reply)).contains("Retry-After"));
}

#[test]
fn a_problem_has_its_members() {
    let problem = Problem::new("no-such-slot", "No such slot", Status::NotFound, "no web.9");
    let answer = answer(GET, &problem.with("candidates", vec!["web.1"]).reply());
    assert!(head_of(&answer).contains("Content-Type: application/problem+json"), "{answer}");
    let body: serde_json::Value =
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = json!({
        "type": "/errors/no-such-slot", "title": "No such slot", "status": 404,
        "detail": "no web.9", "candidates": ["web.1"],
    });
    assert_eq!(body, expected);
}

#[test]
fn a_value_cannot_begin_another_header() {
    let reply = Reply::new(Status::Ok, "text/plain", &b""[..]).with("X", "a\r\nSet-Cookie: b\0");
    assert!(answer(GET, &reply).contains("\r\nX: aSet-Cookie: b\r\n\r\n"));
}

#[test]
fn head_gets_the_headers_of_get_and_no_body() {
    let reply = Reply::new(Status::Ok, "text/plain", &b"body"[..]);
    let get = answer(GET, &reply);
    let head = answer(&GET.replace("GET", "HEAD"), &reply);
    assert_eq!(head, format!("{}\r\n\r\n", head_of(&get)));
    assert!(head.contains("Content-Length: 4"), "{head}");
}

#[test]
fn an_answer_that_is_not_modified_has_neither_length_nor_body() {
    let answer = answer(GET, &Reply::not_modified().with("ETag", "\"a\""));
    assert_eq!(answer, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
}

#[test]
fn the_last_answer_says_so() {
    let reply = Reply::new(Status::Ok, "text/plain", &b""[..]);
    let closing = GET.replace("Host", "Connection: a , CLOSE\r\nHost");
    for (request, reply, closes) in [
        (GET, reply.clone(), false),
        (GET, reply.clone().closing(), true),
        (closing.as_str(), reply.clone(), true),
        (GET_1_0, reply.clone(), true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", reply, true),
    ] {
        let mut connection = connection_with(request);
        connection.next_request().unwrap();
        connection.reply(&reply);
        let answer = take_output(&mut connection);
        assert_eq!(answer.contains("\r\nConnection: close\r\n"), closes, "{request}");
        let state = if closes { Awaiting::Lingering } else { Awaiting::Idle };
        assert_eq!(connection.awaiting(), state, "{request}");
    }
}

#[test]
fn after_the_last_answer_the_rest_is_drained() {
    let mut connection = connection_with("nonsense\n");
    assert!(!connection.wants_bytes() && !connection.take_shutdown());
    take_output(&mut connection);
    assert!(connection.take_shutdown());
    assert!(!connection.take_shutdown(), "once");
    let mut closing = connection_with("nonsense\n");
    take_output(&mut closing);
    closing.on_eof();
    assert_eq!(closing.awaiting(), Awaiting::Closed);
    for _ in 0..DRAINED_BYTES_MAX / 1024 {
        assert!(connection.wants_bytes());
        connection.on_bytes(&[b'x'; 1024]);
        assert_eq!(connection.awaiting(), Awaiting::Lingering);
    }
    connection.on_bytes(b"x");
    assert_eq!(connection.awaiting(), Awaiting::Closed);
}

#[test]
fn a_client_that_reads_slowly_costs_no_more_than_its_buffers() {
    let mut to_send = GET.repeat(1_000).into_bytes();
    let reply = Reply::new(Status::Ok, "text/plain", vec![b'x'; 200]);
    let mut connection = Connection::new();
    let (mut answered, mut taken) = (0, Vec::new());
    while connection.awaiting() != Awaiting::Closed {
        if connection.wants_bytes() {
            if to_send.is_empty() {
                connection.on_eof();
            }
            let count = to_send.len().min(READ_BYTES_MAX);
            let bytes: Vec<_> = to_send.drain(..count).collect();
            connection.on_bytes(&bytes);
        }
        if connection.next_request().is_some() {
            connection.reply(&reply);
            answered += 1;
        }
        let count = connection.output().len().min(97);
        taken.extend_from_slice(&connection.output()[..count]);
        connection.advance(count);
        assert!(connection.buffers()[0].len() < HEAD_BYTES_MAX + READ_BYTES_MAX);
        assert!(connection.buffers()[0].capacity() <= 2 * READ_BYTES_MAX);
        assert!(connection.buffers()[1].capacity() <= 512);
    }
    assert_eq!(answered, 1_000);
    assert_eq!(memchr::memmem::find_iter(&taken, b"HTTP/1.1 200 OK\r\n").count(), 1_000);
    assert_eq!(connection.memory_bytes(), 0);
}

#[test]
fn a_stream_comes_in_chunks_however_slowly_it_is_taken() {
    let mut connection = connection_with(GET.repeat(2));
    connection.next_request().unwrap();
    connection.begin_stream(&Head::new(Status::Ok, "text/event-stream").with("A", "b"));
    assert_eq!(connection.awaiting(), Awaiting::Stream);
    let mut sent = String::new();
    let mut taken = Vec::new();
    for n in 0..2_000 {
        let piece = format!("{n} {}", "y".repeat(n % 300));
        if piece.len() <= connection.output_room() {
            connection.stream(piece.as_bytes());
            connection.stream(b"");
            sent += &piece;
        }
        assert!(connection.output().len() <= OUTPUT_BYTES_MAX);
        let count = connection.output().len().min(90);
        taken.extend_from_slice(&connection.output()[..count]);
        connection.advance(count);
        assert!(connection.buffers()[1].capacity() <= OUTPUT_BYTES_MAX);
    }
    assert!(connection.output_room() < 1_000, "the client has been slower");
    connection.end_stream();
    assert_eq!(connection.next_request(), None);
    let taken = String::from_utf8(taken).unwrap() + &take_output(&mut connection);
    let (head, body) = taken.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nA: b"
    );
    assert_eq!(unchunk(body), (sent, ""));
    assert!(connection.next_request().is_some(), "the next request follows");
}

#[test]
fn a_piece_that_fills_the_room_leaves_room_for_the_end() {
    let mut connection = connection_with(GET);
    connection.next_request().unwrap();
    connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    connection.stream(&vec![b'x'; connection.output_room()]);
    assert_eq!(connection.output_room(), 0);
    connection.end_stream();
    assert!(connection.output().len() <= OUTPUT_BYTES_MAX);
    assert_eq!(connection.buffers()[1].capacity(), OUTPUT_BYTES_MAX);
}

#[test]
fn a_stream_to_an_old_client_ends_with_the_connection() {
    let mut connection = connection_with(GET_1_0);
    connection.next_request().unwrap();
    connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    connection.stream(b"one ");
    connection.stream(b"two");
    let answer = take_output(&mut connection);
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\none two"
    );
    assert_eq!(connection.awaiting(), Awaiting::Stream);
    connection.end_stream();
    assert_eq!(connection.output(), b"");
    assert_eq!(connection.awaiting(), Awaiting::Lingering);
}

#[test]
fn a_stream_that_is_asked_for_with_head_is_over_at_once() {
    let mut connection = connection_with(GET.replace("GET", "HEAD"));
    connection.next_request().unwrap();
    connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    assert_eq!(connection.awaiting(), Awaiting::Writing);
    connection.stream(b"lost");
    connection.end_stream();
    let answer = take_output(&mut connection);
    assert!(answer.ends_with("Transfer-Encoding: chunked\r\n\r\n"), "{answer}");
    assert_eq!(connection.awaiting(), Awaiting::Idle);
}

#[test]
fn a_stream_goes_on_after_the_client_has_half_closed() {
    let mut connection = connection_with(GET);
    connection.next_request().unwrap();
    connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    connection.on_eof();
    connection.stream(b"x");
    assert_eq!(connection.awaiting(), Awaiting::Stream);
    connection.end_stream();
    assert!(take_output(&mut connection).ends_with("\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    assert_eq!(connection.awaiting(), Awaiting::Closed);
}

#[test]
fn a_late_client_is_told_if_it_has_begun_a_request() {
    let mut silent = Connection::new();
    silent.time_out();
    assert_eq!((silent.awaiting(), silent.output()), (Awaiting::Closed, &b""[..]));
    for begun in ["G", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"] {
        let mut connection = connection_with(begun);
        connection.time_out();
        let answer = take_output(&mut connection);
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert_eq!(connection.awaiting(), Awaiting::Lingering);
        connection.time_out();
        assert_eq!(connection.awaiting(), Awaiting::Closed);
    }
}

#[test]
fn a_client_that_waits_for_pm_is_not_late() {
    let mut connection = connection_with(GET);
    connection.time_out();
    let request = connection.next_request().unwrap();
    connection.time_out();
    connection.reply(&echo(&request));
    assert_eq!(connection.awaiting(), Awaiting::Writing);
    connection.time_out();
    assert_eq!((connection.awaiting(), connection.output()), (Awaiting::Closed, &b""[..]));
}

#[test]
fn an_answer_for_a_client_that_is_gone_is_dropped() {
    let mut connection = connection_with(GET);
    let request = connection.next_request().unwrap();
    connection.close_now();
    connection.reply(&echo(&request));
    connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    connection.stream(b"x");
    connection.end_stream();
    connection.on_bytes(GET.as_bytes());
    assert_eq!((connection.awaiting(), connection.output()), (Awaiting::Closed, &b""[..]));
    assert_eq!(connection.next_request(), None);
}
