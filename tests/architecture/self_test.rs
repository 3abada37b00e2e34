//! Each rule, on a text that breaks it and on one that does not.

use crate::source::Source;
use crate::{
    Finding, comparisons, explains_each_unsafe, is_too_long_or_wide, lacks, uses_lower_floors,
    uses_lower_parts, variants,
};

#[test]
fn the_rules_can_be_broken() {
    let lines = |found: Vec<Finding>| {
        let mut lines: Vec<_> = found.into_iter().map(|(line, _)| line).collect();
        lines.dedup();
        lines
    };
    let floors = |path, text| lines(uses_lower_floors(&Source::of(path, text)));
    assert_eq!(floors("src/plan/mod.rs", "//! a\nuse crate::sys::Children;"), [2]);
    assert_eq!(floors("src/plan/text/ports.rs", "use super::super::super::cli;"), [1]);
    assert_eq!(floors("src/sys/mod.rs", "fn f() {\n    vec![crate::cli::pm()];\n}"), [2]);
    assert_eq!(
        floors("src/sys/mod.rs", "use crate::{\n    plan::Plan,\n    cli::{self, run},\n};"),
        [3]
    );
    assert_eq!(floors("src/sys/mod.rs", "use crate::wire::A;\nuse crate::nowhere;"), [1, 2]);
    assert_eq!(floors("src/helper.rs", "fn f() {}"), [1]);
    assert_eq!(
        floors("src/sys/a.rs", "use super::b;\nuse crate::{sys::c, plan::{cli as d, Plan}};"),
        []
    );
    assert_eq!(floors("src/sys/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}"), []);
    assert_eq!(floors("src/main.rs", "use pm::cli;\nuse pm::supervisor::Outcome;"), []);

    let parts = |path, text| lines(uses_lower_parts(&Source::of(path, text)));
    assert_eq!(
        parts("src/reactor/slots/mod.rs", "use super::Reactor;\nuse super::*;\nmod a;\nuse a::B;"),
        [1, 2]
    );
    assert_eq!(
        parts(
            "src/reactor/health/http.rs",
            "use super::super::report::A;\nuse crate::reactor::slots;"
        ),
        [2]
    );
    assert_eq!(
        parts(
            "src/reactor/mod.rs",
            "mod reload;\nmod slots;\nuse slots::Slots;\nfn f() { reload::f() }"
        ),
        [4]
    );
    assert_eq!(
        parts("src/reactor/reload.rs", "pub(super) fn f() { super::f(); super::health::g() }"),
        []
    );
    assert_eq!(parts("src/reactor/other.rs", ""), [1]);

    let absent = |text, names| lines(lacks(&Source::of("src/plan/a.rs", text), names, ""));
    assert_eq!(absent("fn f() { std::time::Instant::now(); }", "Instant::now"), [1]);
    assert_eq!(absent("fn f() { MyInstant::now(); Instant::nowhere(); }", "Instant::now"), []);
    assert_eq!(absent("use std::{\n    fmt::{self, fs},\n    fs,\n};", "std::fs"), [3]);
    assert_eq!(
        absent("fn f() {\n    a.elapsed();\n    println!();\n}", ".elapsed println!"),
        [2, 3]
    );
    assert_eq!(absent("static mut A: u8 = 1;", "static_mut"), [1]);

    let unsafes = |path, text: &str| lines(explains_each_unsafe(&Source::of(path, text)));
    let both = "// SAFETY: a\n// and b.\n// WHY: c\n";
    assert_eq!(
        unsafes("src/sys/a.rs", &format!("{both}static A: u8 =\n    unsafe {{ b() }};")),
        []
    );
    assert_eq!(unsafes("src/sys/a.rs", "// SAFETY: a\nunsafe fn a() {}"), [2]);
    assert_eq!(
        unsafes("src/sys/a.rs", &format!("{both}unsafe fn a() {{}}\nunsafe fn b() {{}}")),
        [5]
    );
    assert_eq!(unsafes("src/cli/a.rs", &format!("{both}unsafe fn a() {{}}")), [4]);

    let matched = |text: &str| {
        let text = format!("fn f() {{ match a {{\n{text}\n}} }}");
        lines(variants::find_wildcards(
            &Source::of("src/cli/a.rs", &text),
            &["Phase".to_owned()].into(),
        ))
    };
    assert_eq!(matched("Phase::Idle => 1,\n_ => 2,"), [3]);
    assert_eq!(matched("(Phase::Idle, 1) => 1,\n_ if b => 2,"), [3]);
    assert_eq!(matched("Errno::EIO => 1,\n_ => 2,"), []);

    let sizes = |text: &str| lines(is_too_long_or_wide(text));
    assert_eq!(sizes(&"\n".repeat(400)), []);
    assert_eq!(sizes(&"\n".repeat(402)), [401]);
    assert_eq!(sizes(&format!("mod a;\n// {0}\n// a{0}", "é".repeat(117))), [3]);

    let compared = |text: &str| {
        let text = format!("const A: &str = \"a word\";\nfn f() {{ {text} }}");
        lines(comparisons::find(&Source::of("src/cli/a.rs", &text)))
    };
    for text in [
        "a.contains(\"no such\");",
        "a.b() == \"no such\";",
        "[\"no such\", \"x\"].contains(&a);",
        "a.starts_with(A);",
        "match a { \"no such\" => 1 }",
        "matches!(a, \"no such\")",
        "assert!(error.to_string().trim().ends_with(b));",
    ] {
        assert_eq!(compared(text), [2], "{text}");
    }
    assert_eq!(
        compared(
            "a.split_once(\": \"); println!(\"no such {a}\"); a.push_str(\"no such\"); a == \"x\";"
        ),
        []
    );
}
