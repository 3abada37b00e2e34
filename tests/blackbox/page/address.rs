//! Where the page is served: by an option, by the file, and after a reload; and `pm open`.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use nix::sys::signal::Signal::SIGUSR1;

use super::{Served, address, ask, request, serve, start, status};
use crate::support::pool::Pool;
use crate::support::programs::pm_binary;
use crate::support::waiting::eventually;

const TEXT: &str = "[pool.POOL]\ncommand = 'exec sleep 1000'\nready = { after = '0s' }\n";

#[test]
fn without_being_asked_no_port_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, TEXT).start();
    pm.wait_slot_ready(".1", 1);
    let listens = procfs_listeners(pm.reactor().as_raw());
    assert_eq!(listens, 0);
    assert_eq!(pm.says.with("the page"), Vec::<String>::new());
    pm.stop();
}

/// How many sockets of TCP a process has open.
fn procfs_listeners(pid: i32) -> usize {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")));
    let inodes: Vec<String> = tables
        .into_iter()
        .flatten()
        .flat_map(|table| {
            table
                .lines()
                .filter_map(|line| Some(line.split_whitespace().nth(9)?.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = open.filter_map(|file| fs::read_link(file.path()).ok());
    let names = links.map(|link| link.to_string_lossy().into_owned());
    names.filter(|name| inodes.iter().any(|inode| *name == format!("socket:[{inode}]"))).count()
}

#[test]
fn an_address_in_use_ends_pm_before_a_worker_is_started() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, TEXT).option("--http", &at);
    let mut pm = pool.start();
    let holder = format!("{at} is held by pid {}", std::process::id());
    pm.says.wait_for_all(&["http: ", &holder]);
    pm.wait_end();
    assert_eq!(pm.says.all_to_the_end().iter().filter(|line| line.contains("keeping")).count(), 0);
}

#[test]
fn workers_and_the_guard_do_not_have_the_socket() {
    let served = serve("'exec sleep 1000'", &[]);
    let worker = served.pm.wait_slot_ready(".1", 1);
    assert_eq!(procfs_listeners(worker.as_raw()), 0);
    assert_eq!(procfs_listeners(served.pm.pid().as_raw()), 0);
    assert_eq!(procfs_listeners(served.pm.reactor().as_raw()), 1);
    served.pm.stop();
}

#[test]
fn a_reload_opens_moves_and_closes_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let first = format!("http = '127.0.0.1:0'\n{TEXT}");
    let served = start(folder, {
        let folder = tempfile::tempdir().unwrap().keep();
        Pool::of_file(&folder, "pm.toml", 0, &first)
    });
    let Served { pm, at, .. } = &served;
    pm.wait_slot_ready(".1", 1);
    let get = |at| status(&ask(at, &request("GET", "/", &format!("Host: {at}\n"))));
    assert_eq!(get(*at), 200);
    // The same address: it stays where it is.
    pm.signal(SIGUSR1);
    pm.says.wait_for("reload: ");
    assert_eq!(get(*at), 200);
    // It moves.
    pm.reload(&format!("http = '[::1]:0'\n{TEXT}"));
    let moved = address(&pm.says.wait_for("the page is at http://[::1]"));
    assert_eq!(get(moved), 200);
    eventually("the old one is closed", || std::net::TcpStream::connect(at).is_err().then_some(()));
    // Where it cannot be, it stays.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    pm.reload(&format!("http = '{taken}'\n{TEXT}"));
    pm.says.wait_for_all(&["browsers cannot reach the page", "is held by pid"]);
    assert_eq!(get(moved), 200);
    pm.reload(&format!("http = '0.0.0.0:0'\n{TEXT}"));
    pm.says.wait_for_all(&["reload refused", "can be reached from other machines"]);
    assert_eq!(get(moved), 200);
    // It is closed.
    pm.reload(TEXT);
    pm.says.wait_for("the page is closed");
    eventually("it is closed", || std::net::TcpStream::connect(moved).is_err().then_some(()));
    served.pm.stop();
}

#[test]
fn a_page_moves_to_an_address_that_its_own_socket_is_in_the_way_of() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef").unwrap();
    let file = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(file.path(), "pm.toml", 0, &format!("http = '127.0.0.1:0'\n{TEXT}"));
    let served = start(folder, pool.option("--http-token-file", token.to_str().unwrap()));
    let port = served.at.port();
    let pm = &served.pm;
    pm.wait_slot_ready(".1", 1);
    let all = format!("http = '0.0.0.0:{port}'\n{TEXT}");
    pm.reload(&all);
    eventually("the page has moved", || {
        (pm.says.with("the page is at http://").len() == 2).then_some(())
    });
    let own = "Authorization: Bearer 0123456789abcdef\n";
    assert_eq!(status(&served.get("/", own)), 200);
    // Where it cannot be after all, it stays.
    pm.reload(&format!("http = '192.0.2.1:{port}'\n{TEXT}"));
    pm.says.wait_for("browsers cannot reach the page: 192.0.2.1:");
    assert_eq!(status(&served.get("/", own)), 200);
    served.pm.stop();
}

fn open(served: &Served, browser: Option<&str>, path: &str) -> Output {
    let mut command = Command::new(pm_binary());
    command.args(["open", "--socket"]).arg(served.api.socket()).env("PATH", path);
    match browser {
        Some(browser) => command.env("BROWSER", browser),
        None => command.env_remove("BROWSER"),
    };
    command.output().unwrap()
}

#[test]
fn pm_open_prints_the_address_and_becomes_the_browser() {
    let served = serve("'exec sleep 1000'", &[]);
    let none = open(&served, None, "/nowhere");
    let printed = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!((printed(&none), none.status.code()), (format!("{}\n", served.url()), Some(0)));
    let opener = served.folder.path().join("xdg-open");
    fs::write(&opener, "#!/bin/sh\necho shown $1\nexit 7\n").unwrap();
    fs::set_permissions(&opener, Permissions::from_mode(0o755)).unwrap();
    let folder = served.folder.path().to_str().unwrap();
    for (browser, path) in [(Some(opener.to_str().unwrap()), "/nowhere"), (None, folder)] {
        let shown = open(&served, browser, path);
        let expected = format!("{url}\nshown {url}\n", url = served.url());
        assert_eq!((printed(&shown), shown.status.code()), (expected, Some(7)));
    }
    served.pm.stop();
    let without = tempfile::tempdir().unwrap();
    let socket = without.path().join(".pm.sock");
    let pool = Pool::of_file(without.path(), "pm.toml", 0, TEXT);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.wait_slot_ready(".1", 1);
    let none = Command::new(pm_binary()).args(["open", "--socket"]).arg(&socket).output().unwrap();
    let words = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(words.contains("this pm has no page") && none.status.code() == Some(1), "{words}");
    pm.stop();
}

#[test]
fn options_that_only_a_page_has_need_one() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, TEXT);
    let mut pm = pool.option("--http-host", "shop.example").start();
    pm.says.wait_for("give its address with `--http`");
    pm.wait_exit(2);
}
