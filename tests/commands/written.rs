//! What pm writes for people and programs: the template, the schema, the manual and the help.

use std::process::Command;

use crate::{Folder, RIGHT, files, tool};

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::with(&[("pm.toml", RIGHT)]);
    let said = folder.pm(&["man", "--out", "/proc/x"]);
    assert_eq!(said.status, Some(3));
    let expected = "pm: cannot create the folder `/proc/x/man1`: no such file or directory\n";
    assert_eq!(said.stderr, expected);
    let shell = format!("{} check >/dev/full", env!("CARGO_BIN_EXE_pm"));
    let mut command = Command::new("sh");
    let output = command.args(["-c", &shell]).current_dir(folder.0.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "pm: cannot write to stdout: no space left on device\n");
}

#[test]
fn init_writes_a_file_that_check_accepts_and_overwrites_nothing() {
    for files in [&[][..], &[("web.ts", "")], &[("Procfile", "web: serve {}\n"), (".env", "A=1\n")]]
    {
        let folder = Folder::with(files);
        folder.pm(&["init"]).does().says("wrote `pm.toml`");
        folder.pm(&["check"]).does().says("pm.toml is OK");
        let written = folder.read("pm.toml");
        folder.pm(&["init"]).refuses("`pm.toml` is here already and stays as it is");
        assert_eq!(folder.read("pm.toml"), written);
    }
    let folder = Folder::with(&[("Procfile", "web serve\n")]);
    folder.pm(&["init"]).refuses("did you mean `web: serve`?");
    assert!(!folder.0.path().join("pm.toml").exists());
}

#[test]
fn schema_completions_and_manual_are_complete() {
    let folder = Folder::with(&[]);
    let schema = folder.pm(&["schema"]).does();
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["$defs"]["PoolTable"]["properties"]["command"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        folder.pm(&["completions", shell]).does().says("formation");
    }
    let man =
        folder.pm(&["man"]).does().says(".SH SIGNALS").says(".SH \"EXIT STATUS\"").says("{n}");
    assert!(!man.stdout.contains('\x1b'));
    folder.pm(&["man", "run"]).does().says(".TH pm-run 1").says("give\\-up\\-after");
    folder.pm(&["man", "status"]).does().says("pm ps").says(".SH OPTIONS").says("check");
    folder.pm(&["man", "pm.toml"]).does().says(".TH pm.toml 5").says("max_restarts");
    folder.pm(&["man", "nothing"]).refuses("[possible values: pm, run, exec, status");
}

#[test]
fn the_pm_toml_of_the_readme_and_of_the_manual_is_right() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (readme, _) = rest.split_once("```").unwrap();
    let manual = include_str!("../../src/cli/man/example.toml");
    for text in [readme, manual] {
        Folder::with(&[("pm.toml", text), (".env", "")]).pm(&["check"]).does().says("4 workers");
    }
}

#[test]
fn pm_help_is_what_help_options_print() {
    let folder = Folder::with(&[]);
    assert_eq!(folder.pm(&["help"]).does().stdout, folder.pm(&["--help"]).does().stdout);
    assert_eq!(folder.pm(&["help", "run"]).stdout, folder.pm(&["run", "--help"]).stdout);
    assert_eq!(folder.pm(&["help", "--help"]).does().stdout, folder.pm(&["--help"]).stdout);
    folder.pm(&["help", "rnu"]).refuses("rnu");
}

#[test]
fn man_renders_each_page_without_a_warning() {
    let folder = Folder::with(&[]);
    folder.pm(&["man", "--out", "man"]).does();
    let pages = files(&folder.0.path().join("man"));
    let of_top = usize::from(cfg!(feature = "top"));
    assert_eq!(pages.len(), 26 + of_top, "{pages:?}");
    for page in pages {
        let page = folder.0.path().join("man").join(page);
        if let Some(found) = tool(Command::new("groff").args(["-man", "-ww", "-Tutf8"]).arg(&page))
        {
            assert_eq!(found.stderr, "", "{}", page.display());
        }
        if let Some(found) = tool(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page)) {
            // There is no date, so that the same pm makes the same page.
            let warnings = found.stdout.lines().filter(|line| !line.contains("missing date"));
            assert_eq!(warnings.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }
}
