//! The floors, and what each floor does without, checked on the syntax tree of every file in `src`; and how long each
//! file may be, tests and benchmarks too.
//!
//! One test a rule; `self_test` breaks each rule once. A rule of syntax reads the program only: items under
//! `#[cfg(test)]` are left out. What a lint can hold is not here: see `[lints]` in Cargo.toml, `clippy.toml` and the
//! head of `src/lib.rs`.

mod comparisons;
mod self_test;
mod source;
mod variants;

use std::path::Path;

use syn::Item;

use crate::source::{Source, sources, texts};

/// Each name in `src/` and its floor. Of two floors with one number, neither uses the other. `main` may use `cli`.
const FLOORS: [(&str, usize); 10] = [
    ("supervisor", 0),
    ("plan", 1),
    ("sys", 2),
    ("wire", 2),
    ("export", 2),
    ("reactor", 3),
    ("client", 4),
    ("front", 4),
    ("cli", 5),
    ("main", 6),
];

/// The parts of `src/reactor`, from the top; the rule begins with `src/reactor/slots`. No file uses a part above its
/// own. A new part gets its place here.
const STAIRCASE: [&[&str]; 10] = [
    &[
        "reload",
        "apply",
        "reporting",
        "ending",
        "signals",
        "serving",
        "sampling",
        "commands",
        "attaching",
    ],
    &["mod"],
    &["agenda"],
    &["control"],
    &["slots"],
    &["held_ports"],
    &["health"],
    &["report"],
    &["output"],
    &["tokens", "clock"],
];

/// What is absent: where, what, and what to do instead. A method is written `.name`, a macro `name!`.
const ABSENCES: [(&str, &str, &str); 6] = [
    (
        "src/supervisor",
        "std::fs std::net std::io std::env std::process std::thread std::os Instant::now SystemTime .elapsed \
         RandomState static_mut print! println! eprint! eprintln!",
        "the supervisor only decides: take it in as an event, or hand it out as an action",
    ),
    (
        "src/plan",
        "std::fs std::net std::io std::env std::process std::thread Instant::now SystemTime include_bytes!",
        "the plan makes a value or faults from text: let the caller read the text",
    ),
    (
        "src/export",
        "std::fs std::net std::io std::env std::process std::thread Instant::now SystemTime include_bytes!",
        "an export makes texts from a plan: let the caller write them",
    ),
    ("src", "Instant::now", "take `now` as an argument: only src/reactor/clock.rs reads the clock"),
    ("src", "process::exit process::abort", "return a value: only src/main.rs exits"),
    ("tests", "thread::sleep", "wait for the fact that you want to see, with a deadline"),
];

/// Where something is present that is absent elsewhere.
const PRESENCES: [(&str, &str); 6] = [
    ("src/reactor/clock.rs", "Instant::now"),
    // A command that waits is not the reactor.
    ("src/cli/remote/deadline.rs", "Instant::now"),
    // The guard has no reactor to tell it the time.
    ("src/sys/guard/leftovers.rs", "Instant::now"),
    ("src/main.rs", "process::exit"),
    // The worker hangs on demand.
    ("tests/fixtures/worker/main.rs", "thread::sleep"),
    ("tests/fixtures/worker/serving.rs", "thread::sleep"),
];

/// Text that is compared for a good reason: the file, a part of the line, the reason.
const COMPARED: [(&str, &str, &str); 8] = [
    (
        "src/cli/check.rs",
        r#""/bin/sh -c ""#,
        "the beginning of an argv, left out where it is shown",
    ),
    ("src/cli/generate.rs", r#"".SH ""#, "a request of man(7)"),
    (
        "src/cli/host.rs",
        r#"" (os error""#,
        "std appends the errno to each message: left out where it is shown",
    ),
    (
        "src/cli/remote/top/order.rs",
        r#""error: ""#,
        "what clap begins each message with: left out where it is shown",
    ),
    (
        "src/plan/pm_toml/syntax.rs",
        ".message()",
        "the toml crate has no kinds of errors; tests pin its texts",
    ),
    ("src/plan/pm_toml/syntax.rs", r#"split(", expected")"#, "the same"),
    ("src/sys/cgroup.rs", r#""oom_kill ""#, "a key of the kernel's memory.events"),
    ("src/cli/init.rs", "from(text).to_string()", "JSON that pm has made itself"),
];

const FILE_LINES_MAX: usize = 400;
const COMMENT_COLUMNS_MAX: usize = 120;

#[test]
fn a_file_uses_only_the_floors_below_its_own() {
    uphold("src", uses_lower_floors);
}

#[test]
fn lib_only_declares_modules() {
    uphold("src/lib.rs", |source| {
        let is_declaration =
            |item: &&Item| matches!(item, Item::Mod(module) if module.content.is_none());
        let other = source.syntax.items.iter().find(|item| !is_declaration(item));
        other.map(|_| (1, "lib.rs only declares modules".into())).into_iter().collect()
    });
}

#[test]
fn a_part_of_the_reactor_uses_no_part_above_it() {
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reactor/slots").exists() {
        uphold("src/reactor", uses_lower_parts);
    }
}

#[test]
fn each_floor_does_without_what_is_not_its_task() {
    for (root, absent, advice) in ABSENCES {
        uphold(root, |source| lacks(source, absent, advice));
    }
}

#[test]
fn the_supervisor_uses_std_only() {
    let (_, manifest) =
        include_str!("../../Cargo.toml").split_once("\n[dependencies]\n").expect("dependencies");
    let lines = manifest.lines().take_while(|line| !line.starts_with('['));
    let crates = lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_")));
    let crates = crates.collect::<Vec<_>>().join(" ");
    assert!(crates.contains("nix"), "{crates}");
    uphold("src/supervisor", |source| lacks(source, &crates, "the supervisor uses std only"));
}

#[test]
fn unsafe_is_in_sys_only_with_its_reasons() {
    uphold("src", explains_each_unsafe);
}

#[test]
fn a_match_on_an_enum_of_pm_names_each_variant() {
    let enums = variants::enums(&sources("src"));
    uphold("src", |source| variants::find_wildcards(source, &enums));
}

#[test]
fn no_comparison_with_english_text_decides_anything() {
    uphold("src", |source| {
        let line = |number: usize| source.text.lines().nth(number - 1).expect("a line");
        let is_allowed = |number: usize| {
            let mut compared = COMPARED.iter().filter(|(path, _, _)| *path == source.path);
            compared.any(|(_, part, _)| line(number).contains(part))
        };
        comparisons::find(source).into_iter().filter(|(line, _)| !is_allowed(*line)).collect()
    });
}

#[test]
fn a_file_begins_with_what_it_is() {
    uphold("src", |source| lacks_a_head(&source.text));
    for root in ["tests", "benches"] {
        uphold_of_text(root, lacks_a_head);
    }
}

#[test]
fn a_file_is_short_and_its_comments_are_narrow() {
    for root in ["src", "tests", "benches"] {
        uphold_of_text(root, is_too_long_or_wide);
    }
}

/// A line, from 1, and what is wrong with it.
type Finding = (usize, String);

fn lacks_a_head(text: &str) -> Vec<Finding> {
    let advice = "begin with `//!`: what it is, what it never does, where to look next";
    if text.starts_with("//! ") { Vec::new() } else { vec![(1, advice.into())] }
}

fn is_too_long_or_wide(text: &str) -> Vec<Finding> {
    let is_wide = |line: &str| {
        line.trim_start().starts_with("//") && line.chars().count() > COMMENT_COLUMNS_MAX
    };
    let lines = (1..).zip(text.lines());
    let wide = lines.clone().filter(|(_, line)| is_wide(line));
    let wide =
        wide.map(|(number, _)| (number, format!("over {COMMENT_COLUMNS_MAX} columns of comment")));
    let long = lines.skip(FILE_LINES_MAX).take(1);
    let long =
        long.map(|(number, _)| (number, format!("over {FILE_LINES_MAX} lines: split the file")));
    wide.chain(long).collect()
}

fn uses_lower_floors(source: &Source) -> Vec<Finding> {
    let height =
        |name: &str| FLOORS.iter().find(|(floor, _)| *floor == name).map(|(_, height)| *height);
    let Some(own) = source.module.first() else { return Vec::new() };
    let Some(own_height) = height(own) else { return vec![(1, format!("`{own}` is not a floor"))] };
    let wrong = source.names.iter().filter_map(|(line, name)| {
        let used = source.absolute(name)?.into_iter().next()?;
        match height(&used) {
            _ if used == *own => None,
            Some(height) if height < own_height => None,
            Some(height) => {
                Some((*line, format!("floor {own_height} uses `{used}`, floor {height}")))
            }
            None => Some((*line, format!("`{used}` is not a floor"))),
        }
    });
    wrong.collect()
}

fn uses_lower_parts(source: &Source) -> Vec<Finding> {
    let step = |part: &str| STAIRCASE.iter().position(|parts| parts.contains(&part));
    let own = source.module.get(1).map_or("mod", String::as_str);
    let Some(own_step) = step(own) else {
        return vec![(1, format!("give `{own}` its place in STAIRCASE"))];
    };
    let wrong = source.names.iter().filter_map(|(line, name)| {
        let path = source
            .absolute(name)
            .filter(|path| path.first().is_some_and(|floor| floor == "reactor"))?;
        // What is not a part is an item of `reactor/mod.rs`.
        let used = path.get(1).filter(|part| step(part).is_some()).map_or("mod", String::as_str);
        (step(used)? < own_step)
            .then(|| (*line, format!("`{own}` uses `{used}`, which is above it")))
    });
    wrong.collect()
}

fn lacks(source: &Source, absent: &str, advice: &str) -> Vec<Finding> {
    let is_present = |name: &str| {
        PRESENCES.iter().any(|(path, allowed)| *path == source.path && *allowed == name)
    };
    let absent = absent.split_whitespace().filter(|name| !is_present(name));
    let found = absent.flat_map(|absent| {
        let within = format!("::{absent}::");
        let hits =
            source.names.iter().filter(move |(_, name)| format!("::{name}::").contains(&within));
        hits.map(move |(line, _)| (*line, format!("`{absent}`: {advice}")))
    });
    found.collect()
}

fn explains_each_unsafe(source: &Source) -> Vec<Finding> {
    let lines: Vec<_> = source.text.lines().map(str::trim_start).collect();
    let unsafes: Vec<_> =
        source.names.iter().filter(|(_, name)| name == "unsafe").map(|(line, _)| *line).collect();
    let is_explained = |line: usize| {
        // At most four lines of the same statement may stand between the comment and `unsafe`.
        let above = (1..line).rev().take(5).take_while(|above| !unsafes.contains(above));
        let Some(last) = { above }.find(|above| lines[above - 1].starts_with("//")) else {
            return false;
        };
        let comment = lines[..last].iter().rev().take_while(|line| line.starts_with("//"));
        ["// SAFETY: ", "// WHY: "]
            .iter()
            .all(|part| { comment.clone() }.any(|line| line.starts_with(part)))
    };
    let is_wrong = |line: &&usize| !source.path.starts_with("src/sys/") || !is_explained(**line);
    let advice = "`unsafe` is in src/sys only, below a comment with `// SAFETY: ` and `// WHY: ` (the safe way refused)";
    unsafes.iter().filter(is_wrong).map(|line| (*line, advice.into())).collect()
}

/// Applies a rule to each file of the program in `root`.
fn uphold(root: &str, rule: impl Fn(&Source) -> Vec<Finding>) {
    let sources = sources(root).into_iter();
    fail_with(sources.map(|source| (rule(&source), source.path)).collect());
}

/// The same for a rule that needs the text alone, which unit tests obey too.
fn uphold_of_text(root: &str, rule: impl Fn(&str) -> Vec<Finding>) {
    fail_with(texts(root).into_iter().map(|(path, text)| (rule(&text), path)).collect());
}

/// Fails with everything that was found, if there is something.
fn fail_with(found: Vec<(Vec<Finding>, String)>) {
    let found = found.into_iter().flat_map(|(lines, path)| {
        let line = move |(line, advice)| format!("{path}:{line}: {advice}");
        lines.into_iter().map(line).collect::<Vec<_>>()
    });
    let mut found: Vec<_> = found.collect();
    found.dedup();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
