//! Which file pm runs, how it is read, and where it cannot be.

use std::fs;
use std::process::Command;

use crate::{Folder, RIGHT, WRONG};

#[test]
fn the_text_of_a_pipe_decides_what_it_is() {
    let folder = Folder::with(&[("pm.toml", RIGHT), ("Procfile", "web: serve {}\n")]);
    for (file, expected) in [("pm.toml", "web: 2 workers on ports"), ("Procfile", "web: 1 worker")]
    {
        let pipe = folder.0.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = folder.read(file);
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::write(pipe, text).unwrap())
        };
        folder.pm(&["check", "-f", "pipe"]).does().says("pipe is OK").says(expected);
        writer.join().unwrap();
        fs::remove_file(pipe).unwrap();
    }
}

#[test]
fn a_name_or_the_text_decides_what_a_file_is() {
    let dotted = "pool.web.command = 'serve'\n";
    let wrong_procfile = "web: serve\nworker: work\n[ -f x ]\n";
    let wrong_toml = "[pool.web]\ncomand = 'x'\n";
    let folder = Folder::with(&[
        ("P.TOML", RIGHT),
        ("pm.toml.bak", RIGHT),
        ("dotted", dotted),
        ("procs", wrong_procfile),
        ("conf", wrong_toml),
    ]);
    for toml in ["P.TOML", "pm.toml.bak", "dotted"] {
        folder.pm(&["check", "-f", toml]).does().says(&format!("{toml} is OK"));
    }
    let said = folder.pm(&["check", "-f", "procs"]).refuses("procs:3:1");
    assert!(said.stderr.contains("1 fault\nnote: `procs`: it was read as a Procfile because most"));
    let said = folder.pm(&["check", "-f", "conf"]).refuses("did you mean `command`?");
    assert!(said.stderr.contains("note: `conf`: it was read as a pm.toml because it is TOML"));
}

#[test]
fn a_file_that_is_stdin_is_read_as_a_pipe_is_and_its_folder_is_the_current_one() {
    let text = format!("{RIGHT}env_file = 'x.env'\n");
    let folder = Folder::with(&[("text", &text), ("x.env", "A=1\n")]);
    let shell = format!("exec {} check -f /dev/stdin < text", env!("CARGO_BIN_EXE_pm"));
    let mut command = Command::new("sh");
    let output = command.args(["-c", &shell]).current_dir(folder.0.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_dangling_link_is_an_error_and_no_other_file_is_read() {
    let folder = Folder::with(&[("Procfile", "web: true\n")]);
    std::os::unix::fs::symlink("nosuch", folder.0.path().join("pm.toml")).unwrap();
    folder.pm(&["check"]).refuses("`pm.toml`: it is a symlink to `nosuch`, which is not there");
    fs::remove_file(folder.0.path().join("pm.toml")).unwrap();
    std::os::unix::fs::symlink("nosuch", folder.0.path().join(".env")).unwrap();
    folder.pm(&["check"]).refuses("`.env`: it is a symlink to `nosuch`, which is not there");
}

#[test]
fn a_port_of_the_environment_that_is_empty_is_named() {
    let folder = Folder::with(&[("Procfile", "web: true\n")]);
    let mut pm = Command::new(env!("CARGO_BIN_EXE_pm"));
    let output = pm.arg("check").env("PORT", "").current_dir(folder.0.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PORT is empty") && said.contains("remove it, or give 1 to"), "{said}");
}

#[test]
fn a_file_of_another_encoding_is_named() {
    let folder = Folder::with(&[]);
    fs::write(folder.0.path().join("pm.toml"), b"\xff\xfe[\0p\0").unwrap();
    folder.pm(&["check"]).refuses("it looks like UTF-16; save it as UTF-8");
}

#[test]
fn pm_toml_wins_over_a_procfile_and_a_procfile_wins_over_the_lab() {
    let all = [("pm.toml", RIGHT), ("Procfile", "a: b\n"), ("web.ts", "")];
    Folder::with(&all).pm(&["check"]).does().says("pm.toml is OK");
    Folder::with(&all[1..]).pm(&["check"]).does().says("Procfile is OK");
    Folder::with(&all[2..]).pm(&["check"]).does().says("the lab is OK: 3 workers");
    let said = Folder::with(&[]).pm(&["check"]);
    said.refuses("no `pm.toml`, no `Procfile` and no `web.ts` here; `pm init` writes a `pm.toml`");
}

#[test]
fn nothing_runs_from_a_file_with_a_fault() {
    let folder = Folder::with(&[("pm.toml", WRONG), ("Procfile", "web: true\n")]);
    let said = folder.pm(&[]).refuses("did you mean `{port}`?");
    assert!(said.stderr.contains("1 fault\n") && !said.stderr.contains('\x1b'), "{}", said.stderr);
    assert!(folder.pm(&["--color", "always"]).stderr.contains('\x1b'));
    folder.pm(&["-m", "web=1"]).refuses("`-m` is only for a Procfile, and `pm.toml` is not one");
    folder.pm(&["--port", "80"]).refuses("`--port` is only for a Procfile");
    folder.pm(&["-f", "Procfile", "-m", "wbe=1"]).refuses("did you mean `web`?");
    folder.pm(&["run", "--port", "80", "--", "x"]).refuses("did you mean `--ports 80`?");
}
