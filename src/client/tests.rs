use std::io::{BufRead, BufReader};
use std::thread;

use serde_json::json;

use super::*;
use crate::wire::Version;
use crate::wire::terminal::FromPm;

/// What a server that says these texts, one write each, and then closes was asked, and what `client` made of it.
fn served<T: Send>(says: &[&str], client: impl FnOnce(Exchange) -> T + Send) -> (String, T) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut reader = BufReader::new(&theirs);
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") && reader.read_line(&mut asked).unwrap() > 0 {}
            let length = asked.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body).unwrap();
            for text in says {
                (&theirs).write_all(text.as_bytes()).unwrap();
            }
            asked + &String::from_utf8(body).unwrap()
        });
        let request = Request::post("/v1/kill", &json!({ "slots": ["web"] }));
        let made = client(Exchange::over(ours, &request).unwrap());
        (server.join().unwrap(), made)
    })
}

fn answer(says: &[&str]) -> Result<Answer, ClientError> {
    served(says, Exchange::answer).1
}

/// All lines of an answer, and how it ends.
fn lines(says: &[&str]) -> (Vec<String>, Result<(), ClientError>) {
    let read = |exchange: Exchange| {
        let Reply::Lines(mut lines) = exchange.lines().unwrap() else { panic!("refused") };
        let mut all = Vec::new();
        loop {
            match lines.next_line() {
                Ok(Some(line)) => all.push(line),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    };
    served(says, read).1
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_request_has_a_host_a_length_and_its_body() {
    let (asked, _) = served(&[], |exchange| exchange.answer().is_err());
    assert!(asked.starts_with("POST /v1/kill HTTP/1.1\r\nHost: pm\r\n"), "{asked}");
    assert!(asked.contains("\r\nContent-Length: 17\r\n\r\n"), "{asked}");
    assert!(asked.ends_with(r#"{"slots":["web"]}"#), "{asked}");
}

#[test]
fn a_value_of_a_query_cannot_be_more_than_a_value() {
    let request = Request::get("/v1/logs").query("slots", "web,:8081").query("grep", "a&b=c d+ü%");
    assert_eq!(request.target, "/v1/logs?slots=web,:8081&grep=a%26b%3Dc%20d%2B%C3%BC%25");
}

#[test]
fn a_body_ends_by_its_length_by_its_last_chunk_or_with_the_connection() {
    let length = format!("{OK}Content-Length: 5\r\n\r\nhello and more");
    let chunked = format!("{CHUNKED}3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n");
    let closed = format!("{OK}\r\nhello");
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{length}");
    for text in [length, chunked, closed, interim] {
        let answer = answer(&[&text]).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{text}");
    }
}

#[test]
fn an_answer_may_come_in_pieces_of_any_size() {
    let text = format!("{CHUNKED}3\r\nhel\r\nc\r\nlo\nwhat now?\r\n1\r\n\n\r\n0\r\n\r\n");
    for cut in 1..text.len() {
        let (first, second) = text.split_at(cut);
        assert_eq!(answer(&[first, second]).unwrap().text(), "hello\nwhat now?\n", "{cut}");
        let (lines, end) = lines(&[first, second]);
        assert_eq!(lines, ["hello", "what now?"], "{cut}");
        assert!(end.is_ok(), "{cut}");
    }
}

#[test]
fn an_answer_that_ends_too_early_is_none() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        assert!(matches!(answer(&[text]), Err(ClientError::Ended)), "{text}");
    }
    let (lines, end) = lines(&[CHUNKED, "6\r\none\ntw\r\n"]);
    assert_eq!(lines, ["one"]);
    assert!(matches!(end, Err(ClientError::Ended)));
}

#[test]
fn what_is_no_http_is_refused_with_the_reason() {
    for text in [
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ] {
        let error = answer(&[text]).unwrap_err();
        assert!(matches!(error, ClientError::Malformed(_)), "{text}: {error}");
    }
}

#[test]
fn a_refusal_is_the_problem_that_pm_tells() {
    let body =
        r#"{"type":"/errors/no-such-slot","title":"No such slot","status":404,"detail":"no `x`"}"#;
    let text = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let problem = answer(&[&text]).unwrap().read::<Version>().unwrap().unwrap_err();
    assert_eq!((problem.status, problem.detail.as_str()), (404, "no `x`"));
    let (_, reply) = served(&[&text], |exchange| exchange.lines().unwrap());
    let Reply::Refused(answer) = reply else { panic!("not refused") };
    assert_eq!(answer.read::<Version>().unwrap().unwrap_err().status, 404);
}

#[test]
fn a_success_is_read_and_unknown_fields_are_ignored() {
    let body = r#"{"pm":"1.0","api":1,"pid":7,"more":[]}"#;
    let text = format!("{OK}Content-Length: {}\r\n\r\n{body}", body.len());
    let version: Version = answer(&[&text]).unwrap().read().unwrap().unwrap();
    assert_eq!((version.api, version.pid), (1, 7));
    let text = format!("{OK}Content-Length: 2\r\n\r\n[]");
    assert!(matches!(answer(&[&text]).unwrap().read::<Version>(), Err(ClientError::Malformed(_))));
}

#[test]
fn lines_that_have_arrived_are_there_without_a_read() {
    let (_, ()) = served(&[CHUNKED, "8\r\none\ntwo\n\r\n0\r\n\r\n"], |exchange| {
        let Reply::Lines(mut lines) = exchange.lines().unwrap() else { panic!("refused") };
        while !lines.has_ended() {
            lines.read().unwrap();
        }
        assert_eq!(lines.arrived().as_deref(), Some("one"));
        assert_eq!(lines.arrived().as_deref(), Some("two"));
        assert_eq!(lines.arrived(), None);
    });
}

#[test]
fn a_pm_that_does_not_answer_is_not_waited_for_without_end() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut request = Request::get("/v1");
    request.patience = Duration::from_millis(20);
    let exchange = Exchange::over(ours, &request).unwrap();
    assert!(matches!(exchange.answer(), Err(ClientError::Silent)));
}

/// The frames of a terminal, if pm says these texts.
fn frames(says: &[&str]) -> Vec<FromPm> {
    let read = |exchange: Exchange| {
        let Attached::Terminal(mut terminal) = exchange.terminal().unwrap() else {
            panic!("refused")
        };
        let mut frames = Vec::new();
        while !terminal.has_ended() {
            terminal.read().unwrap();
            frames.extend(std::iter::from_fn(|| terminal.arrived()));
        }
        frames
    };
    served(says, read).1
}

#[test]
fn frames_follow_a_change_of_protocol_wherever_they_are_cut_and_unknown_ones_are_left_out() {
    let all = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: pm-terminal\r\n\r\n\
               n\0\u{5}helloz\0\u{1}?o\0\u{2}\n>l\0\u{8}\0\0\0\0\0\0\0\u{7}b\0\0";
    let expected = [
        FromPm::Note("hello".into()),
        FromPm::Output(b"\n>".to_vec()),
        FromPm::Lost(7),
        FromPm::Bye(String::new()),
    ];
    for cut in 1..all.len() {
        let (before, after) = all.split_at(cut);
        assert_eq!(frames(&[before, after]), expected, "{cut}");
    }
    let refused = "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 2\r\n\r\n{}";
    let (_, reply) = served(&[refused], |exchange| exchange.terminal().unwrap());
    let Attached::Refused(answer) = reply else { panic!("a terminal") };
    assert_eq!((answer.status, answer.text().as_str()), (422, "{}"));
}
