//! After a change of protocol: frames, wherever they are cut, and their bounds.

use super::*;
use crate::reactor::control::http::{Arrived, HEAD_BYTES_MAX, OUTPUT_BYTES_MAX};
use crate::wire::terminal::{CLIENT_BYTES_MAX, Frame, FromClient, FromPm};

const ATTACH: &str = "POST /v1/attach HTTP/1.1\r\nHost: pm\r\nConnection: Upgrade\r\n\
                      Upgrade: Other, PM-Terminal\r\n\r\n";

const HEAD: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: pm-terminal\r\n\r\n";

fn keys(text: &str) -> Frame {
    FromClient::Keys(text.into()).frame()
}

fn switched(connection: &mut Connection) {
    let request = connection.next_request().unwrap();
    assert_eq!(request.upgrade, ["other", "pm-terminal"]);
    connection.switch_protocols("pm-terminal");
    assert_eq!(connection.awaiting(), Awaiting::Frames);
}

#[test]
fn frames_may_come_with_the_request_and_cut_anywhere() {
    let sent = [ATTACH.as_bytes(), &keys("a").written(), &keys("bc\r\n\r\n").written()].concat();
    for cut in ATTACH.len()..=sent.len() {
        let mut connection = connection_with(&sent[..cut]);
        switched(&mut connection);
        let mut frames = Vec::new();
        for rest in [&[][..], &sent[cut..]] {
            connection.on_bytes(rest);
            while let Arrived::Frame(frame) = connection.next_frame() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [keys("a"), keys("bc\r\n\r\n")]);
        assert_eq!(connection.next_frame(), Arrived::Nothing);
        connection.on_eof();
        assert_eq!(connection.next_frame(), Arrived::End);
        connection.end_frames();
        assert_eq!(take_output(&mut connection), HEAD);
        assert_eq!(connection.awaiting(), Awaiting::Closed);
    }
}

#[test]
fn a_request_after_a_change_of_protocol_is_none() {
    let mut connection = connection_with(ATTACH);
    switched(&mut connection);
    connection.on_bytes(GET.as_bytes());
    assert_eq!(connection.next_request(), None);
    // Its first bytes are the head of a long frame.
    assert_eq!(connection.next_frame(), Arrived::TooLong);
    connection.reply(&Reply::new(Status::Ok, "a/b", b"x".to_vec()));
    connection.stream(b"x");
    assert_eq!(take_output(&mut connection), HEAD);
    assert_eq!(connection.take_answered(), [Status::SwitchingProtocols]);
}

#[test]
fn a_client_whose_frames_are_not_taken_is_not_read_any_more() {
    let mut connection = connection_with(ATTACH);
    switched(&mut connection);
    let frame = keys(&"x".repeat(CLIENT_BYTES_MAX)).written();
    let mut read = 0;
    while connection.wants_bytes() {
        connection.on_bytes(&frame);
        read += frame.len();
    }
    assert!(read <= HEAD_BYTES_MAX + frame.len(), "{read}");
    while let Arrived::Frame(frame) = connection.next_frame() {
        assert_eq!(frame.rest.len(), CLIENT_BYTES_MAX);
    }
    assert!(connection.wants_bytes());
}

#[test]
fn a_client_that_does_not_read_gets_what_there_is_room_for() {
    let mut connection = connection_with(ATTACH);
    switched(&mut connection);
    let frame = FromPm::Output(vec![b'x'; 10_000]).frame();
    while connection.frame_room().is_some_and(|room| frame.rest.len() <= room) {
        connection.send_frame(&frame);
    }
    let full = connection.output().len();
    connection.send_frame(&frame);
    assert_eq!(connection.output().len(), full);
    assert!(full <= OUTPUT_BYTES_MAX && full > OUTPUT_BYTES_MAX - 10_003, "{full}");
    // What waits is still written, and then the connection ends.
    connection.end_frames();
    connection.send_frame(&frame);
    assert_eq!(connection.awaiting(), Awaiting::Writing);
    assert_eq!(take_output(&mut connection).len(), full);
    assert_eq!(connection.awaiting(), Awaiting::Lingering);
}

#[test]
fn an_old_client_cannot_change_the_protocol() {
    for request in [
        "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: pm-terminal\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: pm\r\nUpgrade: pm-terminal\r\n\r\n",
    ] {
        let request = connection_with(request).next_request().unwrap();
        assert_eq!(request.upgrade, [""; 0]);
    }
}
