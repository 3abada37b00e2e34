//! What Kubernetes refuses, or would not do, in spite of a manifest that its schemas take.

use std::fs;

use crate::export;

/// What a plan becomes, and what is said of it.
fn exported(text: &str, options: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pm.toml"), text).unwrap();
    let said = export(folder.path(), &[&["kubernetes", "--image=a"], options].concat());
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    (said.stdout, said.stderr)
}

#[test]
fn an_init_container_has_no_hook_before_its_end() {
    let (manifests, told) = exported(
        "[pool.job]\ncommand = ['j']\nready = { exit = true }\nrestart = 'on-failure'\nstop = { signal = 'INT' }\n\
         [pool.web]\ncommand = ['w']\nafter = ['job']\n",
        &[],
    );
    assert!(manifests.contains("initContainers:"), "{manifests}");
    assert!(!manifests.contains("lifecycle"), "{manifests}");
    let of_signal: Vec<_> = told.lines().filter(|line| line.contains("stop.signal")).collect();
    let [line] = of_signal[..] else { panic!("{told}") };
    assert!(line.contains("not carried over: an init container has no hook"), "{line}");
}

#[test]
fn a_pool_that_is_not_always_restarted_has_its_probes_and_its_service() {
    let (manifests, _) = exported(
        "[pool.web]\ncommand = ['w']\nports = 8080\nrestart = 'on-failure'\n\
         ready = { tcp = true }\nalive = { exec = ['a'], failures = 9 }\n",
        &[],
    );
    for part in ["kind: Job", "kind: Service", "startupProbe:", "livenessProbe:"] {
        assert!(manifests.contains(part), "{part}: {manifests}");
    }
}

#[test]
fn each_name_is_one_that_kubernetes_takes() {
    let long = "a".repeat(46);
    let text = format!(
        "[pool.{long}_b]\ncommand = ['a']\n[pool.8ball]\ncommand = ['b']\nports = 8080\n\
         [pool.web_a]\ncommand = ['c']\n[pool.web-a]\ncommand = ['d']\n"
    );
    let (manifests, _) = exported(&text, &["--name", &"n".repeat(70)]);
    assert!(manifests.contains(&format!("  name: {long}\n")), "{manifests}");
    assert!(manifests.contains("  name: pool-8ball\n"), "{manifests}");
    assert!(manifests.contains(&format!("part-of: {}\n", "n".repeat(63))), "{manifests}");
    let (alone, _) = exported(&text, &["web-a"]);
    assert!(alone.contains("  name: web-a-2\n"), "as beside the other pool: {alone}");
}

#[test]
fn a_variable_whose_name_kubernetes_does_not_take_is_said_and_left_out() {
    let (manifests, told) = exported("[pool.web]\ncommand = ['w']\nenv = { 'a b' = '1' }\n", &[]);
    assert!(!manifests.contains("a b") && !manifests.contains("configMapRef"), "{manifests}");
    assert!(told.contains("pm.toml:3: pool web: env: not carried over: `a b`"), "{told}");
}

#[test]
fn the_pod_of_a_pool_has_room_for_its_spares() {
    let text = |rule: &str| {
        format!(
            "[pool.web]\ncommand = ['w']\nports = '8080-8081'\nhold_port = true\n{rule}\n\
             limits = {{ memory = '100MiB' }}\n"
        )
    };
    for (rule, workers) in [("", 2_u64), ("spare = true", 4)] {
        let (manifests, _) = exported(&text(rule), &["--pod-per=pool", "--cpu=500m"]);
        let memory = (workers * 100 + 16) << 20;
        assert!(manifests.contains(&format!("memory: \"{memory}\"")), "{rule}: {manifests}");
        assert!(manifests.contains(&format!("cpu: \"{}\"", workers / 2)), "{rule}: {manifests}");
    }
}

#[test]
fn a_probe_of_another_pools_port_is_said_where_a_pod_has_one_pool() {
    let (_, told) = exported(
        "[pool.web]\ncommand = ['w']\nports = 8080\nready = { tcp = 5432 }\n",
        &["--pod-per=pool"],
    );
    assert!(told.contains("ready.tcp: in part: pm asks port 5432 of the pod"), "{told}");
}

#[test]
fn what_is_said_of_a_key_has_its_line_and_its_names_and_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.env"), "A=b\n").unwrap();
    let text = "[pool.reader]\ncommand = ['w']\nenv_file = 'a.env'\nuser = 'nobody-here'\n\
        spares = 0\npath = []\nenv = { 'a b' = '1' }\n";
    fs::write(folder.path().join("pm.toml"), text).unwrap();
    let told = export(folder.path(), &["kubernetes", "--image=a"]).stderr;
    assert!(told.contains("pm.toml:3: pool reader: env_file: in part"), "{told}");
    assert!(told.contains("`reader-env-file`") && !told.contains("web-env-file"), "{told}");
    assert!(told.contains("pm.toml:7: pool reader: env: not carried over"), "{told}");
    assert_eq!(told.matches("pool reader: user:").count(), 1, "{told}");
    for key in ["spares", "path"] {
        assert!(!told.contains(&format!("pool reader: {key}:")), "{key}: {told}");
    }
}

#[test]
fn a_file_with_secrets_that_is_there_is_taken_from_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.env"), "TOKEN=hidden\n").unwrap();
    let text = "[pool.web]\ncommand = ['w']\nenv_file = 'a.env'\n";
    fs::write(folder.path().join("pm.toml"), text).unwrap();
    let options = ["kubernetes", "--image=a", "--secrets", "--out=out"];
    assert_eq!(export(folder.path(), &options).status, Some(0));
    let path = folder.path().join("out/web.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(export(folder.path(), &options).status, Some(0));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_name_of_the_file_is_one_line_of_a_comment() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a\rb: c\u{1}.toml";
    fs::write(folder.path().join(name), "[pool.web]\ncommand = ['w']\n").unwrap();
    let said = export(folder.path(), &["kubernetes", "--image=a", "--pod-per=pool", "-f", name]);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(!said.stdout.contains(['\r', '\u{1}']), "{}", said.stdout);
    assert!(said.stdout.contains(r"a\rb: c\u{1}.toml"), "{}", said.stdout);
}
