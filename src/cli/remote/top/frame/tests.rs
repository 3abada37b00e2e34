//! Frames of given states: as drawn, at every size, and whatever workers write.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::super::super::sample::{self, death, ready, slot, time};
use super::super::keys::Key;
use super::super::state::{Colours, Glyphs, Link, Look, Scope, State, Tone};
use super::super::totals::Totals;
use super::draw;
use crate::sys::usage::TotalUsage;
use crate::wire::{Death, LogLine, Phase, SlotDetail, SlotStatus, Status, Time, Wanted};

/// The present moment of all states: noon.
const NOW: &str = "12:00:00";

fn draw_whole(state: &mut State) -> Buffer {
    state.settle();
    let mut buffer = Buffer::empty(Rect::new(0, 0, state.columns, state.rows));
    draw(state, &mut buffer);
    buffer
}

/// The rows of a frame, without spaces at their ends.
fn shown(state: &mut State) -> String {
    let buffer = draw_whole(state);
    let mut text = String::new();
    for row in buffer.content.chunks(buffer.area.width.into()) {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            if covered == 0 {
                line.push_str(cell.symbol());
                covered = ratatui::buffer::CellWidth::cell_width(cell.symbol()).max(1);
            }
            covered -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn slots() -> Vec<SlotStatus> {
    let dead = |slot: &mut SlotStatus, status: Option<u8>, signal: Option<&str>, ago: &str| {
        slot.last_death = Some(Death { at: time(ago), ..death(&slot.slot, status, signal) });
    };
    let worker = |slot: &mut SlotStatus, pid: i32, started: &str, generation: u64| {
        let worker = slot.worker.as_mut().unwrap();
        worker.pid = Some(pid);
        worker.started_at = time(started);
        worker.ready_at = Some(Time(worker.started_at.0 + jiff::SignedDuration::from_millis(34)));
        worker.generation = generation;
    };
    let mut web_1 = SlotStatus { restarts: 41, ..ready("web.1", 8080, 123.0) };
    worker(&mut web_1, 4711, "11:57:57", 8);
    dead(&mut web_1, Some(255), None, "11:57:57");
    let mut web_2 = SlotStatus { restarts: 39, ..ready("web.2", 8081, 12.0) };
    worker(&mut web_2, 4790, "11:59:48", 40);
    dead(&mut web_2, Some(255), None, "11:59:48");
    let mut web_3 =
        SlotStatus { restarts: 44, phase: Phase::Starting, ..ready("web.3", 8082, 2.0) };
    worker(&mut web_3, 4802, "11:59:58", 45);
    web_3.worker.as_mut().unwrap().ready_at = None;
    web_3.phase_since = time("11:59:32");
    dead(&mut web_3, Some(255), None, "11:59:58");
    let mut jobs_1 = SlotStatus { port: None, ..ready("jobs.1", 1, 0.0) };
    worker(&mut jobs_1, 4713, NOW, 1);
    jobs_1.worker.as_mut().unwrap().started_at = Time("2026-11-23T09:00:00Z".parse().unwrap());
    jobs_1.worker.as_mut().unwrap().ready_at = None;
    let mut jobs_2 = SlotStatus { restarts: 7, failed_starts: 3, ..slot("jobs.2", Phase::Backoff) };
    jobs_2.next_try_at = Some(time("12:00:03"));
    dead(&mut jobs_2, None, Some("SIGKILL"), "11:59:54");
    jobs_2.last_death.as_mut().unwrap().out_of_memory = Some(true);
    vec![web_1, web_2, web_3, jobs_1, jobs_2]
}

fn status(slots: Vec<SlotStatus>) -> Status {
    let mut status = sample::status();
    status.pm.pid = 4700;
    status.pm.started_at = Time("2026-11-23T08:56:00.000Z".parse().unwrap());
    Status { now: time(NOW), slots, ..status }
}

fn line(n: u64, slot: &str, text: &str) -> LogLine {
    LogLine {
        n,
        at: time("11:59:59"),
        slot: slot.into(),
        generation: 8,
        from_worker: true,
        line: text.into(),
    }
}

/// What the drawing of CONTROL shows: five slots, and twelve thousand lines of one of them.
fn state(columns: u16, rows: u16) -> State {
    let now = time(NOW).0.to_zoned(TimeZone::UTC);
    let mut state = State::new(Look::default(), columns, rows, now);
    state.title = "~/shop/pm.toml".into();
    state.take_status(status(slots()));
    let usage = |cpu: u64, bytes: u64| TotalUsage {
        cpu: std::time::Duration::from_millis(cpu),
        resident_bytes: bytes << 20,
        processes: 1,
    };
    let samples = [
        ("web.1", [0, 36, 72, 172, 208, 508], 63),
        ("web.2", [0, 27, 81, 108, 135, 162], 61),
        ("jobs.1", [0, 0, 0, 0, 0, 0], 18),
    ];
    for (slot, cpu, bytes) in samples {
        for (index, cpu) in cpu.into_iter().enumerate() {
            let at = time("11:59:00").0 + jiff::SignedDuration::from_secs(3 * index as i64);
            state.take_usage(slot, at, usage(cpu, bytes));
        }
    }
    state.take_usage("web.3", time("11:59:59").0, usage(0, 22));
    let mut n = 0;
    let mut take = |text: &str| {
        n += 1;
        state.take_line(line(n, "web.1", text));
    };
    (1..=12_026).for_each(|n| take(&format!("12:01:06.{:03} line {n}", n % 1000)));
    for text in [
        "12:01:07.120 GET / 200 1ms",
        "12:01:07.133 GET /boom 500",
        "error: Uncaught Error: monkey",
        "    at file:///shop/web.ts:14:9",
    ] {
        take(text);
    }
    let death = LogLine {
        from_worker: false,
        at: Time("2026-11-25T12:01:09.402Z".parse().unwrap()),
        ..line(12_031, "web.1", "web.1 exited 255 after 2.1s; starting generation 8")
    };
    state.take_line(death);
    for n in 0..9 {
        state.take_line(line(12_032 + n, "web.1", &format!("12:01:09.5{n}0 GET / 200 1ms")));
    }
    state
}

fn detail(state: &mut State) {
    let deaths = (1..=7).rev().map(|generation| Death {
        generation,
        last_lines: vec![
            "error: Uncaught Error: monkey".into(),
            "    at file:///shop/web.ts:14:9".into(),
        ],
        ..death("web.1", Some(255), None)
    });
    let status = slots().remove(0);
    let argv = ["deno", "run", "web.ts"].map(str::to_owned).to_vec();
    let detail = SlotDetail { status, deaths: deaths.collect(), argv, cwd: Some("/shop".into()) };
    state.take_detail(detail);
}

fn press(state: &mut State, keys: &str) {
    for key in keys.chars() {
        state.settle();
        let _ = state.press(&Key::Char(key));
    }
}

#[test]
fn a_small_screen_is_as_drawn() {
    insta::assert_snapshot!(shown(&mut state(80, 24)));
}

#[test]
fn a_filter_shows_what_matches_and_how_much_that_is() {
    let mut state = state(80, 24);
    press(&mut state, "/get /");
    insta::assert_snapshot!(shown(&mut state));
}

#[test]
fn a_large_screen_has_more_columns_and_tells_why() {
    let mut state = state(160, 50);
    detail(&mut state);
    state.totals = Some(Totals::of(
        "pm_exits_total{reason=\"failure\"} 129\npm_exits_total{reason=\"asked\"} 2\n\
         pm_respawn_seconds_bucket{le=\"0.002\"} 60\npm_respawn_seconds_bucket{le=\"+Inf\"} 60\n",
    ));
    insta::assert_snapshot!(shown(&mut state));
}

#[test]
fn without_unicode_every_sign_is_ascii() {
    let mut state = state(160, 24);
    state.look = Look { glyphs: Glyphs::Ascii, colours: Colours::None };
    detail(&mut state);
    press(&mut state, " ap1");
    let text = shown(&mut state);
    assert!(text.is_ascii(), "{text}");
    press(&mut state, "?");
    let text = shown(&mut state);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_tiny_screen_is_a_plain_list() {
    insta::assert_snapshot!("40x10", shown(&mut state(40, 10)));
    insta::assert_snapshot!("20x3", shown(&mut state(20, 3)));
}

#[test]
fn the_phase_has_its_colour_and_none_if_there_are_none() {
    let mut state = state(80, 24);
    let phase = |state: &mut State, row: u16| draw_whole(state)[(11, row)].fg;
    let colours = [2, 4, 6].map(|row| phase(&mut state, row));
    assert_eq!(colours, [Color::Green, Color::Yellow, Color::Red]);
    state.look.colours = Colours::None;
    detail(&mut state);
    state.take_line(line(20_000, "web.1", "\x1b[31;1mred"));
    let buffer = draw_whole(&mut state);
    let is_plain =
        |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
    assert!(buffer.content.iter().all(is_plain));
}

#[test]
fn a_match_is_reversed_and_the_offset_moves_it() {
    let mut state = state(80, 24);
    state.take_line(line(20_000, "web.1", "0123456789abcdef"));
    press(&mut state, "/abc");
    let _ = state.press(&Key::Enter);
    let reversed = |state: &mut State| {
        let buffer = draw_whole(state);
        let row = 8;
        let is_reversed = |x: &u16| buffer[(*x, row)].modifier.contains(Modifier::REVERSED);
        (0..80).filter(is_reversed).collect::<Vec<_>>()
    };
    assert_eq!(reversed(&mut state), [11, 12, 13]);
    let _ = state.press(&Key::Right);
    assert_eq!(reversed(&mut state), [3, 4, 5]);
}

#[test]
fn every_size_is_drawn_in_every_mode() {
    let mut state = state(80, 24);
    detail(&mut state);
    state.take_line(line(20_001, "web.1", &"日本語 ".repeat(400)));
    for keys in ["", "w", "a", "t", "W", "+", "?", "x:stop 日本", "/error"] {
        press(&mut state, keys);
        for (columns, rows) in (1..=12).flat_map(|n| [(n * 17, n * 5), (20, 3), (n, n), (200, n)]) {
            state.resize(columns, rows);
            draw_whole(&mut state);
        }
        let _ = state.press(&Key::Esc);
    }
    state.link = Link::Gone("pm has ended".into());
    state.take_status(status(Vec::new()));
    for columns in 1..200 {
        state.resize(columns, columns / 4 + 1);
        draw_whole(&mut state);
    }
}

#[test]
fn the_end_of_pm_and_what_it_refuses_are_said_in_the_last_lines() {
    let mut state = state(80, 24);
    state.say("there is no web.9; web has 1 to 3", Tone::Bad);
    assert!(shown(&mut state).contains("\n there is no web.9; web has 1 to 3\n"));
    state.tick(time("12:00:04").0.to_zoned(TimeZone::UTC));
    assert!(shown(&mut state).contains("no web.9"));
    state.link = Link::Gone("pm has ended: all stopped".into());
    state.tick(time("12:00:06").0.to_zoned(TimeZone::UTC));
    let text = shown(&mut state);
    assert!(text.contains("\n pm has ended: all stopped; waiting for pm (q quits)\n"), "{text}");
    assert!(text.contains("no pm") && !text.contains("live"), "{text}");
}

#[test]
fn more_slots_than_rows_are_counted_and_the_selected_one_is_in_view() {
    let mut state = state(80, 24);
    let many = (1..=40).map(|n| ready(&format!("web.{n}"), 8000 + n, 60.0)).collect();
    state.take_status(status(many));
    let text = shown(&mut state);
    assert!(text.contains("▸ web.1 ") && text.contains("… 32 more below"), "{text}");
    press(&mut state, "G");
    let text = shown(&mut state);
    assert!(text.contains("▸ web.40") && text.contains("… 32 more above"), "{text}");
    press(&mut state, "kkkkkkkkkkkkkkk");
    let text = shown(&mut state);
    assert!(text.contains("▸ web.25") && text.contains("… 20 more above, 12 below"), "{text}");
}

#[test]
fn a_stopped_slot_and_a_job_that_has_ended_are_named_so() {
    let mut state = state(80, 24);
    let mut stopped = slot("web.1", Phase::Idle);
    stopped.wanted = Wanted::Down;
    let mut well = slot("web.2", Phase::Idle);
    well.wanted = Wanted::Ended;
    well.last_death = Some(death("web.2", Some(0), None));
    let mut badly = slot("web.3", Phase::Idle);
    badly.wanted = Wanted::Ended;
    badly.last_death = Some(death("web.3", Some(1), None));
    let mut waits = slot("web.4", Phase::Idle);
    waits.waits_for = vec!["db".into()];
    let given_up = slot("web.5", Phase::GivenUp);
    state.take_status(status(vec![stopped, well, badly, waits, given_up]));
    let text = shown(&mut state);
    for words in ["◌ stopped", "◌ ended", "✕ ended", "◌ waits for db", "✕ given up"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

/// Bytes as a worker may write them, with a liking for what acts on a terminal.
fn worker_line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "\\PC{0,200}",
        Just("\x1b[31m".to_owned()),
        Just("\x1b]0;title\x07".to_owned()),
        Just("\x1b[?1049l\x1b[2J\r\t\x08".to_owned()),
        Just("日本e\u{301}👩\u{200d}👩\u{202e}".to_owned()),
        prop::collection::vec(any::<u8>(), 0..80)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_a_worker_writes_stays_in_the_rows_of_the_log(
        lines in prop::collection::vec(worker_line(), 1..12),
        (columns, rows) in (1_u16..120, 1_u16..40),
        keys in prop::collection::vec("[aWtfwnN+_j/k]", 0..8),
        offset in 0_usize..100,
    ) {
        let now = time(NOW).0.to_zoned(TimeZone::UTC);
        let mut state = State::new(Look::default(), columns, rows, now);
        state.take_status(status(slots()));
        state.view.scope = Scope::Meant;
        let empty = draw_whole(&mut state);
        for (n, text) in lines.iter().enumerate() {
            state.take_line(line(n as u64 + 1, "web.1", text));
        }
        let layout = super::super::layout::Layout::of(&state);
        let drawn = draw_whole(&mut state);
        let acts = |cell: &ratatui::buffer::Cell| cell.symbol().contains(|c: char| c.is_control());
        for y in 0..rows {
            let is_log = y >= layout.bar.y && y < layout.log.bottom() && layout.bar.height > 0;
            for x in 0..columns {
                let cell = &drawn[(x, y)];
                prop_assert!(!acts(cell), "{cell:?} at {x}, {y}");
                prop_assert!(is_log || cell == &empty[(x, y)], "{cell:?} at {x}, {y}");
            }
        }
        state.log.offset = offset;
        for key in keys.concat().chars() {
            press(&mut state, &key.to_string());
            prop_assert!(!draw_whole(&mut state).content.iter().any(acts));
        }
    }
}

#[test]
fn a_sample_is_kept_for_a_minute() {
    let state = state(80, 24);
    let uses = state.slots.uses(&state.slots.all()[0]).unwrap();
    let last: VecDeque<f64> = [0.012, 0.012].into();
    assert_eq!(uses.cpu.len(), 5);
    assert!((uses.cpu[0] - last[0]).abs() < 1e-9);
}
