//! A Procfile, as users of foreman expect it.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::pool::Pool;
use crate::support::processes;
use crate::support::programs::pm_binary;

fn procfile(folder: &Path, text: &str) -> Pool {
    Pool::of_file(folder, "Procfile", 0, text)
}

#[test]
fn ports_count_by_process_type_and_by_instance() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "PORT=7000\nMODE='from .env'\n").unwrap();
    let text = "
# What a newcomer has.
POOL-web:\techo \"web $PORT $PS $MODE\"; exec sleep 1000\r
POOL-none: echo none $PORT; exec sleep 1000
POOL-job: echo \"job $PORT {n} ${HOME:+home}\"; exec sleep 1000
";
    let pool = procfile(folder.path(), text);
    let formation = pool.filled_in("all=1,POOL-web=2,POOL-none=0");
    let pm = pool.option("-m", &formation).start();
    let name = &pm.name;
    pm.prints.wait_for(&format!("{name}-web.1 | web 7000 {name}-web.1 from .env"));
    pm.prints.wait_for(&format!("{name}-web.2 | web 7001 {name}-web.2 from .env"));
    pm.prints.wait_for(&format!("{name}-job.1 | job 7200 {{n}} home"));
    pm.wait_members(3);
    pm.stop();
}

#[test]
fn the_stdin_of_a_process_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let pm = procfile(folder.path(), "POOL: WORKER say reads stdin stay\n").start();
    pm.prints.wait_for(" | reads");
    pm.wait_slot_ready(".1", 1);
    assert_eq!(pm.prints.with("stdin ended"), Vec::<String>::new());
    pm.stop();
}

#[test]
fn the_option_port_sets_the_first_port() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "PORT=7000\n").unwrap();
    let pool = procfile(folder.path(), "POOL: echo $PORT; exec sleep 1000\n");
    let pm = pool.option("--port", "6000").start();
    pm.prints.wait_for(" | 6000");
    pm.stop();
}

#[test]
fn a_killed_process_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let pm = procfile(folder.path(), "POOL: exec WORKER stay\n").start();
    let worker = pm.wait_slot_ready(".1", 1);
    processes::send(Signal::SIGKILL, worker);
    pm.wait_slot_ready(".1", 2);
    pm.stop();
}

#[test]
fn with_restart_never_pm_exits_with_the_first_status_that_is_not_0() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
POOL-unit: exec WORKER say fine
POOL-lint: exec WORKER wait 100 exit 3
POOL-slow: exec WORKER wait 300 exit 4
";
    let mut pm = procfile(folder.path(), text).option("--restart", "never").start();
    pm.wait_exit(3);
    let well = text.replace("exit 3", "exit 0").replace("exit 4", "exit 0");
    let mut pm = procfile(folder.path(), &well).option("--restart", "never").start();
    pm.wait_exit(0);
}

#[test]
fn a_line_that_is_not_a_process_type_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Procfile"), "web: ./serve\nworker ./work\n").unwrap();
    let output = Command::new(pm_binary()).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("Procfile:2:1"), "{text}");
    assert!(text.contains("did you mean `worker: ./work`?"), "{text}");
}

#[test]
fn without_arguments_pm_runs_pm_toml_rather_than_a_procfile() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let mut pm = Command::new(pm_binary());
        let output = pm.args(["--restart", "never"]).current_dir(folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(folder.path().join("Procfile"), "one: echo of the Procfile\n").unwrap();
    assert_eq!(run(), "one.1 | of the Procfile\n");
    let text = "[pool.one]\ncommand = 'echo of pm.toml'\n";
    std::fs::write(folder.path().join("pm.toml"), text).unwrap();
    assert_eq!(run(), "one.1 | of pm.toml\n");
}

#[test]
fn a_reload_reads_the_same_file_as_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let text = "POOL: exec WORKER stay\n";
    let pool = procfile(folder.path(), text).found_by_itself();
    let pm = pool.in_folder(folder.path()).start();
    pm.wait_slot_ready(".1", 1);
    std::fs::write(folder.path().join("pm.toml"), "nonsense").unwrap();
    pm.signal(Signal::SIGUSR1);
    pm.says.wait_for("reload: kept 1 worker");
    pm.stop();
}
