//! pm as process 1 of a pid namespace, with `--init` and with a pool.

use super::*;

#[test]
fn as_process_1_pm_passes_on_the_exit_status() {
    if skip_without_namespaces() {
        return;
    }
    let mut init = Init::after(&NAMESPACE, &["sh", "-c", "echo $PPID; exit 42"]);
    init.wait_silent_exit(42);
    assert_eq!(init.prints.all_to_the_end(), ["1"]);
    Init::after(&NAMESPACE, &["sh", "-c", "kill -TERM $$"]).wait_silent_exit(143);
}

#[test]
fn as_process_1_pm_forwards_signals() {
    if skip_without_namespaces() {
        return;
    }
    for signal in [SIGTERM, SIGINT] {
        let mut init = Init::after(&NAMESPACE, &["sh", "-c", "echo ready; exec sleep 1000"]);
        init.prints.wait_for("ready");
        send(signal, process_1(init.pid()));
        init.wait_silent_exit(128 + signal as i32);
    }
}

#[test]
fn as_process_1_pm_reaps_orphans() {
    if skip_without_namespaces() {
        return;
    }
    let init = Init::after(&NAMESPACE, &["sh", "-c", "(setsid sleep 1000 &); exec sleep 999"]);
    let pm = process_1(init.pid());
    let children = eventually("an orphan", || {
        let children = children_of(pm);
        (children.len() == 2).then_some(children)
    });
    let text = |pid: &Pid| Process::new(pid.as_raw()).and_then(|one| one.cmdline()).ok();
    wait_until("both are what they will be", || {
        children.iter().all(|pid| {
            text(pid).is_some_and(|words| words.first().is_some_and(|word| word == "sleep"))
        })
    });
    let is_orphan =
        |pid: &&Pid| text(pid).is_some_and(|words| words.get(1).is_some_and(|word| word == "1000"));
    let orphan = *children.iter().find(is_orphan).expect("the orphan");
    send(SIGKILL, orphan);
    wait_until("the orphan is reaped", || state(orphan).is_none());
    assert_eq!(children_of(pm).len(), 1);
}

#[test]
fn a_pool_runs_and_stops_under_a_pm_that_is_process_1() {
    if skip_without_namespaces() {
        return;
    }
    let command = worker("child stay child setsid+stay stay");
    let become_1 = format!("exec {} \"$0\" \"$@\"", NAMESPACE.join(" "));
    let mut pm = Pool::of(command).of_size(2).after(&become_1).start();
    pm.wait_members(6);
    pm.says.wait_for(&format!("{} is ready", pm.slot(2)));
    send(SIGTERM, process_1(pm.pid()));
    pm.wait_exit(0);
    pm.says.wait_for("all workers stopped after");
}
