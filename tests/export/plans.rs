//! Plans that were not made for these tests: the lab's, the examples, and the Procfiles of projects that many know
//! (`procfiles/`, each with the name of its source).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pm::export::Engine;

use crate::support::programs::project;
use crate::{MADE, Said, export, options_of, tools};

/// The name of each plan, and its file.
pub fn all() -> Vec<(String, PathBuf)> {
    let examples = ["deno", "node", "python", "ready"]
        .map(|name| (name.to_owned(), format!("examples/{name}/pm.toml")));
    let procfiles = ["chatwoot", "forem", "mastodon", "redash", "saleor"]
        .map(|name| (name.to_owned(), format!("tests/export/procfiles/{name}.Procfile")));
    let ours = [("lab", "src/plan/lab.toml"), ("procfile_example", "examples/procfile/Procfile")]
        .map(|(name, path)| (name.to_owned(), path.to_owned()));
    let all = ours.into_iter().chain(examples).chain(procfiles);
    all.map(|(name, path)| (name, project().join(path))).collect()
}

fn exported(path: &Path, engine: Engine, more: &[&str]) -> Said {
    let folder = path.parent().unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    export(folder, &[&options_of(engine.written(), file), more].concat())
}

#[test]
fn each_plan_is_exported_as_it_was() {
    for (name, path) in all() {
        let mut text = String::new();
        // The test of `hcl` compares the two forms of a job.
        let columns =
            MADE.into_iter().filter(|(name, ..)| !["nomad", "kubernetes_autoscale"].contains(name));
        for (column, engine, more) in columns {
            let Said { status, stdout, stderr } = exported(&path, engine, more);
            assert_eq!(status, Some(0), "{stderr}");
            write!(text, "======== {column}\n\n{stdout}\n-------- stderr\n\n{stderr}\n").unwrap();
        }
        insta::with_settings!({
            prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "snapshots/plans",
        }, { insta::assert_snapshot!(name, text); });
    }
}

#[test]
fn the_manifests_of_each_plan_are_of_the_schemas_of_kubernetes() {
    if tools::of_python("kubernetes-validate").is_none() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, path) in all() {
        for (column, engine, more) in MADE.into_iter().filter(|(.., more)| more.len() < 3) {
            if engine == Engine::Kubernetes {
                let file = out.path().join(format!("{name}-{column}.yaml"));
                fs::write(&file, exported(&path, engine, more).stdout).unwrap();
                files.push(file);
            }
        }
    }
    assert!(files.len() > 20, "{files:?}");
    for version in tools::KUBERNETES {
        let mut validate = tools::of_python("kubernetes-validate").expect("as before");
        let validate = validate.args(["--strict", "--quiet", "-k", version]).args(&files);
        assert_eq!(tools::said_by(validate), (true, String::new()), "{version}");
    }
}
