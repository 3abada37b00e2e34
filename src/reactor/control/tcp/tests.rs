//! Each kind of request that is refused, and those that are not.

use super::*;
use crate::reactor::control::http::Connection;

const OWN: &str = "127.0.0.1:9001";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn request(text: &str) -> Request {
    let mut connection = Connection::new();
    connection.on_bytes(text.replace('\n', "\r\n").as_bytes());
    connection.next_request().unwrap_or_else(|| panic!("no request: {text}"))
}

/// The status of the refusal; 200 if it is answered. The peer is nobody that the kernel knows.
fn status(own: &str, access: &Access, text: &str) -> u16 {
    let mut visit = Visit::new(own.parse().unwrap(), "127.0.0.1:1".parse().unwrap());
    match visit.check(&request(text), access) {
        Ok(()) => 200,
        Err(Refused { problem, .. }) => problem.status,
    }
}

fn with_token(hosts: &[&str]) -> Access {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    Access { hosts, token: Some(Token::of(TOKEN).unwrap()), is_loopback: true }
}

fn get(host: &str, headers: &str) -> String {
    format!("GET / HTTP/1.1\nHost: {host}\nAuthorization: Bearer {TOKEN}\n{headers}\n")
}

#[test]
fn a_host_is_a_name_of_the_page_or_refused() {
    let access = with_token(&["shop.example", "tunnel.example:8000"]);
    for (host, expected) in [
        ("127.0.0.1:9001", 200),
        ("127.8.8.8:9001", 200),
        ("localhost:9001", 200),
        ("LOCALHOST.:9001", 200),
        ("[::1]:9001", 200),
        ("shop.example", 200),
        ("shop.example:443", 200),
        ("tunnel.example:8000", 200),
        ("tunnel.example", 403),
        ("tunnel.example:9001", 403),
        ("localhost", 403),
        ("localhost:80", 403),
        ("127.0.0.1", 403),
        ("127.evil.example:9001", 403),
        ("127.0.0.1.evil.example:9001", 403),
        ("localhost.evil.example:9001", 403),
        ("evil.example:9001", 403),
        ("192.0.2.1:9001", 403),
        ("", 400),
    ] {
        assert_eq!(status(OWN, &access, &get(host, "")), expected, "{host}");
    }
    let old = format!("GET / HTTP/1.0\nAuthorization: Bearer {TOKEN}\n\n");
    assert_eq!(status(OWN, &access, &old), 400, "no host at all");
    let absolute = |host: &str| {
        format!(
            "GET http://{host}/ HTTP/1.1\nHost: localhost:9001\nAuthorization: Bearer {TOKEN}\n\n"
        )
    };
    assert_eq!(status(OWN, &access, &absolute("evil.example:9001")), 403);
    assert_eq!(status(OWN, &access, &absolute("localhost:9001")), 200);
    let elsewhere = Access { is_loopback: false, ..with_token(&[]) };
    assert_eq!(status("192.0.2.1:9001", &elsewhere, &get("192.0.2.1:9001", "")), 200);
    assert_eq!(status("192.0.2.1:9001", &elsewhere, &get("192.0.2.2:9001", "")), 403);
    assert_eq!(status("[::ffff:192.0.2.1]:80", &elsewhere, &get("192.0.2.1", "")), 200);
}

#[test]
fn what_another_page_has_caused_is_refused() {
    let access = with_token(&[]);
    for (headers, expected) in [
        ("Origin: http://localhost:9001\n", 200),
        ("Origin: https://localhost:9001\n", 200),
        ("Origin: http://localhost:9002\n", 403),
        ("Origin: http://127.0.0.1:9001\n", 403),
        ("Origin: http://evil.example\n", 403),
        ("Origin: null\n", 403),
        ("Origin: \n", 403),
        ("Sec-Fetch-Site: same-origin\n", 200),
        ("Sec-Fetch-Site: none\n", 200),
        ("Sec-Fetch-Site: same-site\n", 403),
        ("Sec-Fetch-Site: cross-site\n", 403),
        ("Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n", 403),
        ("Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n", 200),
        ("Connection: Upgrade\nUpgrade: websocket\n", 403),
        ("Upgrade: h2c, WebSocket\n", 403),
    ] {
        assert_eq!(status(OWN, &access, &get("localhost:9001", headers)), expected, "{headers}");
    }
    let visit = get("localhost:9001", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n");
    let visit = visit.replace("GET / ", "GET /v1/logs ");
    assert_eq!(status(OWN, &access, &visit), 403, "a link leads to the page alone");
}

#[test]
fn only_reading_methods_and_paths_are_there() {
    let access = with_token(&[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let text = get("localhost:9001", "").replacen("GET", method, 1);
        let mut visit = Visit::new(OWN.parse().unwrap(), OWN.parse().unwrap());
        let refused = visit.check(&request(&text), &access).unwrap_err();
        assert_eq!(refused.problem.status, 405, "{method}");
        assert_eq!(refused.header, Some(("Allow", "GET, HEAD")), "{method}");
    }
    assert_eq!(status(OWN, &access, &get("localhost:9001", "").replacen("GET", "HEAD", 1)), 200);
    for path in ["start", "stop", "restart", "kill", "scale", "reload", "shutdown", "attach"] {
        let text = get("localhost:9001", "").replacen('/', &format!("/v1/{path}"), 1);
        assert_eq!(status(OWN, &access, &text), 404, "{path}");
    }
}

#[test]
fn a_token_is_needed_where_there_is_one() {
    let of =
        |authorization: &str| format!("GET / HTTP/1.1\nHost: localhost:9001\n{authorization}\n");
    let basic = "Authorization: Basic bWU6MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
    for (authorization, expected) in [
        ("", 401),
        ("Authorization: Bearer 0123456789abcdef0123456789abcdeg\n", 401),
        ("Authorization: Bearer 0123456789abcdef\n", 401),
        ("Authorization: Bearer \n", 401),
        ("Authorization: Bearer 0123456789abcdef0123456789abcdef\n", 200),
        (basic, 200),
    ] {
        assert_eq!(status(OWN, &with_token(&[]), &of(authorization)), expected, "{authorization}");
    }
    for path in ["/metrics", "/healthz"] {
        let text = of("").replacen('/', path, 1);
        assert_eq!(status(OWN, &with_token(&[]), &text), 200, "{path}: for all on loopback");
        let elsewhere = Access { is_loopback: false, ..with_token(&[]) };
        assert_eq!(status(OWN, &elsewhere, &text), 401, "{path}: with a token elsewhere");
    }
}

#[test]
fn without_a_token_the_kernel_has_to_know_the_user() {
    let access = Access { is_loopback: true, ..Access::default() };
    let of = |path: &str| format!("GET {path} HTTP/1.1\nHost: localhost:9001\n\n");
    for path in ["/", "/v1", "/v1/status", "/v1/logs", "/openapi.json", "/nothing"] {
        assert_eq!(status(OWN, &access, &of(path)), 403, "{path}");
    }
    for path in ["/metrics", "/healthz"] {
        assert_eq!(status(OWN, &access, &of(path)), 200, "{path}");
    }
}
