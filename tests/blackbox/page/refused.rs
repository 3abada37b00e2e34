//! Which requests over TCP are refused, and that what is refused learns nothing of the run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{Served, USER, request, serve, start, status, status_for_user};
use crate::support::pool::Pool;
use crate::support::programs::open_copies;
use crate::support::run_mode::skip;

const COMMAND: &str = "'echo secret-line; exec sleep 1000'";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An answer of this status that tells nothing.
#[track_caller]
fn refuses(served: &Served, expected: u16, request: &str) -> String {
    let answer = served.ask(request);
    assert_eq!(status(&answer), expected, "{request}\n{answer}");
    for part in ["secret-line", "pm.toml", "0.1.0", &served.pm.name] {
        assert!(!answer.contains(part), "{part}\n{answer}");
    }
    answer
}

fn of_host(host: &str) -> String {
    request("GET", "/v1/status", &format!("Host: {host}\n"))
}

#[test]
fn a_foreign_host_is_refused() {
    let served = serve(COMMAND, &["--http-host=shop.example"]);
    let port = served.at.port();
    for host in ["evil.example", "127.evil.example", "localhost.evil.example", "192.0.2.1"] {
        refuses(&served, 403, &of_host(&format!("{host}:{port}")));
        refuses(&served, 403, &of_host(host));
    }
    refuses(&served, 403, &of_host("localhost:1"));
    refuses(
        &served,
        403,
        &of_host(&format!("localhost:{port}")).replace("/v1", "http://evil.example/v1"),
    );
    refuses(&served, 400, &request("GET", "/", ""));
    refuses(&served, 400, &request("GET", "/", "Host: a\nHost: b\n"));
    refuses(&served, 400, &request("GET", "/", "Host: a:b:c\n"));
    for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.3.2.1", "[::1]"] {
        let answer = served.ask(&of_host(&format!("{host}:{port}")));
        assert_eq!(status(&answer), 200, "{host}\n{answer}");
    }
    assert_eq!(status(&served.ask(&of_host("Shop.Example"))), 200);
    let over_socket = served.api.ask(&of_host("evil.example"));
    assert_eq!(over_socket.status, 200, "a browser cannot reach a unix socket");
    served.pm.stop();
}

#[test]
fn a_foreign_page_is_refused() {
    let served = serve(COMMAND, &[]);
    let with =
        |headers: &str| request("GET", "/v1/logs", &format!("Host: {}\n{headers}\n", served.at));
    for headers in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Connection: Upgrade\nUpgrade: websocket",
    ] {
        let answer = refuses(&served, 403, &with(headers));
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    let own = with(&format!("Origin: http://{}", served.at));
    assert_eq!(status(&served.ask(&own)), 200);
    served.pm.stop();
}

#[test]
fn nothing_acts_over_tcp() {
    let served = serve(COMMAND, &[]);
    let pid = served.pm.wait_slot_ready(".1", 1);
    let host = format!("Host: {}\n", served.at);
    for path in ["/", "/v1/stop", "/v1/shutdown", "/v1/status"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = refuses(&served, 405, &request(method, path, &host));
            assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
        }
    }
    for path in ["/v1/stop", "/v1/shutdown", "/v1/attach?slot=web.1"] {
        refuses(&served, 404, &request("GET", path, &host));
    }
    let slot = served.api.slot(&served.pm.slot(1));
    assert_eq!(
        (slot["phase"].as_str(), slot["worker"]["pid"].as_i64()),
        (Some("ready"), Some(pid.as_raw().into()))
    );
    let head = served.ask(&request("HEAD", "/", &host));
    assert!(status(&head) == 200 && head.ends_with("\r\n\r\n"), "{head}");
    served.pm.stop();
}

#[test]
fn every_answer_has_the_headers_that_protect_it() {
    let served = serve(COMMAND, &[]);
    let host = format!("Host: {}\n", served.at);
    for answer in [
        served.get("/", ""),
        served.get("/v1/status", ""),
        served.get("/metrics", ""),
        served.get("/nothing", ""),
        served.ask(&request("POST", "/", &host)),
        served.ask("nonsense\r\n\r\n"),
    ] {
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        for header in [
            "Content-Security-Policy: default-src 'none'; script-src 'self'; ",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cross-Origin-Opener-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin",
            "Cache-Control: no-store",
        ] {
            assert_eq!(head.matches(header).count(), 1, "{header}\n{head}");
        }
        assert!(!head.contains("unsafe") && !head.contains("Access-Control"), "{head}");
    }
    served.pm.stop();
}

#[test]
fn another_user_of_the_machine_reads_counts_and_health_only() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can become another user");
    }
    // This pm is of a user, too: its own user and root may read.
    let folder = tempfile::tempdir().unwrap();
    let [pm, worker] = open_copies(folder.path());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let command = vec![worker.into(), "stay".into()];
    let pool = Pool::of(command).program(&pm).of_size(1).by_user(USER);
    let pool = pool.option("--http", "127.0.0.1:0").in_folder(folder.path());
    let served = start(folder, pool);
    for path in
        ["/", "/page.js", "/v1", "/v1/status", "/v1/logs", "/v1/events", "/openapi.json", "/x"]
    {
        assert_eq!(status_for_user(USER - 1, served.at, path), 403, "{path}");
    }
    for path in ["/metrics", "/healthz"] {
        assert_ne!(status_for_user(USER - 1, served.at, path), 403, "{path}");
    }
    assert_eq!(status_for_user(USER, served.at, "/v1/status"), 200);
    assert_eq!(status(&served.get("/v1/status", "")), 200, "root");
    served.pm.stop();
}

#[test]
fn a_page_for_other_machines_needs_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[pool.POOL]\ncommand = {COMMAND}\nready = {{ after = '0s' }}\n");
    let of = |folder: &std::path::Path| Pool::of_file(folder, "pm.toml", 0, &text);
    let mut refused = of(folder.path()).option("--http", "0.0.0.0:0").start();
    refused
        .says
        .wait_for_all(&["0.0.0.0:0 can be reached from other machines", "--http-token-file"]);
    refused.wait_exit(2);
    let file = folder.path().join("token");
    fs::write(&file, "short\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let with_token =
        || of(folder.path()).option("--http", "0.0.0.0:0").option("--http-token-file", &file);
    let mut short = with_token().start();
    short.says.wait_for_all(&["has no token that can be used", "shorter than 16"]);
    short.wait_exit(2);
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let pool = with_token();
    let served = start(folder, pool);
    let host = format!("Host: {}\n", served.at);
    for path in ["/", "/v1/status", "/metrics", "/healthz", "/page.css"] {
        for authorization in
            ["", "Authorization: Bearer wrong\n", "Authorization: Basic cG06d3Jvbmc=\n"]
        {
            let request = request("GET", path, &format!("{host}{authorization}"));
            let answer = refuses(&served, 401, &request);
            assert!(answer.contains("\r\nWWW-Authenticate: Basic realm=\"pm\""), "{answer}");
        }
        let right = served.get(path, &format!("Authorization: Bearer {TOKEN}\n"));
        assert!(matches!(status(&right), 200 | 503), "{right}");
        assert!(!right.contains(TOKEN), "{right}");
    }
    // pm:TOKEN
    let basic = "Authorization: Basic cG06MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
    assert_eq!(status(&served.get("/", basic)), 200);
    served.pm.stop();
}
