//! A question that waits: when it is answered, and what comes behind it.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use super::run;
use crate::support::waiting::eventually;

#[test]
fn a_wait_ends_when_it_is_so_or_cannot_be() {
    let text = "[pool.POOL-slow]\ncommand = ['WORKER', 'await', 'PORT2', 'listen', '{port}', 'stay']\n\
        ports = PORT1\n\
        [pool.POOL-bad]\ncommand = ['WORKER', 'exit', '4']\nbackoff = { give_up_after = 1 }\n\
        ready = { after = '10s' }\n";
    let run = run(2, text);
    let (slow, bad) = (format!("{}-slow", run.pool()), format!("{}-bad", run.pool()));
    let late = run.api.get(&format!("/v1/wait?slots={slow}&timeout_seconds=0.1"));
    late.refuses(504, "is not ready in time");
    let failed = run.api.get(&format!("/v1/wait?slots={bad}"));
    failed.refuses(409, "exited 4");
    let api = run.api.clone();
    let path = format!("/v1/wait?slots={slow}");
    let waiting = std::thread::spawn(move || api.get(&path).outcome());
    let gate = run.pm.ports[1];
    eventually("the gate", || std::net::TcpStream::connect(("127.0.0.1", gate)).ok());
    assert_eq!(waiting.join().unwrap(), "done");
    run.pm.stop();
}

#[test]
fn a_request_behind_one_that_waits_is_answered_after_it() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'await', 'PORT2', 'listen', '{port}', 'stay']\n\
        ports = PORT1\n";
    let run = run(2, text);
    let mut client = run.api.connect();
    for path in ["/v1/wait?slots=all", "/v1/events", "/healthz"] {
        write!(client, "GET {path} HTTP/1.1\r\nHost: pm\r\n\r\n").unwrap();
    }
    let gate = run.pm.ports[1];
    eventually("the gate", || std::net::TcpStream::connect(("127.0.0.1", gate)).ok());
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answers = BufReader::new(client).lines().map(Result::unwrap);
    // The text of /healthz, the last of the three.
    assert!(answers.any(|line| line == "ready"));
    run.pm.stop();
}
