//! A server on the standard library: a thread for each connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").expect("a port").parse::<u16>().expect("a number");
    for client in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let client = client?;
        std::thread::spawn(move || answer(&client));
    }
    Ok(())
}

/// Answers one request after another.
fn answer(mut client: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut closes = false;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        closes |= line.trim_end().eq_ignore_ascii_case("connection: close");
        if line == "\r\n" {
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")?;
            if closes {
                break;
            }
        }
        line.clear();
    }
    Ok(())
}
