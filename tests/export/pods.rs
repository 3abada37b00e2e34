//! pm runs what a pod of a whole pool has: the file of the ConfigMap, and the probe.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::export;
use crate::support::pool::Pool;
use crate::support::programs::pm_binary;
use crate::support::waiting::eventually;

const TEXT: &str = "[pool.POOL]
command = [ # both
  'WORKER', 'listen', '{port}', 'stay',
]
ports = [PORT1, PORT2]
after = ['POOL-job']
env_file = 'app.env'
[pool.POOL.env]
MODE = \"it's\"
[pool.POOL-job]
command = 'exit 0'
ready = { exit = true }
restart = 'on-failure'
";

/// The text of the first ConfigMap.
fn config_map(manifests: &str) -> String {
    let (_, text) = manifests.split_once(".pm.toml: |\n").expect("a file");
    let lines = text.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

#[test]
fn pm_keeps_the_pool_of_a_pod_and_answers_its_probe() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.env"), "A=b\n").unwrap();
    let planned = Pool::of_file(folder.path(), "pm.toml", 2, TEXT);
    let there = folder.path().to_str().unwrap();
    let options = ["kubernetes", "--image=app:1", "--pod-per=pool", "--dir", there];
    let exported = |pool: &str| {
        let said = export(folder.path(), &[&options, [pool].as_slice()].concat());
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        said.stdout
    };
    let name = planned.filled_in("POOL");
    let manifests = exported(&name);
    for expected in [
        format!("        - {there}/{name}.pm.toml\n"),
        format!("          subPath: {name}.pm.toml\n"),
        "            - pm\n            - status\n            - --check\n            - -q\n"
            .to_owned(),
    ] {
        assert!(manifests.contains(&expected), "{expected}\n{manifests}");
    }

    // As an emptyDir is.
    let control = folder.path().join("control");
    fs::create_dir(&control).unwrap();
    fs::set_permissions(&control, fs::Permissions::from_mode(0o777)).unwrap();
    let socket = control.join("pm.sock");
    let file = format!("{name}.pm.toml");
    let pool = Pool::of_file(folder.path(), &file, 0, &config_map(&manifests));
    let is_ready = || {
        let mut probe = Command::new(pm_binary());
        let probe = probe.args(["status", "--check", "-q"]).env("PM_SOCKET", &socket);
        probe.output().unwrap().status.success()
    };
    assert!(!is_ready());
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    eventually("the probe succeeds", || is_ready().then_some(()));
    pm.stop();

    // An init container runs to its end.
    let job = format!("{name}-job");
    let file = format!("{job}.pm.toml");
    let pool = Pool::of_file(folder.path(), &file, 0, &config_map(&exported(&job)));
    pool.with("PM_SOCKET", socket.to_str().unwrap()).start().wait_exit(0);
}
