//! Programs as users install them. Each test needs one that this project does not fetch, and names the variable that
//! says where it is. Without the variable the test reports that, and passes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

/// An application whose task goes on until the file `go` is there. Its queue is a folder.
const TASKS: &str = r#"
import pathlib, time
from celery import Celery

app = Celery("tasks")
app.conf.broker_url = "filesystem://"
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
}
app.conf.task_ignore_result = True

@app.task
def work(release):
    print("task started", flush=True)
    while not pathlib.Path(release).exists():
        time.sleep(0.02)
    print("task finished", flush=True)
"#;

/// Of a program that is not looked for on PATH: in continuous integration nothing may be skipped.
fn program_of(variable: &str) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map(PathBuf::from);
    if program.is_none() {
        eprintln!("not run: {variable} does not say where the program is");
    }
    program
}

fn start_task(celery: &Path, folder: &Path, release: &str) {
    let mut python = Command::new(celery.with_file_name("python"));
    python.args(["-c", "import sys, tasks; tasks.work.delay(sys.argv[1])", release]);
    let status = python.current_dir(folder).stdin(Stdio::null()).status().expect("python");
    assert!(status.success());
}

#[test]
fn celery_finishes_its_running_task_when_it_is_replaced_and_when_it_is_stopped() {
    let Some(celery) = program_of("PM_TEST_CELERY") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("tasks.py"), TASKS).unwrap();
    for name in ["queue", "control"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    let program = celery.display();
    let text = format!(
        "[pool.POOL]
        command = ['{program}', '-A', 'tasks', 'worker', '-P', 'prefork', '-c', '1', '--loglevel', 'INFO']
        env     = {{ PYTHONDONTWRITEBYTECODE = 1 }}
        ready   = {{ line = 'ready.' }}
        stop    = {{ to = 'leader', grace = '1m' }}"
    );
    let mut pm = Pool::of_file(path, "pm.toml", 0, &text).start();
    let finish = |release: &str| std::fs::write(path.join(release), "").unwrap();
    let has_printed = |pm: &Pm, line: &str, times: usize| {
        eventually(line, || (pm.prints.with(line).len() == times).then_some(()));
    };
    pm.wait_slot_ready(".1", 1);
    start_task(&celery, path, "first");
    has_printed(&pm, "task started", 1);
    pm.reload(&text.replace("= 1 }", "= 2 }"));
    pm.prints.wait_for("Warm shutdown");
    finish("first");
    has_printed(&pm, "task finished", 1);
    pm.wait_slot_ready(".1", 2);
    start_task(&celery, path, "second");
    has_printed(&pm, "task started", 2);
    pm.signal(Signal::SIGTERM);
    pm.says.wait_for("SIGTERM: stopping");
    finish("second");
    has_printed(&pm, "task finished", 2);
    pm.wait_exit(0);
}
