//! What a worker says is text, and what stands in the cells.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::reactor::clock::WallTime;
use crate::wire::{Death, PmStatus, Reason, Stats, Time, Wanted, Worker};

fn at(seconds: i64) -> Time {
    Time(Timestamp::from_second(1_764_032_523 + seconds).unwrap())
}

fn death(words: &str, lines: &[&str]) -> Death {
    Death {
        generation: 7,
        pid: None,
        at: at(-12),
        reason: Reason::Crash,
        exit_status: Some(255),
        signal: None,
        out_of_memory: None,
        uptime_seconds: 2.1,
        words: words.into(),
        last_lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    }
}

fn slot() -> SlotStatus {
    let worker = Worker {
        generation: 8,
        pid: Some(4711),
        started_at: at(-123),
        ready_at: Some(at(-122)),
        uptime_seconds: 123.0,
    };
    SlotStatus {
        slot: "web.1".into(),
        pool: "web".into(),
        number: 1,
        port: Some(8080),
        backlog: None,
        terminal: false,
        wanted: Wanted::Up,
        phase: Phase::Ready,
        phase_since: at(-122),
        phase_until: None,
        worker: Some(worker),
        spare: None,
        retiring: None,
        restarts: 41,
        failed_starts: 0,
        next_try_at: None,
        waits_for: Vec::new(),
        last_death: Some(death("web.1 exited 255 after 2.1s; starting generation 8", &[])),
        stats: Some(Stats {
            sampled_at: at(0),
            cpu_seconds: 1.5,
            cpu_cores: 0.012,
            memory_bytes: 63_000_000,
            processes: 1,
        }),
    }
}

fn status(plan: &str) -> RunStatus {
    RunStatus {
        seq: 1,
        now: at(0),
        pm: PmStatus {
            version: "0.1.0".into(),
            pid: 1,
            started_at: at(-200_000),
            plan: Some(plan.into()),
            draining: false,
            chaos: false,
            page: None,
        },
        slots: vec![slot()],
    }
}

fn page(status: &RunStatus, why: Option<&SlotDetail>) -> String {
    let ring = Ring::new(1 << 16);
    let reply = reply(status, why, None, &ring);
    String::from_utf8(reply.body().to_vec()).unwrap()
}

#[test]
fn the_page_is_whole_without_a_script() {
    let text = page(&status("/srv/shop/pm.toml"), None);
    for part in [
        "<title>shop - pm</title>",
        "<noscript><meta http-equiv=\"refresh\" content=\"5; url=/\"></noscript>",
        "/srv/shop/pm.toml",
        "1 of 1 ready",
        "up <span id=\"up\">2d 7h</span>",
        ">8080<",
        ">4711<",
        ">2m 3s<",
        ">41<",
        ">1.2 %<",
        ">63 MB<",
        ">exited 255 after 2.1s, 12s ago<",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for inline in [" style=", " onclick=", " onload=", " onerror=", "<style"] {
        assert!(!text.contains(inline), "{inline}\n{text}");
    }
    assert_eq!(text.matches("<script").count(), 1);
}

#[test]
fn what_a_worker_says_is_text() {
    let hostile = "<img src=x onerror=alert(1)>\"'&</script></pre>";
    let words = format!("web.1 {hostile}");
    let mut status = status(&format!("/srv/{hostile}/pm.toml"));
    status.slots[0].last_death = Some(death(&words, &[]));
    let detail = SlotDetail {
        status: slot(),
        deaths: vec![death(&words, &[hostile])],
        argv: Vec::new(),
        cwd: None,
    };
    let text = page(&status, Some(&detail));
    assert!(!text.contains("<img") && !text.contains("alert(1)>"), "{text}");
    assert_eq!(text.matches("</script>").count(), 1, "{text}");
    assert_eq!(text.matches("</pre>").count(), 1, "{text}");
    assert!(text.contains("&#60;img src=x onerror=alert(1)&#62;"), "{text}");
}

#[test]
fn a_line_is_shown_without_what_would_move_a_cursor() {
    assert_eq!(plain(b"\x1b[1;31mred\x1b[0m \x1b]0;t\x07 a\tb\x00\r"), "red  a\tb");
    assert_eq!(plain(b"\x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\ \x1b(B\x1b[mx"), "link x");
    assert_eq!(plain(b"\xff\x1b"), "\u{fffd}");
    assert_eq!(plain(b"a\x1b[12"), "a");
    let long = plain(&[b'x'; LINE_BYTES_MAX + 1]);
    assert!(plain("ü".repeat(LINE_BYTES_MAX).as_bytes()[1..].as_ref()).ends_with("ü…"));
    assert!(long.ends_with("x…") && long.len() == LINE_BYTES_MAX + "…".len());
}

#[test]
fn each_phase_has_its_words() {
    let of = |phase, wanted, next: Option<i64>, waits: &[&str]| {
        let waits_for = waits.iter().map(|pool| (*pool).to_owned()).collect();
        let slot = SlotStatus { phase, wanted, next_try_at: next.map(at), waits_for, ..slot() };
        words::phase(&slot, at(0))
    };
    assert_eq!(of(Phase::Ready, Wanted::Up, None, &[]), "ready");
    assert_eq!(of(Phase::Backoff, Wanted::Up, Some(3), &[]), "backoff, next try in 4s");
    assert_eq!(of(Phase::GivenUp, Wanted::Up, None, &[]), "gave up");
    assert_eq!(of(Phase::Idle, Wanted::Down, None, &[]), "stopped");
    assert_eq!(of(Phase::Idle, Wanted::Ended, None, &[]), "ended");
    assert_eq!(of(Phase::Idle, Wanted::Up, None, &["db"]), "waits for db");
}

#[test]
fn times_and_sizes_are_short() {
    for (seconds, written) in
        [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3_660, "1h 1m"), (90_000, "1d 1h")]
    {
        assert_eq!(words::time(Duration::from_secs(seconds)), written);
    }
    for (bytes, written) in
        [(0, "0.0 MB"), (3_340_000, "3.3 MB"), (63_400_000, "63 MB"), (1_500_000_000, "1.5 GB")]
    {
        assert_eq!(words::bytes(bytes), written);
    }
    assert_eq!(words::moment(WallTime(1_764_032_523_004)).1, "01:02:03");
    assert_eq!(words::title(2, "shop"), "(2) shop - pm");
    assert_eq!(words::title(0, "shop"), "shop - pm");
    assert_eq!(words::name(Some("/srv/shop/pm.toml")), "shop");
    assert_eq!(words::name(Some("/pm.toml")), "pm.toml");
    let here = std::env::current_dir().unwrap();
    assert_eq!(Path::new(&words::name(None)), here.file_name().unwrap());
    assert_eq!(words::place(Some("/srv/shop/pm.toml")), "/srv/shop/pm.toml");
}
