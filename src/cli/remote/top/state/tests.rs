//! What keys and news change: where the log stays, what is marked, what a frozen screen keeps.

use jiff::tz::TimeZone;

use super::super::super::sample::{ready, status, time};
use super::super::keys::Key;
use super::log::View;
use super::slots::SortBy;
use super::{Effect, Look, Mode, Scope, State, Tone};
use crate::sys::usage::TotalUsage;
use crate::wire::{LogLine, SlotStatus, Status};

fn state(slots: &[&str]) -> State {
    let mut state = State::new(Look::default(), 80, 24, time("12:00:00").0.to_zoned(TimeZone::UTC));
    state.take_status(of_slots(slots));
    state.settle();
    state
}

fn of_slots(names: &[&str]) -> Status {
    let slots = (8080..).zip(names).map(|(port, name)| ready(name, port, 60.0)).collect();
    Status { slots, ..status() }
}

fn line(n: u64, slot: &str, text: &str) -> LogLine {
    let (at, generation, from_worker) = (time("11:59:59"), 1, true);
    LogLine { n, at, slot: slot.into(), generation, from_worker, line: text.into() }
}

fn write(state: &mut State, lines: std::ops::RangeInclusive<u64>) {
    for n in lines {
        state.take_line(line(n, "web.1", &format!("line {n}")));
    }
    state.settle();
}

fn press(state: &mut State, keys: &str) -> Option<Effect> {
    let mut effect = None;
    for key in keys.chars() {
        state.settle();
        let key = if key == '\n' { Key::Enter } else { Key::Char(key) };
        effect = state.press(&key);
    }
    state.settle();
    effect
}

/// The first and the last line in view.
fn in_view(state: &State) -> [String; 2] {
    let placed = state.log.placed();
    [placed.first(), placed.last()].map(|placed| {
        placed
            .map_or(String::new(), |placed| state.log.rows.get(placed.id).unwrap().text.to_string())
    })
}

fn command(effect: Option<Effect>) -> String {
    match effect {
        Some(Effect::Ask(order)) => order.words,
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_scrolled_to_stays_whatever_comes() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=100);
    assert_eq!(state.log.view(), View::Follow);
    assert_eq!(in_view(&state), ["line 83", "line 100"]);
    state.press(&Key::PageUp);
    state.settle();
    let before = in_view(&state);
    assert_eq!(before, ["line 83", "line 100"].map(str::to_owned), "the cursor moves first");
    state.press(&Key::PageUp);
    state.settle();
    let before = in_view(&state);
    assert_eq!(before[0], "line 66");
    write(&mut state, 101..=400);
    assert_eq!(in_view(&state), before);
    assert_eq!(state.log.newer(), 400 - 83);
    press(&mut state, "f");
    assert_eq!(in_view(&state), ["line 383", "line 400"]);
    assert_eq!(state.log.newer(), 0);
}

#[test]
fn no_row_stays_empty_above_a_held_log_where_there_are_older_lines() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=100);
    press(&mut state, "f");
    assert_ne!(state.log.view(), View::Follow);
    assert_eq!(in_view(&state), ["line 83", "line 100"]);
    state.resize(state.columns, state.rows + 10);
    state.settle();
    assert_eq!(in_view(&state), ["line 73", "line 100"]);
}

#[test]
fn lines_that_are_dropped_take_the_view_with_them() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=100);
    press(&mut state, "+g");
    assert_eq!(in_view(&state)[0], "line 1");
    let long = "x".repeat(60_000);
    for n in 101..=400 {
        state.take_line(line(n, "web.1", &long));
    }
    state.settle();
    assert!(in_view(&state)[0].len() == long.len());
    assert!(state.log.rows.first() > 100);
    press(&mut state, "jjkkG");
    assert_eq!(state.log.view(), View::Follow);
}

#[test]
fn past_the_newest_line_it_follows_again() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=30);
    press(&mut state, "+kk");
    assert_ne!(state.log.view(), View::Follow);
    press(&mut state, "jjj");
    assert_eq!(state.log.view(), View::Follow);
}

#[test]
fn the_offset_to_the_side_is_kept_while_lines_come() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=30);
    state.press(&Key::Right);
    write(&mut state, 31..=60);
    press(&mut state, "ff");
    assert_eq!(state.log.offset, 8);
}

#[test]
fn a_wrapped_line_takes_as_many_rows_as_it_needs() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=30);
    state.take_line(line(31, "web.1", &"日".repeat(100)));
    press(&mut state, "W");
    // 79 columns, of which a wide character cannot use the last one: three rows.
    assert_eq!(in_view(&state)[0], "line 16");
    state.take_line(line(32, "web.1", &"x".repeat(90_000)));
    state.settle();
    let placed = state.log.placed();
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].skipped, 90_000_usize.div_ceil(79) - 18);
}

#[test]
fn the_lines_are_those_of_the_slots_that_are_meant() {
    let mut state = state(&["web.1", "web.2", "db.1"]);
    for (n, slot) in (1..).zip(["web.1", "web.2", "db.1", "web.1"]) {
        state.take_line(line(n, slot, slot));
    }
    let counts = |state: &State| state.log.counts().0;
    assert_eq!(counts(&state), 2);
    press(&mut state, "j");
    assert_eq!(counts(&state), 1);
    press(&mut state, "k  ");
    assert_eq!((counts(&state), state.name_columns()), (3, Some(5)));
    press(&mut state, "a");
    assert_eq!((counts(&state), state.view.scope), (4, Scope::All));
    press(&mut state, "a");
    state.press(&Key::Esc);
    assert_eq!((counts(&state), state.slots.has_marks()), (1, false));
}

#[test]
fn from_match_to_match_with_what_is_around_them() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=100);
    press(&mut state, "/line 5\n");
    assert_eq!(state.log.counts(), (100, 11));
    assert_eq!(in_view(&state), ["line 5", "line 59"]);
    let current = |state: &State| state.log.current().unwrap().text.to_string();
    assert_eq!(current(&state), "line 59");
    press(&mut state, "N");
    assert_eq!(current(&state), "line 58");
    press(&mut state, "NNNNNNNNNN");
    assert_eq!(current(&state), "line 5");
    assert_eq!(in_view(&state), ["line 1", "line 18"]);
    press(&mut state, "n");
    assert_eq!(current(&state), "line 50");
    state.press(&Key::Esc);
    assert_eq!(state.log.counts(), (100, 100));
}

#[test]
fn a_frozen_screen_keeps_what_it_has() {
    let mut state = state(&["web.1", "web.2"]);
    write(&mut state, 1..=100);
    press(&mut state, "p");
    let before = in_view(&state);
    write(&mut state, 101..=200);
    state.take_status(of_slots(&["web.1"]));
    state.tick(time("12:10:00").0.to_zoned(TimeZone::UTC));
    assert_eq!((state.slots.all().len(), in_view(&state)), (2, before));
    assert_eq!(state.time(), time("12:00:00"));
    press(&mut state, "p");
    assert_eq!(state.slots.all().len(), 1);
    assert_eq!(in_view(&state)[1], "line 200");
}

#[test]
fn keys_are_the_commands_of_pm() {
    let mut state = state(&["web.1", "web.2", "db.1"]);
    for (keys, expected) in [
        ("r", "restart web.1 ..."),
        ("s", "start web.1 ..."),
        ("x", "stop web.1 ..."),
        ("X", "stop --now web.1 ..."),
        ("R", "restart --roll web ..."),
        (":pm  kill -s HUP db\n", "pm  kill -s HUP db ..."),
        ("jr", "restart web.2 ..."),
    ] {
        assert_eq!(command(press(&mut state, keys)), expected);
    }
    // All of a pool that has several slots.
    press(&mut state, "g  x");
    assert!(
        matches!(&state.mode, Mode::Confirm { question, .. } if question == "stop all of web?")
    );
    assert_eq!(command(press(&mut state, "y")), "stop web.1 web.2 ...");
    press(&mut state, "Q");
    assert_eq!(command(press(&mut state, "n")), "None");
    assert_eq!(command(press(&mut state, "Qy")), "shutdown ...");
    assert!(matches!(press(&mut state, ":q\n"), Some(Effect::Quit)));
}

#[test]
fn a_paste_is_no_command() {
    let mut state = state(&["web.1"]);
    assert!(state.press(&Key::Paste("Qy".into())).is_none());
    assert_eq!(state.mode, Mode::Browse);
    assert_eq!(state.note.as_ref().map(|note| note.tone), Some(Tone::Bad));
    press(&mut state, ":");
    state.press(&Key::Paste("stop web.1\n".into()));
    assert!(matches!(&state.mode, Mode::Command(prompt) if prompt.text() == "stop web.1 "));
}

#[test]
fn the_table_is_sorted_by_the_column_of_the_digit() {
    let mut state = state(&["web.1", "web.2", "web.3"]);
    let usage = |cpu: u64| TotalUsage {
        cpu: std::time::Duration::from_secs(cpu),
        resident_bytes: cpu << 20,
        processes: 1,
    };
    for (slot, cpu) in [("web.1", 1), ("web.2", 3), ("web.3", 2)] {
        state.take_usage(slot, time("11:59:00").0, usage(0));
        state.take_usage(slot, time("11:59:10").0, usage(cpu));
    }
    let order = |state: &State| -> String {
        state
            .slots
            .sorted(state.time())
            .iter()
            .map(|slot: &&SlotStatus| slot.slot[4..].to_owned())
            .collect()
    };
    let cpu = super::super::columns::sortable(&state).iter().position(|by| *by == SortBy::Cpu);
    let digit = (cpu.unwrap() + 1).to_string();
    press(&mut state, &digit);
    assert_eq!(order(&state), "231");
    press(&mut state, "S");
    assert_eq!(order(&state), "132");
    press(&mut state, "G");
    assert_eq!(state.slots.selected().unwrap().slot, "web.2");
    press(&mut state, "0");
    assert_eq!(order(&state), "123");
    // A narrow table has fewer columns.
    state.resize(60, 24);
    press(&mut state, "9");
    assert_eq!(state.note.as_ref().map(|note| note.tone), Some(Tone::Bad));
}

#[test]
fn lines_that_pm_has_dropped_are_counted() {
    let mut state = state(&["web.1"]);
    write(&mut state, 1..=10);
    let lost =
        LogLine { generation: 0, from_worker: false, ..line(510, "pm", "500 lines were lost") };
    state.take_line(lost);
    write(&mut state, 511..=512);
    assert_eq!(state.log.rows.lost(), 500);
    state.begin_again("another pm runs now");
    write(&mut state, 1..=3);
    assert_eq!((state.log.rows.lost(), state.log.rows.last_number()), (500, 3));
}
