//! A client of the control socket: one request, and its whole answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The control socket of a pm.
#[derive(Clone)]
pub struct Api {
    socket: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Api {
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.into() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("a pm that listens")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\r\n"))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// A command about these slots.
    pub fn command(&self, verb: &str, slots: &[&str]) -> Answer {
        self.post(&format!("/v1/{verb}"), &json!({ "slots": slots }))
    }

    pub fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::of(&answer)
    }

    /// The lines of a stream, without the frames of its chunks.
    pub fn follow(&self, path: &str) -> impl Iterator<Item = Value> + use<> {
        let mut stream = self.connect();
        // An HTTP/1.0 client gets no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n").unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.skip_while(|line| !line.is_empty()).skip(1).map(|line| {
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
    }

    /// The status of a slot.
    pub fn slot(&self, name: &str) -> Value {
        self.get(&format!("/v1/slots/{name}")).json()
    }
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self { status: status.unwrap_or_else(|| panic!("{head}")), body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The outcome of a command that was carried out.
    #[track_caller]
    pub fn outcome(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["outcome"].as_str().unwrap().to_owned()
    }

    /// The answer is this problem, and its words contain these.
    #[track_caller]
    pub fn refuses(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let detail = self.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{detail}");
    }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    text
}
