//! The session that README.md shows, typed again in a real terminal (tmux) against the lab. What it prints must be what
//! README.md says, but for numbers, times and pids.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::rig::{Lab, PORTS};
use crate::support::programs::{pm_binary, project};
use crate::support::run_mode::{skip_without, skip_without_deno};
use crate::support::screen::Screen;
use crate::support::waiting::eventually;

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    prints: Vec<String>,
}

#[test]
fn the_session_of_the_readme_goes_as_it_says() {
    if skip_without_deno() || skip_without(&["tmux".into()]) {
        return;
    }
    let expected = steps(&readme_session());
    assert!(expected.len() > 5, "the session is there");
    let mut lab = Lab::without_the_monkey();
    let before = lab.wait_all_ready();
    let proxy = lab.proxy();
    let screen = Screen::new();
    let program = pm_binary();
    let folder = program.parent().and_then(Path::to_str).expect("a folder");
    let path = format!("PATH={folder}:/usr/local/bin:/usr/bin:/bin");
    screen.start(140, project(), &["env", &path, "PS1=$ ", "/bin/sh"]);
    for (n, Step { command, prints }) in expected.iter().enumerate() {
        eventually("a prompt", || is_at_prompt(&screen, n + 1).then_some(()));
        screen.type_text(command);
        screen.press("Enter");
        if command.contains("kill") {
            lab.wait_ready_again(1, before[1]);
        }
        if command.contains("--roll") {
            // All the time while the workers are replaced.
            lab.load(&["--requests", "500", "--workers", "4"]);
        }
        if command.contains("logs") {
            let line = prints.first().expect("a line of a worker");
            eventually("the line of the request", || {
                get(PORTS[0]);
                steps(&screen.shows()).last().filter(|step| step.prints.contains(line)).map(drop)
            });
            screen.press("C-c");
        }
    }
    eventually("the last prompt", || is_at_prompt(&screen, expected.len() + 1).then_some(()));
    let mut shown = steps(&screen.shows());
    // The last prompt.
    shown.pop();
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(plain(shown), plain(expected), "of `{}`", expected.command);
    }
    assert_eq!(shown.len(), expected.len());
    assert_eq!(lab.wait_end().code(), Some(0));
    drop(proxy);
}

/// The block of README.md that begins with `pm status`.
fn readme_session() -> String {
    let text = std::fs::read_to_string(project().join("README.md")).expect("README.md");
    let start = text.find("\n$ pm status\n").expect("README.md has a session");
    let end = text[start..].find("\n```").expect("the end of the block");
    text[start..start + end].to_owned()
}

/// What follows each prompt.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        match (line.strip_prefix('$'), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step { command: command.trim().to_owned(), prints: Vec::new() });
            }
            (None, Some(step)) if !line.is_empty() => step.prints.push(line.to_owned()),
            (None, _) => {}
        }
    }
    steps
}

fn is_at_prompt(screen: &Screen, prompts: usize) -> bool {
    let steps = steps(&screen.shows());
    steps.len() == prompts
        && steps.last().is_some_and(|last| last.command.is_empty() && last.prints.is_empty())
}

/// Without what differs each time: numbers that are not ports, the width of columns, the order in which workers stop,
/// and how often a request was tried.
fn plain(step: &Step) -> Vec<String> {
    let mut lines: Vec<_> = step.prints.iter().map(|line| without_numbers(line)).collect();
    lines.dedup();
    for run in lines.chunk_by_mut(|a, b| a.ends_with(" stopped") && b.ends_with(" stopped")) {
        run.sort();
    }
    lines
}

fn without_numbers(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let inner = word.trim_matches(['(', ')', ',', ';', ':']);
        let is_port = PORTS.iter().any(|port| inner == port.to_string());
        let digits = inner.trim_end_matches(['m', 's', 'h', 'B', 'K', 'M', '%']);
        let is_number = !digits.is_empty()
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '/'));
        if is_number && !is_port { word.replace(inner, "#") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn get(port: u16) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).expect("a server");
    server
        .write_all(b"GET / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
