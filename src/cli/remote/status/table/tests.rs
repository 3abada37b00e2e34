use super::super::super::sample::{slot, status};
use super::*;

fn shown(width: Option<usize>) -> String {
    let status = status();
    lines(&status, &status.slots, width, Paint::Plain).join("\n")
}

#[test]
fn without_a_terminal_each_column_is_there_in_full() {
    assert_eq!(
        shown(None),
        "\
pm pm.toml  up 2d 3h  web 1/3  jobs 0/2  setup 1/1
SLOT     PHASE           PORT   PID     UP  RESTARTS   CPU  MEM  LAST
web.1    ready           8080  4711  2m 3s        41  1.2%  63M  exited 255 after 2s, 2m ago
web.2    starting 28s    8081  4711    28s         0     -    -  killed by SIGKILL after 2s, 2m ago
web.3    idle (stopped)  8082     -      -         0     -    -  -
jobs.1   backoff 3s         -     -      -         0     -    -  could not be started, 2m ago
jobs.2   given_up           -     -      -         0     -    -  exited 1 after 2s, 2m ago
setup.1  idle (ended)       -     -      -         0     -    -  exited 0 after 2s, 2m ago"
    );
}

#[test]
fn on_a_narrow_terminal_the_last_end_is_a_word_and_then_columns_drop() {
    let heads = |width| {
        let text = shown(Some(width));
        text.lines().find(|line| line.starts_with("SLOT")).unwrap().to_owned()
    };
    assert_eq!(heads(107), "SLOT     PHASE           PORT   PID     UP  RESTARTS   CPU  MEM  LAST");
    assert!(shown(Some(80)).contains("  SIGKILL\n"), "{}", shown(Some(80)));
    assert_eq!(heads(72), "SLOT     PHASE           PORT   PID     UP  RESTARTS   CPU  LAST");
    assert_eq!(heads(66), "SLOT     PHASE           PORT     UP  RESTARTS   CPU  LAST");
    assert_eq!(heads(60), "SLOT     PHASE           PORT     UP  RESTARTS  LAST");
    assert_eq!(heads(50), "SLOT     PHASE           PORT     UP  LAST");
    assert_eq!(heads(44), "SLOT     PHASE           PORT  LAST");
    assert_eq!(heads(36), "SLOT     PHASE           LAST");
    assert_eq!(heads(24), "SLOT     PHASE");
    assert_eq!(heads(10), "SLOT     PHASE", "no word is cut");
}

#[test]
fn no_line_is_wider_than_the_terminal_if_its_words_fit() {
    for width in 23..120 {
        for line in shown(Some(width)).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn the_phase_alone_is_coloured_and_the_columns_stay() {
    let status = status();
    let plain = shown(None);
    let coloured = lines(&status, &status.slots, None, Paint::Colour).join("\n");
    assert!(coloured.contains("web.1    \x1b[32mready\x1b[0m           8080"), "{coloured}");
    assert!(coloured.contains("\x1b[31mgiven_up\x1b[0m"), "{coloured}");
    let stripped = super::super::super::print::tame(&coloured.replace('\n', "\t"), Paint::Plain);
    assert_eq!(stripped.replace('\t', "\n"), plain);
}

#[test]
fn a_slot_that_waits_for_others_says_so() {
    let mut waiting = slot("web.1", Phase::Idle);
    waiting.waits_for = vec!["db".into(), "cache".into()];
    assert_eq!(row::phase(&waiting, status().now), "idle (waits for db, cache)");
}

#[test]
fn a_run_without_slots_has_a_first_line_only() {
    let status = Status { slots: Vec::new(), ..status() };
    assert_eq!(lines(&status, &status.slots, None, Paint::Plain), ["pm pm.toml  up 2d 3h"]);
}

#[test]
fn the_backlog_is_shown_where_a_port_is_held() {
    let mut held = slot("web.1", Phase::Ready);
    held.backlog = Some(crate::wire::Backlog { waiting: 3, limit: 128 });
    let text = lines(&status(), &[held.clone(), slot("web.2", Phase::Ready)], None, Paint::Plain);
    let cells = text.iter().map(|line| line.contains("  BACKLOG  ") || line.contains("  3/128  "));
    assert_eq!(cells.filter(|has| *has).count(), 2, "{text:#?}");
    let narrow = lines(&status(), &[held], Some(60), Paint::Plain).join("\n");
    assert!(!narrow.contains("BACKLOG"), "{narrow}");
}

#[test]
fn what_a_spare_is_at_is_shown_where_there_is_one() {
    let mut with_spare = slot("web.1", Phase::Ready);
    let (generation, pid, phase_until) = (5, Some(4711), None);
    let phase = crate::wire::SparePhase::Waiting;
    with_spare.spare = Some(crate::wire::Spare { generation, pid, phase, phase_until });
    let slots = [with_spare, slot("web.2", Phase::Ready)];
    let text = lines(&status(), &slots, None, Paint::Plain);
    let cells = text.iter().map(|line| line.contains("  SPARE  ") || line.contains("  waiting  "));
    assert_eq!(cells.filter(|has| *has).count(), 2, "{text:#?}");
    let narrow = lines(&status(), &slots[1..], None, Paint::Plain).join("\n");
    assert!(!narrow.contains("SPARE"), "{narrow}");
}
