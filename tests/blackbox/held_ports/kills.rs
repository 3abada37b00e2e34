//! Servers as they are, killed again and again under clients: no connection is refused.

use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::signal::Signal;

use super::clients::Clients;
use super::{Run, fixture, run};
use crate::support::processes::send;
use crate::support::programs::project;
use crate::support::run_mode::{skip_without, skip_without_deno};

const KILLS: u64 = 20;

fn loopback(run: &Run) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[0]).into()
}

/// Kills the worker of each generation once it serves.
#[track_caller]
fn kill_under_clients(what: &str, run: Run) {
    run.pm.wait_ready(1, 1);
    let clients = Clients::of(loopback(&run));
    for generation in 1..=KILLS {
        let worker = run.pm.wait_ready(1, generation);
        clients.wait_answered(8);
        send(Signal::SIGKILL, worker);
    }
    run.pm.wait_ready(1, KILLS + 1);
    clients.wait_answered(8);
    clients.end(what, KILLS);
    run.pm.stop();
}

#[test]
fn no_connection_to_a_server_that_is_killed_is_refused() {
    kill_under_clients("fixture", fixture("listen {port} stay"));
}

#[test]
fn no_connection_to_a_killed_http_server_of_python_is_refused() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let text = "[pool.POOL]\ncommand = ['python3', '-m', 'http.server', '{port}']\nHELD\n";
    kill_under_clients("python http.server", run(1, text));
}

#[test]
fn no_connection_to_a_killed_server_of_node_is_refused() {
    if skip_without(&["node".into()]) {
        return;
    }
    let script = "require(\"http\").createServer((_, answer) => answer.end(\"ok\")).listen(+process.env.PORT)";
    let text = format!("[pool.POOL]\ncommand = ['node', '-e', '{script}']\nHELD\n");
    kill_under_clients("node http", run(1, &text));
}

#[test]
fn no_connection_to_a_killed_server_of_deno_is_refused() {
    if skip_without_deno() {
        return;
    }
    let script = "Deno.serve({{ port: +Deno.env.get(\"PORT\") }}, () => new Response(\"ok\"))";
    let folder = project().join(".deno/bin");
    let text = format!(
        "[pool.POOL]\ncommand = ['deno', 'eval', '{script}']\npath = '{}'\nHELD\n",
        folder.display()
    );
    kill_under_clients("deno", run(1, &text));
}

#[test]
fn no_connection_is_refused_while_a_changed_plan_replaces_the_worker() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                env = { A = 0 }\nports = PORT1\nhold_port = true\n";
    let run = run(1, text);
    run.pm.wait_ready(1, 1);
    let clients = Clients::of(loopback(&run));
    for generation in 2..=6 {
        clients.wait_answered(8);
        run.pm.reload(&text.replace("A = 0", &format!("A = {generation}")));
        run.pm.wait_ready(1, generation);
    }
    clients.wait_answered(8);
    clients.end("reloads", 5);
    run.pm.stop();
}
