//! How long a client is waited for, and what it is given meanwhile.

use std::os::unix::net::UnixStream as Peer;

use super::*;
use crate::reactor::control::http::{Head, OUTPUT_BYTES_MAX, Status};

/// A client with a stream that always has more for it, and its other end.
fn streaming(now: Instant) -> (Client, Peer) {
    let (stream, peer) = Peer::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let stream = Stream::Unix(UnixStream::from_std(stream));
    let mut client = Client::new(stream, Door::Control, Token(0), now);
    client.connection.on_bytes(b"GET /v1/logs?follow=1 HTTP/1.1\r\nHost: pm\r\n\r\n");
    assert!(client.connection.next_request().is_some());
    client.connection.begin_stream(&Head::new(Status::Ok, "text/plain"));
    (client, peer)
}

/// What a wakeup does for it.
fn serve(client: &mut Client, now: Instant) {
    client.wake();
    while client.is_writable {
        let room = client.connection.output_room();
        client.connection.stream(&vec![b'x'; room.min(OUTPUT_BYTES_MAX)]);
        client.write();
    }
    client.note_wait(now);
}

#[test]
fn a_reader_of_events_is_given_a_sign_every_15_seconds_in_which_nothing_else_is_said() {
    let start = Instant::now();
    let (mut client, mut peer) = streaming(start);
    client.write();
    client.note_wait(start);
    assert_eq!(client.sign_at(), None, "one of the control socket sees the end of pm");
    let ends = ["127.0.0.1:1", "127.0.0.1:2"].map(|end| end.parse().unwrap());
    client.door = Door::Page(Box::new(Visit::new(ends[0], ends[1])));
    assert_eq!(client.sign_at(), None, "it reads no events");
    client.work = Work::Live(Box::new(Live::new(None, None)));
    let first = start + SIGN_EVERY;
    assert_eq!(client.sign_at(), Some(first));
    client.give_sign(first - Duration::from_millis(1));
    assert!(client.connection.output().is_empty());
    client.give_sign(first);
    assert_eq!(client.connection.output(), b"8\r\n: ping\n\n\r\n");
    client.write();
    client.note_wait(first);
    assert_eq!(client.sign_at(), Some(first + SIGN_EVERY));
    // What is said puts it off.
    let said = first + Duration::from_secs(10);
    client.connection.stream(b"event: bye\n\n");
    client.write();
    client.note_wait(said);
    assert_eq!(client.sign_at(), Some(said + SIGN_EVERY));
    let mut got = [0; 4096];
    let count = peer.read(&mut got).unwrap();
    assert!(got[..count].ends_with(b": ping\n\n\r\nc\r\nevent: bye\n\n\r\n"), "{count}");
}

#[test]
fn a_stream_that_is_read_slowly_has_all_the_time_and_one_that_is_not_read_has_a_minute() {
    let start = Instant::now();
    let (mut client, mut peer) = streaming(start);
    let mut chunk = [0; 64 * 1024];
    for seconds in 0..300 {
        let now = start + Duration::from_secs(seconds);
        serve(&mut client, now);
        assert!(client.deadline().is_some_and(|deadline| deadline > now), "{seconds}");
        assert!(peer.read(&mut chunk).unwrap() > 0);
    }
    let last = start + Duration::from_secs(300);
    serve(&mut client, last);
    for seconds in 1..60 {
        serve(&mut client, last + Duration::from_secs(seconds));
    }
    assert_eq!(client.deadline(), Some(last + Duration::from_secs(60)));
}
