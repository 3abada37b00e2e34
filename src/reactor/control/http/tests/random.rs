//! Random bytes and random calls: no panic, no bound exceeded, and no other judgement than httparse without a rule.

use proptest::prelude::*;

use super::*;
use crate::reactor::control::http::buffer::Buffer;
use crate::reactor::control::http::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Head, OUTPUT_BYTES_MAX, Refusal, request,
};
use crate::wire::terminal::Frame;

/// Parts of requests: put together at random they are sometimes right.
const PARTS: [&str; 45] = [
    "k\0\u{3}abc",
    "s\0\u{4}\0\u{18}\0P",
    "Upgrade: pm-terminal\r\nConnection: Upgrade\r\n",
    "GET / HTTP/1.1\r\n",
    "POST /v1/stop?a=b HTTP/1.1\r\n",
    "HEAD http://pm/ HTTP/1.1\r\n",
    "GET / HTTP/1.0\r\n",
    "Host: pm\r\n",
    "Host: pm\r\n\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 3\r\n\r\nabc",
    "Content-Length: 16384\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    "%",
    "%41",
    "%00",
    "?",
    "#",
    "/",
    "*",
    "+5",
    "0",
    "\0",
    "\x7f",
    "ü",
    "GET",
    "CONNECT",
    "BREW",
    "HTTP/1.1",
    "HTTP/2.0",
    "X: y\r\n",
    " folded\r\n",
    "[::1]",
    "@",
    "abc",
];

/// Right requests; the body of one is still to come.
const WHOLE: [&str; 5] = [
    "POST /v1/scale HTTP/1.1\r\nHost: pm\r\nContent-Length: 16000\r\n\r\n",
    GET,
    "HEAD /v1/events HTTP/1.1\r\nHost: pm\r\n\r\n",
    "POST /v1/stop HTTP/1.1\r\nHost: pm\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    "GET / HTTP/1.0\r\n\r\n",
];

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => proptest::sample::select(PARTS.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (any::<u8>(), 0..12_000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    let whole = proptest::collection::vec(proptest::sample::select(WHOLE.to_vec()), 0..3);
    let parts = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(part, 0..14)];
    (whole, parts).prop_map(|(whole, parts)| [whole.concat().into_bytes(), parts.concat()].concat())
}

#[derive(Clone, Debug)]
enum Call {
    Read(Vec<u8>),
    Eof,
    Reply(usize),
    BeginStream,
    Stream(usize),
    EndStream,
    SwitchProtocols,
    NextFrame,
    SendFrame(usize),
    EndFrames,
    Write(usize),
    TimeOut,
    Shutdown,
    Close,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        16 => texts().prop_map(Call::Read),
        1 => Just(Call::Eof),
        10 => (0..2_000_usize).prop_map(Call::Reply),
        3 => Just(Call::BeginStream),
        10 => (0..OUTPUT_BYTES_MAX).prop_map(Call::Stream),
        3 => Just(Call::EndStream),
        3 => Just(Call::SwitchProtocols),
        10 => Just(Call::NextFrame),
        10 => (0..OUTPUT_BYTES_MAX).prop_map(Call::SendFrame),
        1 => Just(Call::EndFrames),
        16 => (0..80_000_usize).prop_map(Call::Write),
        1 => Just(Call::TimeOut),
        1 => Just(Call::Shutdown),
        1 => Just(Call::Close),
    ];
    proptest::collection::vec(call, 0..40)
}

fn assert_bounds(connection: &Connection) {
    let [input, output] = connection.buffers().map(Buffer::len);
    assert!(input <= BODY_BYTES_MAX + READ_BYTES_MAX, "{input} bytes of input");
    assert!(output <= OUTPUT_BYTES_MAX, "{output} bytes of output");
    if connection.awaiting() == Awaiting::Closed {
        assert!(input == 0 && output == 0 && !connection.wants_bytes());
    }
    if connection.is_idle() {
        assert_eq!(connection.memory_bytes(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_exceed_no_bound(calls in calls()) {
        let mut connection = Connection::new();
        for call in calls {
            match call {
                Call::Read(bytes) => {
                    for bytes in bytes.chunks(READ_BYTES_MAX) {
                        if connection.wants_bytes() {
                            connection.on_bytes(bytes);
                        }
                        assert_bounds(&connection);
                    }
                }
                Call::Eof => connection.on_eof(),
                Call::Reply(length) => {
                    connection.next_request();
                    connection.reply(&Reply::new(Status::Ok, "a/b", vec![b'x'; length]));
                }
                Call::BeginStream => {
                    connection.next_request();
                    connection.begin_stream(&Head::new(Status::Ok, "a/b"));
                }
                Call::Stream(length) => {
                    connection.stream(&vec![b'x'; length.min(connection.output_room())]);
                }
                Call::EndStream => connection.end_stream(),
                Call::SwitchProtocols => {
                    connection.next_request();
                    connection.switch_protocols("a");
                }
                Call::NextFrame => drop(connection.next_frame()),
                Call::SendFrame(length) => {
                    connection.send_frame(&Frame::new(b'o', &vec![b'x'; length]));
                }
                Call::EndFrames => connection.end_frames(),
                Call::Write(count) => connection.advance(count.min(connection.output().len())),
                Call::TimeOut => connection.time_out(),
                Call::Shutdown => drop(connection.take_shutdown()),
                Call::Close => connection.close_now(),
            }
            assert_bounds(&connection);
        }
    }

    #[test]
    fn the_answers_are_the_same_wherever_random_bytes_are_cut(
        text in texts(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)
    ) {
        // A client that sends more than is drained may lose its last bytes: that depends on the cuts.
        let text = &text[..text.len().min(READ_BYTES_MAX)];
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]);
        prop_assert_eq!(answers_to(pieces), answers_to([text]));
    }

    #[test]
    fn what_httparse_takes_is_refused_by_a_rule_only(text in texts()) {
        judge_as_httparse(&text);
    }
}

/// Each byte of a right request replaced by each byte, doubled, and left out.
#[test]
fn what_httparse_takes_of_a_changed_request_is_refused_by_a_rule_only() {
    let right = b"\r\nPOST /a?b=%41 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\nX:\r\n\r\n{}";
    for at in 0..right.len() {
        let (before, after) = (&right[..at], &right[at + 1..]);
        judge_as_httparse(&[before, after].concat());
        judge_as_httparse(&[before, &right[at..=at], &right[at..]].concat());
        (0..=255).for_each(|byte| judge_as_httparse(&[before, &[byte], after].concat()));
    }
}

/// The judgement of pm and that of httparse on one text, which begins with a request.
fn judge_as_httparse(text: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parser = httparse::Request::new(&mut headers);
    let parsed = parser.parse(text);
    let mut connection = Connection::new();
    connection.on_bytes(&text[..text.len().min(READ_BYTES_MAX)]);
    let request = connection.next_request();
    if let Some(request) = &request {
        let Ok(httparse::Status::Complete(length)) = parsed else {
            panic!("httparse says {parsed:?}: {text:?}");
        };
        assert!(text[..length].ends_with(b"\r\n\r\n"));
        assert!(text[length..].starts_with(&request.body));
    }
    if let Ok(httparse::Status::Complete(length)) = parsed {
        let head = text[..length].strip_prefix(b"\r\n").unwrap_or(&text[..length]);
        let lone = |at: usize| match head[at] {
            b'\n' => at == 0 || head[at - 1] != b'\r',
            b'\r' => head.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let is_framed = head.len() <= HEAD_BYTES_MAX
            && !head.starts_with(b"\r\n")
            && !(0..head.len()).any(lone);
        if !is_framed {
            assert!(request.is_none(), "{text:?}");
        } else if let Err(refusal @ (Refusal::Syntax(_) | Refusal::RequestLine)) =
            request::read(head)
        {
            panic!("{refusal:?}, but httparse takes it: {text:?}");
        }
    }
}
