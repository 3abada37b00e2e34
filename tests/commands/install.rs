//! `make install` and `make uninstall`.

use std::path::Path;
use std::process::{Command, Output};

use crate::files;

#[test]
fn make_install_installs_what_make_uninstall_removes() {
    let root = tempfile::tempdir().unwrap();
    // Nothing is at the places that a shell would split this into.
    let destination = root.path().join("a package");
    make(&["install", "PREFIX=/usr"], &destination);
    let expected = [
        "usr/bin/pm",
        "usr/share/bash-completion/completions/pm",
        "usr/share/fish/vendor_completions.d/pm.fish",
        "usr/share/man/man1/pm-attach.1",
        "usr/share/man/man1/pm-chaos.1",
        "usr/share/man/man1/pm-check.1",
        "usr/share/man/man1/pm-completions.1",
        "usr/share/man/man1/pm-events.1",
        "usr/share/man/man1/pm-exec.1",
        "usr/share/man/man1/pm-export.1",
        "usr/share/man/man1/pm-init.1",
        "usr/share/man/man1/pm-kill.1",
        "usr/share/man/man1/pm-logs.1",
        "usr/share/man/man1/pm-ls.1",
        "usr/share/man/man1/pm-man.1",
        "usr/share/man/man1/pm-open.1",
        "usr/share/man/man1/pm-reload.1",
        "usr/share/man/man1/pm-restart.1",
        "usr/share/man/man1/pm-run.1",
        "usr/share/man/man1/pm-scale.1",
        "usr/share/man/man1/pm-schema.1",
        "usr/share/man/man1/pm-shutdown.1",
        "usr/share/man/man1/pm-start.1",
        "usr/share/man/man1/pm-status.1",
        "usr/share/man/man1/pm-stop.1",
        #[cfg(feature = "top")]
        "usr/share/man/man1/pm-top.1",
        "usr/share/man/man1/pm-wait.1",
        "usr/share/man/man1/pm-why.1",
        "usr/share/man/man1/pm.1",
        "usr/share/man/man5/pm.toml.5",
        "usr/share/zsh/site-functions/_pm",
    ];
    assert_eq!(files(&destination), expected);
    let pm = Command::new(destination.join("usr/bin/pm")).arg("--version").output().unwrap();
    assert!(pm.stdout.starts_with(b"pm "));
    make(&["uninstall", "PREFIX=/usr"], &destination);
    assert_eq!(files(&destination), Vec::<String>::new());
}

/// Runs a target of the Makefile for this pm.
#[track_caller]
fn make(arguments: &[&str], destination: &Path) {
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    make.arg(format!("DESTDIR={}", destination.display()));
    make.arg(format!("PM={}", env!("CARGO_BIN_EXE_pm")));
    // Those of a `make test` that runs this.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL");
    let Output { status, stdout, stderr } = make.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(status.success(), "{}{}", text(stdout), text(stderr));
}
