//! What comes out of a worker's pipe: a real one.

use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::*;
use crate::plan::Line;
use crate::reactor::clock::{Moment, WallTime};
use crate::reactor::output::console::{Label, Shown};
use crate::reactor::output::files::LogFiles;
use crate::reactor::output::queue::LineQueue;
use crate::reactor::output::ring::{Kind, Ring};
use crate::reactor::output::view::Writer;
use crate::reactor::tokens::Poller;

const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };

/// A pipe whose lines go to stdout.
fn spec(slot: &str) -> OutputSpec {
    let label = Label {
        slot: slot.into(),
        line: format!("{slot} | ").into_bytes(),
        continuation: format!("{slot} + ").into_bytes(),
        shown: Shown::Yes,
    };
    OutputSpec {
        label,
        file: None,
        awaited: None,
        device: Device::Pipe,
        terminal_output: TerminalOutput::Raw,
    }
}

/// What stdout shows of these writes of one worker, read after each, and the end that is kept of them.
fn output(writes: &[&[u8]]) -> (String, LastOutput) {
    let (text, last, _) = output_and_ready(None, writes);
    (text, last)
}

/// True if a worker that writes this is found to be ready by the awaited line.
fn is_ready_by(awaited: Line, writes: &[&[u8]]) -> bool {
    let (_, _, ready) = output_and_ready(Some(awaited), &[&writes.concat()]);
    ready == [WORKER]
}

/// The lines that the ring keeps of these writes.
fn kept(writes: &[&[u8]]) -> Vec<(u64, Kind, String)> {
    let mut ring = Ring::new(1024 * 1024);
    output_into(&mut ring, None, writes);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    ring.after(0).lines.map(|line| (line.n, line.kind, text(line.bytes))).collect()
}

fn output_and_ready(
    awaited: Option<Line>,
    writes: &[&[u8]],
) -> (String, LastOutput, Vec<WorkerId>) {
    output_into(&mut Ring::default(), awaited, writes)
}

fn output_into(
    ring: &mut Ring,
    awaited: Option<Line>,
    writes: &[&[u8]],
) -> (String, LastOutput, Vec<WorkerId>) {
    let mut poller = Poller::open().unwrap();
    let mut registrar = poller.registrar();
    let mut file: File = tempfile::tempfile().unwrap();
    let mut stdout = LineQueue::to(file.as_fd(), Source::Stdout, &mut registrar).unwrap();
    let (mut files, mut ready) = (LogFiles::default(), Vec::new());
    let mut screens = Screens::default();
    let now = Instant::now();
    let at = Moment { now, wall: WallTime(7) };
    let sink = &mut Sink {
        writer: &mut Writer::Plain,
        stdout: &mut stdout,
        files: &mut files,
        ring,
        screens: &mut screens,
        ready: &mut ready,
        at,
    };
    let mut pipes = Pipes::new();
    let spec = OutputSpec { awaited, ..spec("web.1") };
    let opened = pipes.open(spec.device, &mut registrar).unwrap();
    let mut writer = File::from(opened.writer.try_clone().unwrap());
    pipes.add(WORKER, spec, opened, &mut registrar);
    for bytes in writes {
        for part in bytes.chunks(4096) {
            writer.write_all(part).unwrap();
            pipes.mark_readable(WORKER);
            while pipes.read(sink, &mut registrar) == Progress::MayHaveMore {}
        }
    }
    drop(writer);
    let last = pipes.read_last(WORKER, sink, &mut registrar);
    assert!(pipes.pipes.is_empty());
    stdout.flush(now);
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    (text, last, ready)
}

#[test]
fn each_line_stands_behind_its_label() {
    let (text, last) = output(&[b"on", b"e\ntw", b"o\n\nthree"]);
    assert_eq!(text, "web.1 | one\nweb.1 | two\nweb.1 | \nweb.1 | three\n");
    assert_eq!(last.last_line().as_deref(), Some("three"));
}

#[test]
fn the_pieces_of_a_long_line_are_marked() {
    let long = vec![b'x'; super::super::lines::LINE_BYTES_MAX];
    let (text, _) = output(&[&long, b"x", b"y\nshort\n"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1..], ["web.1 + xy", "web.1 | short"]);
}

#[test]
fn a_pipe_that_ends_before_its_worker_is_reported_keeps_its_last_lines() {
    let mut poller = Poller::open().unwrap();
    let mut registrar = poller.registrar();
    let null = File::options().write(true).open("/dev/null").unwrap();
    let mut stdout = LineQueue::to(null.as_fd(), Source::Stdout, &mut registrar).unwrap();
    let (mut files, mut ready) = (LogFiles::default(), Vec::new());
    let mut screens = Screens::default();
    let now = Instant::now();
    let (ring, at) = (&mut Ring::new(1024 * 1024), Moment { now, wall: WallTime(7) });
    let sink = &mut Sink {
        writer: &mut Writer::Plain,
        stdout: &mut stdout,
        files: &mut files,
        ring,
        screens: &mut screens,
        ready: &mut ready,
        at,
    };
    let mut pipes = Pipes::new();
    let spec = spec("web.1");
    let opened = pipes.open(spec.device, &mut registrar).unwrap();
    let mut writer = File::from(opened.writer.try_clone().unwrap());
    pipes.add(WORKER, spec, opened, &mut registrar);
    writer.write_all(b"the reason\n").unwrap();
    drop(writer);
    pipes.mark_readable(WORKER);
    pipes.read(sink, &mut registrar);
    assert!(pipes.are_all_ended());
    let last = pipes.read_last(WORKER, sink, &mut registrar);
    assert_eq!(last.last_line().as_deref(), Some("the reason"));
    assert!(pipes.pipes.is_empty());
}

#[test]
fn the_awaited_line_is_found_across_the_cut_of_a_long_line() {
    let pattern = || Line::Pattern(crate::plan::Pattern("listen[a-z]+".parse().unwrap()));
    let cut = super::super::lines::LINE_BYTES_MAX;
    for before in [cut - 20, cut - 9, cut - 5, cut - 1, cut, 2 * cut - 4] {
        let long = vec![b'x'; before];
        for awaited in [Line::Text("listening".into()), pattern()] {
            assert!(is_ready_by(awaited, &[&long, b"listening on\n"]), "{before} bytes before");
        }
    }
    let long = vec![b'x'; cut - 4];
    assert!(!is_ready_by(Line::Text("listening".into()), &[b"list\n", &long, b"ening\n"]));
}

#[test]
fn the_awaited_line_is_found_with_its_colours_and_without() {
    let written: &[u8] = b"  \x1b[1mLocal\x1b[22m: \x1b[36mhttp://\x1b[K\n";
    for text in ["Local: http://", "  Local", "\x1b[1mLocal"] {
        assert!(is_ready_by(Line::Text(text.into()), &[written]), "{text:?}");
    }
    assert!(!is_ready_by(Line::Text("Local http".into()), &[written]));
}

#[test]
fn the_ring_keeps_each_line_as_it_was_written() {
    let length = super::super::lines::LINE_BYTES_MAX + 5_000;
    let long = vec![b'x'; length];
    let writes: [&[u8]; 6] = [b"on", b"e\ntwo\n\nth", b"ree\nfour\n", &long, b"y\nfi", b"ve"];
    for reads in [writes.to_vec(), vec![&*writes.concat()]] {
        let kept = kept(&reads);
        let numbers: Vec<_> = kept.iter().map(|(n, ..)| *n).collect();
        assert_eq!(numbers, Vec::from_iter(1..=kept.len() as u64));
        assert_eq!(kept.iter().filter(|(_, kind, _)| *kind == Kind::Continuation).count(), 1);
        let mut text = String::new();
        for (_, kind, line) in &kept {
            let newline = if *kind == Kind::Continuation { "" } else { "\n" };
            text = text + newline + line;
        }
        let long = "x".repeat(length);
        assert_eq!(text, format!("\none\ntwo\n\nthree\nfour\n{long}y\nfive"));
    }
}

#[test]
fn each_worker_has_its_turn_while_the_reader_of_stdout_is_slow() {
    const WORKERS: usize = 10;
    let mut poller = Poller::open().unwrap();
    let mut registrar = poller.registrar();
    let (mut reader, stdout) = io::pipe().unwrap();
    let mut stdout = LineQueue::to(stdout.as_fd(), Source::Stdout, &mut registrar).unwrap();
    let now = Instant::now();
    let sink = &mut Sink {
        writer: &mut Writer::Plain,
        stdout: &mut stdout,
        files: &mut LogFiles::default(),
        ring: &mut Ring::default(),
        screens: &mut Screens::default(),
        ready: &mut Vec::new(),
        at: Moment { now, wall: WallTime(7) },
    };
    let mut pipes = Pipes::new();
    let mut writers = Vec::new();
    for n in 0..WORKERS {
        let worker = WorkerId { slot: SlotId(n), generation: 1 };
        let spec = spec(&format!("web.{n}"));
        let opened = pipes.open(spec.device, &mut registrar).unwrap();
        let writer = opened.writer.try_clone().unwrap();
        pipes.add(worker, spec, opened, &mut registrar);
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        writers.push((worker, File::from(writer)));
    }
    let mut text = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    for _ in 0..4 * WORKERS {
        for (worker, writer) in &mut writers {
            // Until its pipe is full.
            while writer.write(&b"a line of a worker that has many\n".repeat(124)).is_ok() {}
            pipes.mark_readable(*worker);
        }
        pipes.read(sink, &mut registrar);
        sink.stdout.flush(now);
        let count = reader.read(&mut chunk).unwrap();
        text.extend_from_slice(&chunk[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    for n in 0..WORKERS {
        assert!(text.contains(&format!("\nweb.{n} | ")), "web.{n} had no turn");
    }
}
