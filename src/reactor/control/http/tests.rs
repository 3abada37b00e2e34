//! A client in memory: what it sends is cut as a test wants, what it is answered is taken as slowly as it wants.

mod answers;
mod frames;
mod random;
mod refused;
mod requests;

use std::cell::Cell;

use super::{Awaiting, Connection, READ_BYTES_MAX, Reply, Request, Status};

thread_local! {
    static LOOKED: Cell<usize> = const { Cell::new(0) };
    static PARSED: Cell<usize> = const { Cell::new(0) };
}

/// The search for the end of a head looks at this many bytes.
pub fn note_looked(bytes: usize) {
    LOOKED.set(LOOKED.get() + bytes);
}

pub fn note_parsed() {
    PARSED.set(PARSED.get() + 1);
}

const GET: &str = "GET /v1/status HTTP/1.1\r\nHost: pm\r\n\r\n";

fn connection_with(bytes: impl AsRef<[u8]>) -> Connection {
    let mut connection = Connection::new();
    connection.on_bytes(bytes.as_ref());
    connection
}

/// Tells what the request was.
fn echo(request: &Request) -> Reply {
    let Request { method, path, query, host, body, .. } = request;
    let body = String::from_utf8_lossy(body);
    Reply::new(
        Status::Ok,
        "text/plain",
        format!("{method:?} {path} {query:?} {host} {body}").into_bytes(),
    )
}

/// Takes all output, as the kernel would.
fn take_output(connection: &mut Connection) -> String {
    let mut taken = Vec::new();
    while !connection.output().is_empty() {
        taken.extend_from_slice(connection.output());
        connection.advance(connection.output().len());
    }
    String::from_utf8(taken).unwrap()
}

/// Sends these pieces and then nothing more; returns all that is answered.
fn answers_to<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut connection = Connection::new();
    let mut answers = String::new();
    let mut answer = |connection: &mut Connection| {
        loop {
            if let Some(request) = connection.next_request() {
                connection.reply(&echo(&request));
            }
            if connection.output().is_empty() {
                return;
            }
            answers += &take_output(connection);
        }
    };
    for piece in pieces {
        for piece in piece.chunks(READ_BYTES_MAX) {
            if connection.wants_bytes() {
                connection.on_bytes(piece);
            }
            answer(&mut connection);
        }
    }
    connection.on_eof();
    answer(&mut connection);
    assert_eq!(connection.awaiting(), Awaiting::Closed);
    answers
}
