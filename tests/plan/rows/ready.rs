//! The key `ready`: when a worker is ready.

use std::time::Duration;

use pm::plan::{Line, Pool, Probe, ReadyBy};

use super::{Row, http, lived, secs, within};

fn matches(pool: &Pool, line: &str) -> bool {
    let ReadyBy::Line(Line::Pattern(pattern)) = &pool.slots[0].ready.by else { panic!() };
    pattern.0.is_match(line)
}

pub const ROWS: &[Row] = &[
    Row {
        key: "ready",
        right: &[("ports = 80", |pool| {
            assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(Probe::Tcp { port: 80 }));
        })],
        wrong: &[
            "ready = 'tcp'",
            "ready = {}",
            "ready = { within = '5s' }",
            "ready = { tcp = 80, after = '1s', notify = true }",
            "ready = { htp = '/' }",
            "ready = { after = 'PT5S' }",
            "ready = { after = '00:00:05' }",
            "ready = { after = '+5s' }",
            "ready = { after = '1ns' }",
            "ready = { after = inf }",
            "ready = { after = '1e5' }",
            "ready = { after = 100000000 }",
        ],
    },
    Row {
        key: "ready.tcp",
        right: &[
            ("ports = '80-81'\nready = { tcp = true }", |pool| {
                assert_eq!(pool.slots[1].ready.by, ReadyBy::Probe(Probe::Tcp { port: 81 }));
            }),
            ("ready = { tcp = 9000 }", |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(Probe::Tcp { port: 9000 }));
                assert_eq!(within(pool), secs(30));
            }),
        ],
        wrong: &[
            "ready = { tcp = true }",
            "ready = { tcp = false }",
            "ready = { tcp = 0 }",
            "ready = { tcp = '80' }",
        ],
    },
    Row {
        key: "ready.http",
        right: &[("ports = 80\nready = { http = '/health' }", |pool| {
            assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(http(80)));
        })],
        wrong: &[
            "ports = 80\nready = { http = '/up/{port}' }",
            "ready = { http = '/' }",
            "ports = 80\nready = { http = 'health' }",
            "ports = 80\nready = { http = 'http://localhost:80/health' }",
            "ports = 80\nready = { http = '/a b' }",
            "ports = 80\nready = { http = true }",
            "ports = 80\nready = { http = '/a#b' }",
        ],
    },
    Row {
        key: "ready.status",
        right: &[
            ("ports = 80\nready = { http = '/health', status = 204 }", |pool| {
                let ReadyBy::Probe(Probe::Http { status, .. }) = &pool.slots[0].ready.by else {
                    panic!()
                };
                assert_eq!(*status, 204..=204);
            }),
            ("ports = 80\nready = { http = '/health', status = '200-299' }", |pool| {
                let ReadyBy::Probe(Probe::Http { status, .. }) = &pool.slots[0].ready.by else {
                    panic!()
                };
                assert_eq!(*status, 200..=299);
            }),
        ],
        wrong: &[
            "ready = { tcp = 80, status = 200 }",
            "ports = 80\nready = { http = '/', status = 99 }",
            "ports = 80\nready = { http = '/', status = 100 }",
            "ports = 80\nready = { http = '/', status = '299-200' }",
            "ports = 80\nready = { http = '/', status = 'ok' }",
            "ports = 80\nready = { http = '/', status = true }",
        ],
    },
    Row {
        key: "ready.text",
        right: &[("ports = 80\nready = { http = '/health', text = 'ok' }", |pool| {
            let ReadyBy::Probe(Probe::Http { text, .. }) = &pool.slots[0].ready.by else {
                panic!()
            };
            assert_eq!(text.as_deref(), Some("ok"));
        })],
        wrong: &[
            "ready = { after = '1s', text = 'ok' }",
            "ports = 80\nready = { http = '/', text = 1 }",
            "ports = 80\nready = { http = '/', text = '' }",
        ],
    },
    Row {
        key: "ready.exec",
        right: &[
            ("ready = { exec = ['./is-ready', '{n}'] }", |pool| {
                let argv = vec!["./is-ready".into(), "1".into()];
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(Probe::Exec { argv }));
            }),
            ("ready = { exec = 'is-ready {slot}' }", |pool| {
                let argv = vec!["/bin/sh".into(), "-c".into(), "is-ready web.1".into()];
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(Probe::Exec { argv }));
            }),
        ],
        wrong: &[
            "ready = { exec = [] }",
            "ready = { exec = ['x', '{port}'] }",
            "ready = { exec = true }",
        ],
    },
    Row {
        key: "ready.notify",
        right: &[
            ("ready = { notify = true }", |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Notify);
                assert!(pool.slots[0].exec.notifies);
                assert_eq!(pool.slots[0].exec.watchdog, None);
            }),
            ("", |pool| assert!(!pool.slots[0].exec.notifies)),
        ],
        wrong: &["ready = { notify = false }", "ready = { notify = 'yes' }"],
    },
    Row {
        key: "ready.exit",
        right: &[("restart = 'never'\nready = { exit = true, within = '10m' }", |pool| {
            assert_eq!(pool.slots[0].ready.by, ReadyBy::Exit);
            assert_eq!(within(pool), secs(600));
        })],
        wrong: &[
            "ready = { exit = true }",
            "restart = 'always'\nready = { exit = true }",
            "restart = 'never'\nready = { exit = 0 }",
        ],
    },
    Row {
        key: "ready.listen",
        right: &[(
            "ports = 80\nhold_port = true\nready = { listen = true, within = '5s' }",
            |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Listen);
                assert_eq!(within(pool), secs(5));
            },
        )],
        wrong: &[
            "ports = 80\nready = { listen = true }",
            "ports = 80\nhold_port = true\nready = { listen = false }",
            "ports = 80\nhold_port = true\nready = { listen = 80 }",
            "ports = 80\nhold_port = true\nready = { listen = true, tcp = true }",
        ],
    },
    Row {
        key: "ready.line",
        right: &[("ready = { line = 'listening on {' }", |pool| {
            assert_eq!(pool.slots[0].ready.by, ReadyBy::Line(Line::Text("listening on {".into())));
        })],
        wrong: &[
            "ready = { line = 'ready on {port}' }",
            "ready = { line = 5 }",
            "ready = { line = '' }",
            "ready = { line = \"a\\nb\" }",
            "ready = { line = \"(?x\\nb\" }",
            "ready = { line = \"a\\r\" }",
        ],
    },
    Row {
        key: "ready.line_regex",
        right: &[
            ("ready = { line_regex = '^port: [0-9]+$' }", |pool| {
                assert!(matches(pool, "port: 8080") && !matches(pool, "port: "));
            }),
            ("ready = { line_regex = 'ready' }", |pool| assert!(matches(pool, "is ready"))),
            ("ready = { line_regex = \"(?x) a\\n b\" }", |pool| assert!(matches(pool, "ab"))),
        ],
        wrong: &[
            "ready = { line_regex = '(' }",
            "ready = { line_regex = 5 }",
            "ready = { line_regex = '' }",
            "ready = { line_regex = '(ready)?' }",
            "ready = { line_regex = 'x*' }",
            "ready = { line_regex = \"a\\nb\" }",
            "ready = { line_regex = 'a\\nb' }",
        ],
    },
    Row {
        key: "ready.after",
        right: &[("ports = 80\nready = { after = '0s' }", |pool| {
            assert_eq!(lived(pool), Duration::ZERO);
        })],
        wrong: &[
            "ready = { after = 1 }",
            "ready = { after = 'soon' }",
            "ready = { after = '25h' }",
        ],
    },
    Row {
        key: "ready.within",
        right: &[("ready = { notify = true, within = '90s' }", |pool| {
            assert_eq!(within(pool), secs(90))
        })],
        wrong: &[
            "ready = { notify = true, within = '0s' }",
            "ready = { within = '5s', after = '1s' }",
            "ready = { notify = true, within = 30 }",
        ],
    },
];
