//! `pm export`: a plan with every key, as files of each engine. What is printed is compared with `snapshots/`, and the
//! engines' own tools read the files.
//!
//! [`command`] is about the command itself: files, pools, refusals; [`tools`] starts the tools; in [`engines`] systemd
//! runs what is exported, in [`pods`] pm. [`hcl`] reads the jobs of Nomad back, [`nomad`] is about what Nomad
//! takes; [`plans`] has plans that are not made for this test.

mod command;
mod engines;
mod hcl;
mod kubernetes;
mod nomad;
mod plans;
mod pods;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pm::export::coverage::{self, Coverage};
use pm::export::{Engine, PodPer};
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
    options_of(engine, "every_key.toml")
}

/// The options with which a file is exported.
fn options_of<'a>(engine: &'a str, file: &'a str) -> Vec<&'a str> {
    let image = ["--image", "registry.test/app:1"];
    let of_engine: &[&str] = match engine {
        "procfile" => &[],
        "systemd" => &["--name", "app"],
        _ => &[&["--name", "app"], image.as_slice()].concat(),
    };
    [&[engine, "-f", file, "--dir", "/srv/app"], of_engine].concat()
}

/// A pod for each pool.
const WHOLE_POOLS: [&str; 2] = ["--pod-per", "pool"];

/// What an engine makes of the plan, by the name of its snapshot, with the options beside those of the engine.
const MADE: [(&str, Engine, &[&str]); 8] = [
    ("systemd", Engine::Systemd, &[]),
    ("compose", Engine::Compose, &[]),
    ("kubernetes", Engine::Kubernetes, &[]),
    ("kubernetes_pool", Engine::Kubernetes, &WHOLE_POOLS),
    (
        "kubernetes_autoscale",
        Engine::Kubernetes,
        &["--cpu", "250m", "--autoscale", "3-30", "web", "named"],
    ),
    ("procfile", Engine::Procfile, &[]),
    ("nomad", Engine::Nomad, &["--format", "json"]),
    ("nomad_hcl", Engine::Nomad, &[]),
];

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
    for (name, engine, more) in MADE {
        let options = [&options(engine.written()), more].concat();
        let Said { status, stdout, stderr } = export(&folder(), &options);
        assert_eq!(status, Some(0), "{stderr}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, format!("{stdout}\n======== stderr\n\n{stderr}"));
        });
    }
    let engines = MADE.map(|(_, engine, _)| engine);
    assert!(Engine::ALL.iter().all(|engine| engines.contains(engine)));
}

#[test]
fn each_key_that_is_not_carried_is_named_with_its_line() {
    // Their values lose nothing: they are the engine's own.
    let is_own = |key: &str, pod_per| match key {
        "nice" => pod_per == PodPer::Pool,
        "output.prefix" | "restart" | "ports" | "stop.to" | "alive.every" | "after" | "user"
        | "group" => true,
        _ => false,
    };
    let (text, dir) = (EVERY_KEY.to_owned(), "/srv/app".into());
    let given = given::of_pm_toml(&Document { name: "every_key.toml".into(), text, dir });
    let columns = Engine::ALL.map(|engine| (engine, PodPer::Slot, 30));
    for (engine, pod_per, least) in
        columns.into_iter().chain([(Engine::Kubernetes, PodPer::Pool, 15)])
    {
        let more: &[&str] = if pod_per == PodPer::Pool { &WHOLE_POOLS } else { &[] };
        let said = export(&folder(), &[&options(engine.written()), more].concat()).stderr;
        let mut named = 0;
        for key in &given {
            let (Coverage::InPart(words) | Coverage::Not(words)) =
                coverage::of(engine, pod_per, &key.key).unwrap()
            else {
                continue;
            };
            let start = format!("every_key.toml:{}: ", key.line);
            // What is said to a pool has its name.
            let pool = key.pool.as_deref().unwrap_or_default();
            let words = match engine {
                Engine::Kubernetes => words.replace("web-env-file", &format!("{pool}-env-file")),
                _ => (*words).to_owned(),
            };
            let is_named =
                said.lines().any(|note| note.starts_with(&start) && note.ends_with(&words));
            assert!(is_named || is_own(&key.key, pod_per), "{}: {key:?}\n{said}", engine.written());
            named += usize::from(is_named);
        }
        assert!(named > least, "{said}");
    }
}
