use jiff::civil;
use jiff::tz::TimeZone;

use super::super::sample::{death, ready, slot, status};
use super::*;
use crate::wire::Retiring;

fn now() -> Zoned {
    civil::date(2026, 11, 25).at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap()
}

fn told(status: SlotStatus, deaths: Vec<Death>) -> String {
    let argv = ["/bin/sh", "-c", "exec serve 8080"].map(str::to_owned).to_vec();
    let detail = SlotDetail { status, deaths, argv, cwd: Some("/app".into()) };
    paragraph(&detail, super::super::sample::time("12:00:00"), &now())
}

#[test]
fn the_slots_in_trouble_come_worst_first() {
    let status = status();
    let names: Vec<_> = in_trouble(&status).iter().map(|slot| slot.slot.as_str()).collect();
    assert_eq!(names, ["jobs.2", "jobs.1", "web.2"]);
}

#[test]
fn a_slot_is_told_with_its_command_and_its_deaths_with_their_last_lines() {
    let mut last = death("jobs.1", Some(1), None);
    last.last_lines = vec!["error: no\x1b[2J config".into(), "exiting".into()];
    let mut deaths = vec![last];
    deaths.extend((0..4).map(|_| death("jobs.1", Some(1), None)));
    let mut status = status();
    assert_eq!(
        told(status.slots.remove(3), deaths),
        "\
jobs.1 waits before its next try since 11:59:00 (1m), after 4 failed starts in a row; next try in 3s
  runs: /bin/sh -c 'exec serve 8080'
  in: /app
  11:58:00 jobs.1 ended; starting generation 8
    | error: no\\u{1b}[2J config
    | exiting
  11:58:00 jobs.1 ended; starting generation 8
  11:58:00 jobs.1 ended; starting generation 8
  2 earlier; `--json` has them
"
    );
}

#[test]
fn each_phase_has_its_sentence() {
    let first = |slot: SlotStatus| told(slot, Vec::new()).lines().next().unwrap().to_owned();
    let mut slots = status().slots.into_iter();
    let mut next = || first(slots.next().unwrap());
    assert_eq!(next(), "web.1 is ready since 11:59:00 (1m): generation 8, pid 4711");
    assert_eq!(next(), "web.2 is at starting since 11:59:32 (28s): generation 8, pid 4711");
    assert_eq!(next(), "web.3 is stopped since 11:59:00 (1m)");
    next();
    assert_eq!(
        next(),
        "jobs.2 has given up since 11:59:00 (1m), after 10 failed starts in a row; \
         `pm start jobs.2` tries again"
    );
    assert_eq!(next(), "setup.1 has ended since 11:59:00 (1m)");
    let mut served = slot("web.1", Phase::GivenUp);
    served.retiring = Some(Retiring { generation: 7, pid: Some(4700), serving: true });
    assert_eq!(
        first(served),
        "web.1 has given up since 11:59:00 (1m); generation 7, pid 4700, serves on; `pm start web.1` tries again"
    );
    let mut waiting = slot("web.1", Phase::Idle);
    waiting.waits_for = vec!["db".into()];
    assert_eq!(first(waiting), "web.1 waits for db since 11:59:00 (1m)");
}

#[test]
fn a_death_for_want_of_memory_says_so() {
    let death = Death { out_of_memory: Some(true), ..death("web.1", None, Some("SIGKILL")) };
    let text = told(slot("web.1", Phase::Starting), vec![death]);
    assert!(
        text.contains("\n    the kernel killed it: it used more memory than there is\n"),
        "{text}"
    );
}

#[test]
fn where_all_is_well_one_line_says_so() {
    let of = |slots: Vec<SlotStatus>| all_is_well(&Status { slots, ..status() });
    let both = vec![ready("web.1", 1, 1.0), ready("web.2", 2, 1.0)];
    assert_eq!(of(both.clone()), "all 2 workers are ready");
    assert_eq!(of(both[..1].to_vec()), "the worker is ready");
    let mut more = both;
    more[1].restarts = 41;
    more.extend(status().slots.into_iter().filter(|slot| slot.phase == Phase::Idle));
    assert_eq!(
        of(more),
        "all 2 workers are ready; 1 slot stopped; 1 slot ended with status 0; \
         web.2 has had 41 restarts: `pm why web.2` tells of the last ones"
    );
}

#[test]
fn a_word_is_quoted_as_a_shell_wants_it() {
    assert_eq!(["a-b", "", "it's", "$x"].map(shell_word), ["a-b", "''", "'it'\\''s'", "'$x'"]);
}
