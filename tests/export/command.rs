//! The command: where files go, which pools are in them, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pm::export::Engine;
use tempfile::TempDir;

use crate::{Said, export};

const TWO: &str = "[pool.web]\ncommand = ['serve', '{port}']\nports = '8080-8081'\nafter = ['db']\n\
                   [pool.db]\ncommand = ['db']\npty = true\n";

fn with(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pm.toml"), text).unwrap();
    folder
}

#[test]
fn files_are_written_once_and_one_that_differs_is_left_alone() {
    let folder = with(TWO);
    let write = || export(folder.path(), &["systemd", "--out", "units", "--name", "app"]);
    let Said { status, stdout, .. } = write();
    assert_eq!((status, stdout.as_str()), (Some(0), ""));
    let read = |name: &str| fs::read_to_string(folder.path().join("units").join(name)).unwrap();
    assert!(read("web@.service").contains("ExecStart=serve %i\n"));
    assert!(read("app.target").contains("Wants=web@8081.service\n"));
    assert_eq!(write().status, Some(0), "the same again");
    fs::write(folder.path().join("units/db@.service"), "mine").unwrap();
    fs::remove_file(folder.path().join("units/app.target")).unwrap();
    let refused = write();
    assert_eq!(refused.status, Some(2));
    let expected = "`units/db@.service` is here already, with another text, and stays as it is; nothing is written";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert_eq!(read("db@.service"), "mine");
    assert!(!folder.path().join("units/app.target").exists());
}

#[test]
fn a_key_that_is_not_carried_is_named_and_an_error_if_that_is_wished() {
    let folder = with(TWO);
    let note = "pm.toml:7: pool db: pty: not carried over: a unit has no terminal";
    let said = export(folder.path(), &["systemd"]);
    assert_eq!(said.status, Some(0));
    assert!(said.stderr.contains(note), "{}", said.stderr);
    let strict = export(folder.path(), &["systemd", "--strict", "--out", "units"]);
    assert_eq!((strict.status, strict.stdout.as_str()), (Some(1), ""));
    assert!(strict.stderr.contains(note), "{}", strict.stderr);
    assert!(!folder.path().join("units").exists());
    let whole =
        with("[pool.db]\ncommand = ['db']\npty = false\nstdin = 'null'\nrestart = 'always'\n");
    let strict = export(whole.path(), &["systemd", "--strict"]);
    assert_eq!((strict.status, strict.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_pools_that_are_named_are_exported() {
    let folder = with(TWO);
    let said = export(folder.path(), &["systemd", "web"]);
    assert!(
        said.stdout.contains("web@8080.service") && !said.stdout.contains("db@"),
        "{}",
        said.stdout
    );
    let note = "pm.toml:4: pool web: after: `db` is not exported: name it too\n";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    let refused = export(folder.path(), &["systemd", "wbe"]);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("there is no pool `wbe`; did you mean `web`?"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_procfile_is_exported_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Procfile"), "web: serve -p $PORT\njob: work\n").unwrap();
    fs::write(folder.path().join(".env"), "A=secret\n").unwrap();
    let said = export(folder.path(), &["systemd"]);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("ExecStart=/bin/sh -c \"serve -p $$PORT\"\n"), "{}", said.stdout);
    assert!(said.stdout.contains("Wants=job@5100.service\n"), "{}", said.stdout);
    assert!(said.stdout.contains("/.env\n") && !said.stdout.contains("secret"), "{}", said.stdout);
    assert!(said.stderr.contains("Procfile:2: pool job: env_file: in part: "), "{}", said.stderr);
}

#[test]
fn a_fault_of_the_file_is_shown_as_ever() {
    let said = export(with("[pool.web]\ncommand = 'x'\nprots = 1\n").path(), &["systemd"]);
    assert_eq!((said.status, said.stdout.as_str()), (Some(2), ""));
    assert!(said.stderr.contains("did you mean `ports`?"), "{}", said.stderr);
}

#[test]
fn an_engine_of_containers_needs_an_image() {
    let folder = with(TWO);
    let refused = export(folder.path(), &["compose"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    let expected = "`pm export compose` needs the image of its containers: `--image IMAGE`";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    let usage = "\nUsage: pm export [OPTIONS] <ENGINE> [POOL]...\n";
    assert!(refused.stderr.contains(usage), "{}", refused.stderr);
    let said =
        export(folder.path(), &["compose", "--image", "app:1", "--with-pm", "--dir", "/app"]);
    assert!(
        said.stdout.contains("- pm\n    - run\n    - --init\n    - --\n    - serve\n"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("working_dir: /app\n"), "{}", said.stdout);
}

#[test]
fn values_of_files_are_written_only_if_that_is_wished() {
    let folder = with("[pool.web]\ncommand = ['serve']\nenv_file = 'app.env'\n");
    fs::write(folder.path().join("app.env"), "TOKEN=hidden\n").unwrap();
    for engine in Engine::ALL {
        let image: &[&str] = if engine.needs_image() { &["--image", "app:1"] } else { &[] };
        let said = export(folder.path(), &[&[engine.written()], image].concat());
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        assert!(!format!("{}{}", said.stdout, said.stderr).contains("hidden"), "{}", said.stdout);
    }
    for engine in ["kubernetes", "nomad"] {
        let options = [engine, "--image", "app:1", "--name", "app", "--secrets", "--strict"];
        let said = export(folder.path(), &options);
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""));
        assert!(said.stdout.contains("hidden"), "{}", said.stdout);
    }
    let out =
        export(folder.path(), &["kubernetes", "--image", "app:1", "--secrets", "--out", "out"]);
    assert_eq!(out.status, Some(0), "{}", out.stderr);
    let mode = fs::metadata(folder.path().join("out/web.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "for nobody else");
}

#[test]
fn names_that_kubernetes_does_not_take_are_changed_and_said() {
    let folder = with("[pool.Web_A]\ncommand = ['a']\n[pool.web-a]\ncommand = ['b']\n");
    let said = export(folder.path(), &["kubernetes", "--image", "app:1", "--out", "out"]);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let expected = "pm.toml:2: pool Web_A: command: in part: its objects are called `web-a`, a name that Kubernetes takes\n";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    assert!(
        said.stderr.contains("pool web-a: command: in part: its objects are called `web-a-2`"),
        "{}",
        said.stderr
    );
    assert!(
        folder.path().join("out/web-a.yaml").exists()
            && folder.path().join("out/web-a-2.yaml").exists()
    );
}

#[test]
fn an_option_that_an_engine_has_no_use_for_is_refused() {
    let folder = with(TWO);
    for (engine, option) in [
        ("systemd", "--image=x"),
        ("systemd", "--with-pm"),
        ("systemd", "--secrets"),
        ("procfile", "--hardened"),
        ("procfile", "--name=x"),
        ("compose", "--pod-per=pool"),
        ("nomad", "--cpu=1"),
        ("systemd", "--format=json"),
    ] {
        let image: &[&str] =
            if ["compose", "nomad"].contains(&engine) { &["--image=app:1"] } else { &[] };
        let refused = export(folder.path(), &[&[engine, option], image].concat());
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        let expected = format!("`pm export {engine}` has no use for `{name}`; leave it out");
        assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    }
}

#[test]
fn a_worker_has_no_name_that_another_pool_has() {
    let text = "[pool.web]\ncommand = ['a']\nports = [1, 2]\n[pool.web-1]\ncommand = ['b']\n";
    let folder = with(text);
    let said = export(folder.path(), &["procfile"]).stdout;
    for line in ["\nweb--1: export PORT=1 ", "\nweb-2: export PORT=2 ", "\nweb-1: b\n"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn an_autoscaler_needs_to_know_the_cpu_and_is_for_workers_that_are_alike() {
    let text = format!("{TWO}[pool.named]\ncommand = ['named', '{{n}}']\nworkers = 2\n");
    let folder = with(&text);
    let scaled = |more: &[&str]| {
        let options = ["kubernetes", "--image=app:1", "--autoscale=3-30"];
        export(folder.path(), &[&options, more].concat())
    };
    let refused = scaled(&[]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("--cpu <CPU>"), "{}", refused.stderr);
    let said = scaled(&["--cpu=500m", "web"]).stdout;
    for expected in [
        "  maxReplicas: 30\n",
        "  minReplicas: 3\n",
        "    kind: Deployment\n    name: web\n",
        "            cpu: 500m\n",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    // It would set the number back each time that the file is applied.
    assert!(!said.contains("  replicas:"), "{said}");
    for pod_per in ["--pod-per=slot", "--pod-per=pool"] {
        let said = scaled(&["--cpu=500m", "named", pod_per]);
        assert!(!said.stdout.contains("Autoscaler\n"), "{}", said.stdout);
        let note = "pm.toml:9: pool named: command: in part: its workers ask for their number, ";
        assert!(said.stderr.contains(note), "{}", said.stderr);
    }
    for wrong in ["--autoscale=30-3", "--autoscale=3", "--cpu=0", "--cpu=0.5"] {
        let refused = export(folder.path(), &["kubernetes", "--image=app:1", wrong]);
        assert_eq!(refused.status, Some(2), "{wrong}");
        assert!(refused.stderr.contains("write it like `"), "{}", refused.stderr);
    }
}

#[test]
fn a_pod_of_a_whole_pool_has_pm_anyway() {
    let folder = with(TWO);
    let options = ["kubernetes", "--image=app:1", "--pod-per=pool", "--with-pm"];
    let refused = export(folder.path(), &options);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    let expected = "with `--pod-per pool` pm is in each pod anyway; leave `--with-pm` out";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[test]
fn a_job_is_not_tried_again_when_pm_has_tried_in_its_pod() {
    for (backoff, limit, restart) in [
        ("", "2147483647", "OnFailure"),
        ("backoff = { give_up_after = 3 }", "0", "Never"),
        ("max_restarts = { count = 3, within = '1m' }", "0", "Never"),
    ] {
        let text = format!(
            "[pool.job]\ncommand = ['x']\nworkers = 2\nrestart = 'on-failure'\n{backoff}\n\
             ready = {{ exit = true, within = '10m' }}\n"
        );
        let folder = with(&text);
        let job = |pod_per: &str| {
            export(folder.path(), &["kubernetes", "--image=app:1", "--pod-per", pod_per]).stdout
        };
        let said = job("pool");
        // That is for all tries together, and pm gives each of them that long.
        let limit_of_all = "activeDeadlineSeconds: 600\n";
        assert!(!said.contains(limit_of_all) && job("slot").contains(limit_of_all), "{said}");
        for expected in [
            format!("  backoffLimit: {limit}\n"),
            format!("      restartPolicy: {restart}\n"),
            "  completions: 1\n".to_owned(),
        ] {
            assert!(said.contains(&expected), "{expected}\n{said}");
        }
    }
}

#[test]
fn pm_in_the_pod_of_a_pool_carries_what_a_pod_of_one_worker_loses() {
    let folder = with(
        "[pool.web]\ncommand = ['serve']\nworkers = 3\nready = { line = 'up' }\nbackoff = { first = '1s' }\n\
         stop = { to = 'group', signal = 'INT' }\numask = '027'\nlimits = { open_files = 4096 }\n",
    );
    let strict = |pod_per: &str| {
        export(folder.path(), &["kubernetes", "--image=app:1", "--strict", "--pod-per", pod_per])
    };
    let lost = strict("slot");
    assert_eq!((lost.status, lost.stderr.lines().count()), (Some(1), 6), "{}", lost.stderr);
    let carried = strict("pool");
    assert_eq!((carried.status, carried.stderr.as_str()), (Some(0), ""));
}
