//! The floors and the absences, checked on the source text itself.
//!
//! A file uses what lies below it, never above, never sideways except inside its folder; and each floor does without
//! some things for good: the supervisor without a clock, all but `sys` without `unsafe`, all but `main` without an
//! exit. Each rule is one test. A rule reads lines whose comments, string contents and `#[cfg(test)]` items are
//! blanked out; it is a reader with sharp eyes, not a compiler.

use std::fmt;
use std::fs;
use std::path::Path;

/// Each name under `src/` and its floor.
const FLOORS: [(&str, usize); 6] =
    [("supervisor", 0), ("plan", 1), ("sys", 2), ("reactor", 3), ("cli", 4), ("main", 5)];

/// About this long is a file that answers one question. Tests at its foot do not count.
const LINES_MAX: usize = 450;

/// So many lines of its own statement may stand between an `unsafe` and the comment that explains it.
const UNSAFE_REACH: usize = 4;

#[test]
fn a_file_uses_only_the_floors_below_its_own() {
    uphold("src", stays_on_its_floor);
}

#[test]
fn lib_only_declares_modules() {
    uphold("src/lib.rs", |source| {
        let is_allowed = |line: &str| {
            let line = line.trim();
            let declares = ["mod ", "pub mod "].iter().any(|start| line.starts_with(start));
            line.is_empty() || line.starts_with("#!") || (declares && line.ends_with(';'))
        };
        source.complain_unless(is_allowed, "lib.rs only declares modules; move this to its floor")
    });
}

#[test]
fn unsafe_appears_only_in_sys() {
    uphold("src", |source| match source.floor() {
        Some("sys") => Vec::new(),
        _ => source.forbid(&["unsafe"], "`unsafe` lives in src/sys; give it a safe function there"),
    });
}

#[test]
fn each_unsafe_says_why_it_is_sound_and_why_no_safe_way_would_do() {
    uphold("src", explains_each_unsafe);
}

#[test]
fn the_supervisor_uses_std_only() {
    uphold("src/supervisor", uses_std_only);
}

#[test]
fn the_supervisor_has_no_clock_no_system_no_output_and_no_dice() {
    uphold("src/supervisor", |source| {
        let advice =
            "the supervisor only decides: take it in as an event or hand it out as an action";
        let mut complaints = source.forbid(
            &["Instant::now", "SystemTime", "elapsed", "println!", "eprintln!", "print!", "dbg!"],
            advice,
        );
        complaints
            .extend(source.forbid(&["rand", "fastrand", "RandomState", "static mut"], advice));
        complaints.extend(
            source.forbid_std(&["fs", "net", "io", "env", "process", "thread", "os"], advice),
        );
        complaints
    });
}

#[test]
fn the_supervisor_spells_out_every_case() {
    uphold("src/supervisor", |source| {
        source
            .forbid(&["_ =>", "_ if"], "spell out every case, so that a new one has to be decided")
    });
}

#[test]
fn the_plan_reads_no_file_no_clock_and_no_environment() {
    uphold("src/plan", |source| {
        let advice = "the plan is text in, value or error out: let the caller read it";
        let mut complaints =
            source.forbid(&["Instant::now", "SystemTime", "include_bytes!"], advice);
        complaints
            .extend(source.forbid_std(&["fs", "env", "io", "net", "process", "thread"], advice));
        complaints
    });
}

#[test]
fn only_main_exits() {
    uphold("src", |source| match source.floor() {
        Some("main") => Vec::new(),
        _ => {
            source.forbid(&["process::exit", "process::abort"], "return it: only src/main.rs exits")
        }
    });
}

#[test]
fn nobody_spawns_but_sys_and_nothing_is_waited_for_behind_the_reaper() {
    uphold("src", |source| {
        source.forbid(
            &["Command::new", "process::Command", "process::Child"],
            "there is one reaper: spawn through `Launch` and `Children` in src/sys",
        )
    });
}

#[test]
fn only_the_reactor_reads_the_clock() {
    uphold("src", |source| match source.floor() {
        Some("reactor") => Vec::new(),
        _ => source
            .forbid(&["Instant::now"], "take `now` as an argument: src/reactor reads the clock"),
    });
}

#[test]
fn nothing_sleeps() {
    let advice = "wait for what you want to see, with a deadline";
    uphold("src", |source| source.forbid(&["thread::sleep", "thread::park_timeout"], advice));
    uphold("tests", |source| {
        // The workers among the fixtures hang on demand: for that they may sleep.
        if source.path.starts_with("tests/fixtures/") {
            return Vec::new();
        }
        source.forbid(&["thread::sleep"], advice)
    });
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    uphold("src", |source| {
        source.forbid(
            &[".unwrap()", ".unwrap_err()"],
            "handle it, or `expect` the invariant in words",
        )
    });
}

#[test]
fn every_file_opens_with_what_it_is() {
    uphold("src", |source| {
        let opens = source.text.starts_with("//! ");
        let advice = "open with `//!`: what it is, what it never does, where to look next";
        if opens { Vec::new() } else { vec![source.complaint(0, advice)] }
    });
}

#[test]
fn no_file_is_long() {
    uphold("src", |source| {
        let lines = source.code.iter().rposition(|line| !line.trim().is_empty()).unwrap_or(0) + 1;
        let advice = format!("{lines} lines before its tests: it answers two questions; split it");
        if lines <= LINES_MAX { Vec::new() } else { vec![source.complaint(lines - 1, &advice)] }
    });
}

/// Every rule, shown a snippet that breaks it and one that does not.
#[test]
fn the_rules_can_be_broken() {
    let at = |path: &str, text: &str| Source::new(path, text);
    let floor = |path: &str, text: &str| lines(&stays_on_its_floor(&at(path, text)));
    assert_eq!(floor("src/plan/mod.rs", "//! a\nuse crate::sys::Children;\n"), [2]);
    assert_eq!(floor("src/plan/mod.rs", "use super::reactor;"), [1]);
    assert_eq!(floor("src/plan/ports.rs", "use super::super::sys::ports;"), [1]);
    assert_eq!(floor("src/plan/deep/ports.rs", "use super::super::super::cli;"), [1]);
    assert_eq!(floor("src/sys/mod.rs", "fn f() {\n    crate::cli::pm()\n}"), [2]);
    assert_eq!(
        floor("src/sys/mod.rs", "use crate::{\n    plan::Plan,\n    cli::{self, run},\n};"),
        [3]
    );
    assert_eq!(floor("src/sys/mod.rs", "use crate::main;"), [1]);
    assert_eq!(floor("src/sys/mod.rs", "use crate::nowhere;"), [1]);
    assert_eq!(floor("src/sys/mod.rs", "use pm::reactor;"), [1]);
    assert_eq!(floor("src/helper.rs", "fn f() {}"), [1]);
    assert_eq!(floor("src/sys/a.rs", "use super::b;\nuse crate::{sys::c, plan::{cli, Plan}};"), []);
    assert_eq!(floor("src/sys/a.rs", "// crate::cli\nconst A: &str = \"crate::cli\";"), []);
    assert_eq!(floor("src/sys/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}"), []);
    assert_eq!(floor("src/main.rs", "use pm::cli;\nuse pm::supervisor::Outcome;"), []);

    let explained = |text: &str| lines(&explains_each_unsafe(&at("src/sys/a.rs", text)));
    let both = "// SAFETY: a\n// and b.\n// WHY: c\n";
    assert_eq!(explained(&format!("{both}let a =\n    unsafe {{ b() }};")), []);
    assert_eq!(explained("// SAFETY: a\nunsafe { b() }"), [2]);
    assert_eq!(explained("unsafe { b() }"), [1]);
    assert_eq!(explained(&format!("{both}unsafe {{ b() }}\nunsafe {{ c() }}")), [5]);
    assert_eq!(explained(&format!("{both}a;\nb;\nc;\nd;\ne;\nunsafe {{ c() }}")), [9]);

    let std_only = |text: &str| lines(&uses_std_only(&at("src/supervisor/a.rs", text)));
    assert_eq!(std_only("use std::fmt;\nuse nix::unistd;\npub use inner::A;"), [2, 3]);
    assert_eq!(std_only("mod inner;\npub use inner::A;\nuse Phase::*;\nuse super::B;"), []);
    assert_eq!(
        std_only("fn f() {\n    libc::getpid();\n    ::signal_hook::low_level::exit(1)\n}"),
        [2, 3]
    );

    let forbidden = |text: &str, words: &[&str]| lines(&at("src/a.rs", text).forbid(words, ""));
    assert_eq!(forbidden("a::Instant::now();", &["Instant::now"]), [1]);
    assert_eq!(forbidden("MyInstant::now();\nInstant::nowhere();", &["Instant::now"]), []);
    assert_eq!(
        forbidden("match a {\n    Some(_) => 1,\n    _ => 2,\n    n_ => 3,\n}", &["_ =>"]),
        [3]
    );
    assert_eq!(forbidden("a.unwrap();\nb.unwrap_or(1);", &[".unwrap()"]), [1]);
    assert_eq!(forbidden("/* unsafe /* unsafe */ unsafe */ a\nunsafe", &["unsafe"]), [2]);
    assert_eq!(forbidden("r#\"\"unsafe\"#; b\"\\\"unsafe\"; '\"'; unsafe", &["unsafe"]), [1]);
    assert_eq!(forbidden("r#\"\"unsafe\"#; b\"\\\"unsafe\"; '\"'; '\\''; 'a", &["unsafe"]), []);
    assert_eq!(forbidden("#[cfg(test)]\nuse a::unsafe;\nunsafe", &["unsafe"]), [3]);

    let std_parts = |text: &str| lines(&at("src/plan/a.rs", text).forbid_std(&["fs", "env"], ""));
    assert_eq!(std_parts("use std::fs;\nstd::env::var(a);\nuse std::fmt;"), [1, 2]);
    assert_eq!(std_parts("use std::{\n    fmt::{self, fs},\n    env,\n};"), [3]);
}

// The rules that are more than a word.

fn stays_on_its_floor(source: &Source) -> Vec<Complaint> {
    let own = source.floor();
    if source.path == "src/lib.rs" {
        return Vec::new();
    }
    let Some(height) = own.and_then(height) else {
        return vec![source.complaint(0, "this is on no floor: move it into one of the folders")];
    };
    let depth = source.depth();
    let mut used = source.paths("crate::");
    used.extend(source.paths("pm::"));
    used.extend(source.paths(&"super::".repeat(depth)));
    let wrong = used.into_iter().filter_map(|(line, name)| {
        let advice = match self::height(&name) {
            _ if Some(name.as_str()) == own => return None,
            Some(other) if other < height => return None,
            Some(other) => format!(
                "floor {height} uses `{name}`, floor {other}: hand it down as a value, or move this up"
            ),
            None => format!("`{name}` is no floor: name the folder it is in"),
        };
        Some(source.complaint(line, &advice))
    });
    wrong.collect()
}

fn explains_each_unsafe(source: &Source) -> Vec<Complaint> {
    let is_unsafe = |line: usize| contains(&source.code[line], "unsafe");
    let lines: Vec<&str> = source.text.lines().collect();
    let is_comment = |line: &usize| lines[*line].trim_start().starts_with("//");
    let is_explained = |line: usize| {
        let above = (0..line).rev().take(UNSAFE_REACH + 1);
        let Some(last) = above.take_while(|line| !is_unsafe(*line)).find(is_comment) else {
            return false;
        };
        let comment: Vec<_> =
            (0..=last).rev().take_while(is_comment).map(|line| lines[line].trim()).collect();
        ["// SAFETY: ", "// WHY: "]
            .iter()
            .all(|start| comment.iter().any(|line| line.starts_with(start)))
    };
    let advice =
        "say above it what makes it sound (// SAFETY: ) and which safe way was refused (// WHY: )";
    let silent = (0..lines.len()).filter(|line| is_unsafe(*line) && !is_explained(*line));
    silent.map(|line| source.complaint(line, advice)).collect()
}

fn uses_std_only(source: &Source) -> Vec<Complaint> {
    let advice = "the supervisor uses std only";
    let declares = |name: &str| {
        let declaration = format!("mod {name};");
        source.code.iter().any(|line| line.trim_start_matches("pub ").trim() == declaration)
    };
    let is_ours = |name: &str| {
        ["std", "core", "super", "self", "crate"].contains(&name)
            || name.starts_with(char::is_uppercase)
            || declares(name)
    };
    let mut complaints = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        let code = code.trim().trim_start_matches("pub ");
        let foreign =
            code.strip_prefix("use ").map(|path| first_name(path.trim_start_matches("::")));
        if foreign.is_some_and(|name| !is_ours(&name)) {
            complaints.push(source.complaint(line, advice));
        }
    }
    for dependency in dependencies() {
        complaints.extend(source.forbid(&[&format!("{dependency}::")], advice));
    }
    complaints.sort_by_key(|complaint| complaint.line);
    complaints.dedup_by_key(|complaint| complaint.line);
    complaints
}

/// The names under which the crate's dependencies can be used.
fn dependencies() -> Vec<String> {
    let sections = include_str!("../Cargo.toml").split("\n[");
    let section = { sections }.find(|section| section.starts_with("dependencies]"));
    let lines = section.expect("Cargo.toml has [dependencies]").lines().skip(1);
    let names = lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    names.filter(|name| !name.starts_with('#')).map(|name| name.replace('-', "_")).collect()
}

fn height(name: &str) -> Option<usize> {
    FLOORS.iter().find(|(floor, _)| *floor == name).map(|(_, height)| *height)
}

// Reading source.

/// One file, as written and as the rules read it.
struct Source {
    /// From the root of the crate, with `/`.
    path: String,
    text: String,
    /// The lines without comments, string contents and `#[cfg(test)]` items.
    code: Vec<String>,
}

struct Complaint {
    path: String,
    /// Counts from 1.
    line: usize,
    advice: String,
}

/// Reads every file under `part` of the crate and fails with all that the rule complains about.
fn uphold(part: &str, rule: impl Fn(&Source) -> Vec<Complaint>) {
    let mut sources = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(part), part, &mut sources);
    assert!(!sources.is_empty(), "there is nothing at {part}: the rule would hold for ever");
    let complaints: Vec<Complaint> = sources.iter().flat_map(rule).collect();
    let lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    assert!(complaints.is_empty(), "\n{}\n", lines.join("\n"));
}

fn walk(at: &Path, name: &str, sources: &mut Vec<Source>) {
    if at.is_dir() {
        let entries = fs::read_dir(at).expect("the source can be read");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("as above").file_name()).collect();
        names.sort();
        for file in names {
            let path = format!("{name}/{}", file.to_string_lossy());
            walk(&at.join(file), &path, sources);
        }
    } else if name.ends_with(".rs") && !is_unit_tests(name) {
        let text = fs::read_to_string(at).expect("source is UTF-8");
        sources.push(Source::new(name, &text));
    }
}

/// True for the tests of a module in a file of their own, which its `#[cfg(test)] mod tests;` declares.
fn is_unit_tests(name: &str) -> bool {
    name.starts_with("src/") && name.ends_with("/tests.rs")
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = without_tests(&without_comments_and_strings(text));
        let code = code.lines().map(str::to_owned).collect();
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The floor it is on, by its folder or, for `main`, by its name.
    fn floor(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split_once('/').map_or(inside.trim_end_matches(".rs"), |(folder, _)| folder))
    }

    /// How many `super::` lead from its module to the root of the crate.
    fn depth(&self) -> usize {
        let folders = self.path.matches('/').count();
        if self.path.ends_with("/mod.rs") { folders - 1 } else { folders }
    }

    fn complaint(&self, index: usize, advice: &str) -> Complaint {
        Complaint { path: self.path.clone(), line: index + 1, advice: advice.to_owned() }
    }

    fn complain_unless(&self, is_allowed: impl Fn(&str) -> bool, advice: &str) -> Vec<Complaint> {
        let lines = self.code.iter().enumerate();
        let bad = lines.filter(|(_, line)| !is_allowed(line));
        bad.map(|(index, _)| self.complaint(index, advice)).collect()
    }

    /// Complains about each line that has one of these, as whole words.
    fn forbid(&self, words: &[&str], advice: &str) -> Vec<Complaint> {
        let is_clean = |line: &str| !words.iter().any(|word| contains(line, word));
        self.complain_unless(is_clean, advice)
    }

    /// Complains about each use of one of these modules of std.
    fn forbid_std(&self, modules: &[&str], advice: &str) -> Vec<Complaint> {
        let used = self.paths("std::").into_iter();
        let bad = used.filter(|(_, name)| modules.contains(&name.as_str()));
        bad.map(|(index, _)| self.complaint(index, advice)).collect()
    }

    /// What follows `root` wherever it stands, with its line: one name, or each first name of a `{}` list.
    fn paths(&self, root: &str) -> Vec<(usize, String)> {
        let code = self.code.join("\n");
        let line_of = |at: usize| code[..at].matches('\n').count();
        let mut found = Vec::new();
        for at in places(&code, root) {
            let start = at + root.len();
            if !code[start..].starts_with('{') {
                found.push((line_of(start), first_name(&code[start..])));
                continue;
            }
            let (mut depth, mut is_first) = (0, false);
            for (offset, c) in code[start..].char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && is_first && is_of_name(c) {
                    found.push((line_of(start + offset), first_name(&code[start + offset..])));
                }
                let goes_on = is_first && c.is_whitespace();
                is_first = depth == 1 && (c == '{' || c == ',' || goes_on);
            }
        }
        found
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

fn lines(complaints: &[Complaint]) -> Vec<usize> {
    complaints.iter().map(|complaint| complaint.line).collect()
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_name(code: &str) -> String {
    code.chars().take_while(|c| is_of_name(*c)).collect()
}

fn contains(line: &str, word: &str) -> bool {
    !places(line, word).is_empty()
}

/// Where `word` stands in `code` as a whole word, not as a part of a longer one or of a longer path.
fn places(code: &str, word: &str) -> Vec<usize> {
    let is_path = word.ends_with("::");
    let is_whole = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let starts = !word.starts_with(is_of_name) || !before.is_some_and(is_of_name);
        let is_part_of_path = is_path && code[..*at].ends_with("::") && !is_root(&code[..*at]);
        starts && !is_part_of_path && !(word.ends_with(is_of_name) && after.is_some_and(is_of_name))
    };
    code.match_indices(word).map(|(at, _)| at).filter(is_whole).collect()
}

/// True if the `::` at the end of this is the leading one of a path.
fn is_root(code: &str) -> bool {
    !code.trim_end_matches("::").ends_with(is_of_name)
}

/// Blanks out comments and the contents of strings and characters; every line keeps its number.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = code.ends_with(is_of_name);
        let (length, is_blank) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with("/*") {
            (length_of_comment(rest), true)
        } else if let Some(length) = length_of_raw_string(rest).filter(|_| !after_name) {
            (length, true)
        } else if first == '"' {
            (length_of_quoted(rest, '"'), true)
        } else if first == '\'' && is_character(rest) {
            (length_of_quoted(rest, '\''), true)
        } else {
            (first.len_utf8(), false)
        };
        let (taken, left) = rest.split_at(length);
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        code.extend(taken.chars().map(|c| if is_blank { blank(c) } else { c }));
        rest = left;
    }
    code
}

/// A character, not a lifetime.
fn is_character(rest: &str) -> bool {
    rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')
}

fn length_of_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in rest.char_indices() {
        // The two marks overlap nowhere but in `/*/`, which this reads as a nested opening: good enough.
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

fn length_of_raw_string(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inside.len() - inside.trim_start_matches('#').len();
    let content = inside[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(rest.len() - content.len() + length)
}

fn length_of_quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    rest.len()
}

/// Blanks out what `#[cfg(test)]` stands before: up to the end of its braces, or its semicolon if that comes first.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let item = &rest[at..];
        let (mut depth, mut end) = (0_usize, item.len());
        for (offset, c) in item.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (c == '}' || c == ';') {
                end = offset + 1;
                break;
            }
        }
        kept.push_str(&rest[..at]);
        kept.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    kept + rest
}
