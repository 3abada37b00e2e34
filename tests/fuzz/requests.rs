//! The control connection: requests (HTTP), and the frames that follow an upgrade.

use std::time::Instant;

use fastrand::Rng;
use pm::reactor::http::{Arrived, Awaiting, Connection, READ_BYTES_MAX, Reply, Status};
use pm::wire::terminal::PROTOCOL;

use crate::changes::changed_bytes;
use crate::{TIME_MAX, seeds};

#[test]
fn a_control_connection_survives_random_requests() {
    const REQUESTS: [&str; 4] = [
        "\r\nGET http://pm:80/v1/status?slots=web,%3A8081&stats=1 HTTP/1.1\r\nHost: pm\r\nAccept: */*\r\n\r\n\
         HEAD / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
        "POST /v1/stop HTTP/1.1\r\nHost: pm\r\nContent-Length: 17\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\n\r\n{\"slots\":[\"web\"]}GET / HTTP/1.1\r\nHost: pm\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/attach HTTP/1.1\r\nHost: pm\r\nConnection: Upgrade\r\nUpgrade: pm-terminal\r\n\r\n\
         k\0\u{3}abcs\0\u{4}\0\u{18}\0Pk\0\0",
    ];
    let (mut right, mut wrong) = (0, 0);
    for seed in seeds() {
        let bytes = changed_bytes(&mut Rng::with_seed(seed), &REQUESTS);
        let began = Instant::now();
        let answers = std::panic::catch_unwind(|| {
            (answers_to(bytes.chunks(READ_BYTES_MAX)), answers_to(bytes.chunks(1)))
        });
        let (whole, cut) = answers.unwrap_or_else(|_| panic!("PM_SEED={seed} panics: {bytes:?}"));
        assert!(began.elapsed() < TIME_MAX, "PM_SEED={seed} takes too long: {bytes:?}");
        assert_eq!(whole, cut, "PM_SEED={seed}: the reads make a difference");
        if whole.contains("\r\nContent-Type: application/problem+json\r\n") {
            wrong += 1;
        } else {
            right += 1;
        }
    }
    println!("{right} right, {wrong} wrong");
    assert!(right > 0 && wrong > 0 || right + wrong < 1_000, "{right} right, {wrong} wrong");
}

/// All that a client gets which sends these pieces, and then no more.
fn answers_to<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut connection = Connection::new();
    let (mut answers, mut frames) = (Vec::new(), String::new());
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(bytes) if connection.wants_bytes() => connection.on_bytes(bytes),
            Some(_) => {}
            None => connection.on_eof(),
        }
        loop {
            if let Some(request) = connection.next_request() {
                if request.upgrade.iter().any(|protocol| protocol == PROTOCOL) {
                    connection.switch_protocols(PROTOCOL);
                    continue;
                }
                let body = format!("{request:?}").into_bytes();
                connection.reply(&Reply::new(Status::Ok, "text/plain", body));
            }
            match connection.next_frame() {
                Arrived::Frame(frame) => frames += &format!("{frame:?}"),
                Arrived::TooLong | Arrived::End => connection.end_frames(),
                Arrived::Nothing if connection.output().is_empty() => break,
                Arrived::Nothing => {}
            }
            answers.extend_from_slice(connection.output());
            connection.advance(connection.output().len());
        }
    }
    assert_eq!((connection.awaiting(), connection.memory_bytes()), (Awaiting::Closed, 0));
    String::from_utf8(answers).expect("answers are text") + &frames
}
