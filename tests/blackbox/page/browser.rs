//! What Chromium makes of the page: `tests/page/check.mjs` drives it, and says what is wrong.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Served, serve_file, start};
use crate::support::pool::Pool;
use crate::support::programs::project;
use crate::support::run_mode::{is_proof, proof, size, skip, skip_without};

/// A worker that writes what would be markup, and then lives on. Its first generation says so and dies.
const HOSTILE: &str = "[pool.POOL]\nworkers = 2\nready = { after = '0s' }\n\
    command = '''\n\
    echo \"<img src=x onerror=alert(1)>\"; printf '\\033[31mred\\033[0m\\n'; echo '</script><script>alert(2)</script>'\n\
    [ $PM_GENERATION -gt 1 ] || exit 3\n\
    exec sleep 1000'''\n";

/// Skips the test if there is no browser, or nothing to drive it with.
#[track_caller]
fn is_skipped() -> bool {
    if skip_without(&["node".into(), "chromium".into()]) {
        return true;
    }
    let is_missing = !project().join("tests/page/node_modules/playwright-core").is_dir();
    if is_missing {
        skip("`npm ci --prefix tests/page` was not run");
    }
    is_missing
}

fn check(scenario: &str, served: &Served, value: &str) -> Child {
    let script = project().join("tests/page/check.mjs");
    let mut node = Command::new("node");
    node.arg(script).args([scenario, &served.url(), value]);
    node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Fails with what is wrong. Returns what was found.
#[track_caller]
fn passes(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (found, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{found}{errors}");
    found
}

/// Each slot has died once.
fn serve_hostile() -> Served {
    let served = serve_file(HOSTILE, &[]);
    for n in 1..=2 {
        served.pm.wait_slot_ready(&format!(".{n}"), 2);
    }
    served
}

#[track_caller]
fn holds(scenario: &str) {
    if is_skipped() {
        return;
    }
    let served = serve_hostile();
    passes(check(scenario, &served, ""));
    served.pm.stop();
}

#[test]
fn a_crash_is_on_the_page_at_once() {
    if is_skipped() {
        return;
    }
    let served = serve_hostile();
    let found = passes(check("crashes", &served, &size("PM_PAGE_CRASHES", 3, 50).to_string()));
    proof("crash on the page", &found);
    let p95 = found.split("p95 ").nth(1).and_then(|rest| rest.split(' ').next());
    let p95: u64 = p95.and_then(|number| number.parse().ok()).expect("a number");
    assert!(!is_proof() || p95 < 200, "{found}");
    served.pm.stop();
}

#[test]
fn without_a_script_the_page_is_whole_and_is_loaded_again() {
    holds("plain");
}

#[test]
fn what_workers_write_stays_text_in_a_browser() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hostile = folder.path().join("<b>&\"'\r <img src=x onerror=alert(3)>");
    std::fs::create_dir(&hostile).unwrap();
    let pool = Pool::of_file(&hostile, "pm.toml", 0, HOSTILE).option("--http", "127.0.0.1:0");
    let served = start(folder, pool);
    served.pm.wait_slot_ready(".1", 2);
    passes(check("hostile", &served, ""));
    served.pm.stop();
}

#[test]
fn axe_finds_nothing_and_each_target_is_large() {
    holds("access");
}

#[test]
fn the_page_is_used_with_keys_and_heard() {
    holds("keys");
}

#[test]
fn a_page_whose_pool_is_gone_after_a_restart_shows_the_lines_of_all() {
    if is_skipped() {
        return;
    }
    let text = |pool: &str| {
        let command = "'for n in 1 2 3 4 5 6 7 8 9; do echo $n; done; exec sleep 1000'";
        format!("[pool.{pool}]\nready = {{ after = '0s' }}\ncommand = {command}\n")
    };
    let served = serve_file(&text("POOL"), &[]);
    served.pm.wait_slot_ready(".1", 1);
    let name = served.pm.name.clone();
    let mut browser = check("other", &served, &name);
    let mut lines = BufReader::new(browser.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "restart\n");
    let Served { pm, folder, at, .. } = served;
    pm.stop();
    let text = text("other");
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text).option("--http", &at.to_string());
    let again = start(folder, pool);
    passes(browser);
    again.pm.stop();
}

#[test]
fn a_title_a_link_and_a_set_of_characters_are_not_shown() {
    if is_skipped() {
        return;
    }
    let served = serve_file(
        r"[pool.POOL]
ready = { after = '0s' }
command = '''
printf '\033]0;title\007\033]8;;http://a/\033\\link\033]8;;\033\\\n\033(B\033[mafter\n'
exec sleep 1000'''
",
        &[],
    );
    served.pm.wait_slot_ready(".1", 1);
    served.pm.prints.wait_for("after");
    passes(check("sequences", &served, ""));
    served.pm.stop();
}

#[test]
fn after_a_restart_of_pm_the_page_goes_on_by_itself() {
    if is_skipped() {
        return;
    }
    let Served { pm, at, folder, api } = serve_hostile();
    let served = Served { pm, at, folder, api };
    let mut browser = check("restart", &served, "");
    let mut lines = BufReader::new(browser.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "restart\n");
    let Served { pm, folder, at, .. } = served;
    // The same file, so that the pools have the same names.
    let text = std::fs::read_to_string(folder.path().join("pm.toml")).unwrap();
    pm.stop();
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text).option("--http", &at.to_string());
    let again = start(folder, pool);
    passes(browser);
    again.pm.stop();
}
