//! `pm export`: a plan with every key, as files of each engine. What is printed is compared with `snapshots/`, and the
//! engines' own tools read the files.
//!
//! [`command`] is about the command itself: files, pools, refusals; [`tools`] starts the tools; in [`engines`] systemd
//! runs what is exported.

mod command;
mod engines;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pm::export::Engine;
use pm::export::coverage::{self, Coverage};
use pm::plan::given;
use pm::plan::host::Document;

/// A plan that has every key.
const EVERY_KEY: &str = include_str!("every_key.toml");

/// What pm has printed, and its exit status.
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The folder of this test, where its files are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export")
}

/// Runs `pm export` in a folder.
fn export(folder: &Path, arguments: &[&str]) -> Said {
    // timeout(1) stops a pm that goes on where it should have ended.
    let mut pm = Command::new("timeout");
    let pm =
        pm.args(["20", env!("CARGO_BIN_EXE_pm"), "export"]).args(arguments).current_dir(folder);
    let Output { status, stdout, stderr } = pm.env_remove("PORT").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// The options with which the plan of every key is exported.
fn options(engine: &str) -> Vec<&str> {
    let image = ["--image", "registry.test/app:1"];
    let of_engine: &[&str] = match engine {
        "procfile" => &[],
        "systemd" => &["--name", "app"],
        _ => &[&["--name", "app"], image.as_slice()].concat(),
    };
    [&[engine, "-f", "every_key.toml", "--dir", "/srv/app"], of_engine].concat()
}

#[test]
fn the_plan_has_every_key() {
    let (text, dir) = (EVERY_KEY.to_owned(), "/srv/app".into());
    let document = Document { name: "every_key.toml".into(), text, dir };
    let given: Vec<_> = given::of_pm_toml(&document).into_iter().map(|key| key.key).collect();
    let missing: Vec<_> =
        coverage::keys().filter(|key| !given.iter().any(|given| given == key)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn what_is_exported_is_what_it_was() {
    for engine in Engine::ALL {
        let Said { status, stdout, stderr } = export(&folder(), &options(engine.written()));
        assert_eq!(status, Some(0), "{stderr}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(engine.written(), format!("{stdout}\n======== stderr\n\n{stderr}"));
        });
    }
}

#[test]
fn each_key_that_is_not_carried_is_named_with_its_line() {
    let (text, dir) = (EVERY_KEY.to_owned(), "/srv/app".into());
    let given = given::of_pm_toml(&Document { name: "every_key.toml".into(), text, dir });
    for engine in Engine::ALL {
        let said = export(&folder(), &options(engine.written())).stderr;
        let mut named = 0;
        for key in &given {
            let (Coverage::InPart(words) | Coverage::Not(words)) =
                coverage::of(engine, &key.key).unwrap()
            else {
                continue;
            };
            let start = format!("every_key.toml:{}: ", key.line);
            let is_named =
                said.lines().any(|note| note.starts_with(&start) && note.ends_with(words));
            // Their values lose nothing: they are the engine's own.
            let is_own = [
                "output.prefix",
                "restart",
                "ports",
                "stop.to",
                "alive.every",
                "after",
                "user",
                "group",
            ];
            assert!(
                is_named || is_own.contains(&key.key.as_str()),
                "{}: {key:?}\n{said}",
                engine.written()
            );
            named += usize::from(is_named);
        }
        assert!(named > 30, "{said}");
    }
}
