//! The key `alive`: when a worker hangs.

use pm::plan::{Alive, AliveBy, Pool, Probe};

use super::{Row, http, secs};

fn alive(pool: &Pool) -> &Alive {
    pool.slots[0].alive.as_ref().unwrap()
}

pub const ROWS: &[Row] = &[
    Row {
        key: "alive",
        right: &[("", |pool| assert_eq!(pool.slots[0].alive, None))],
        wrong: &[
            "restart = 'never'\nready = { exit = true }\nalive = { exec = 'x' }",
            "alive = true",
            "alive = { every = '1s' }",
            "alive = { exec = 'x', tcp = 80 }",
        ],
    },
    Row {
        key: "alive.tcp",
        right: &[("ports = 80\nalive = { tcp = true }", |pool| {
            let (every, timeout, failures) = (secs(5), secs(2), 3.try_into().unwrap());
            let by = AliveBy::Probe(Probe::Tcp { port: 80 });
            assert_eq!(*alive(pool), Alive { by, every, timeout, failures });
        })],
        wrong: &["alive = { tcp = true }", "ports = 80\nalive = { tcp = 'x' }"],
    },
    Row {
        key: "alive.http",
        right: &[("ports = 80\nalive = { http = '/health' }", |pool| {
            assert_eq!(alive(pool).by, AliveBy::Probe(http(80)));
        })],
        wrong: &["alive = { http = '/' }", "ports = 80\nalive = { http = '' }"],
    },
    Row {
        key: "alive.status",
        right: &[("ports = 80\nalive = { http = '/', status = 200 }", |pool| {
            let AliveBy::Probe(Probe::Http { status, .. }) = &alive(pool).by else { panic!() };
            assert_eq!(*status, 200..=200);
        })],
        wrong: &[
            "alive = { tcp = 80, status = 200 }",
            "ports = 80\nalive = { http = '/', status = 600 }",
        ],
    },
    Row {
        key: "alive.text",
        right: &[("ports = 80\nalive = { http = '/', text = 'ok' }", |pool| {
            let AliveBy::Probe(Probe::Http { text, .. }) = &alive(pool).by else { panic!() };
            assert_eq!(text.as_deref(), Some("ok"));
        })],
        wrong: &["alive = { tcp = 80, text = 'ok' }"],
    },
    Row {
        key: "alive.exec",
        right: &[("alive = { exec = ['check', '{slot}'] }", |pool| {
            let argv = vec!["check".into(), "web.1".into()];
            assert_eq!(alive(pool).by, AliveBy::Probe(Probe::Exec { argv }));
        })],
        wrong: &["alive = { exec = '{x}' }", "alive = { exec = ' ' }"],
    },
    Row {
        key: "alive.notify",
        right: &[("alive = { notify = true }", |pool| {
            assert_eq!(alive(pool).by, AliveBy::Notify);
            assert!(pool.slots[0].exec.notifies);
            assert_eq!(pool.slots[0].exec.watchdog, Some(secs(5)));
        })],
        wrong: &[
            "alive = { notify = true, timeout = '1s', failures = 2 }",
            "alive = { notify = false }",
        ],
    },
    Row {
        key: "alive.every",
        right: &[
            ("alive = { notify = true, every = '30s' }", |pool| {
                assert_eq!(pool.slots[0].exec.watchdog, Some(secs(30)));
            }),
            ("alive = { tcp = 80, every = '1s' }", |pool| {
                assert_eq!((alive(pool).every, alive(pool).timeout), (secs(1), secs(1)));
            }),
        ],
        wrong: &["alive = { tcp = 80, every = '0s' }", "alive = { tcp = 80, every = 5 }"],
    },
    Row {
        key: "alive.timeout",
        right: &[("alive = { tcp = 80, timeout = '5s' }", |pool| {
            assert_eq!(alive(pool).timeout, secs(5));
        })],
        wrong: &[
            "alive = { tcp = 80, timeout = '0s' }",
            "alive = { tcp = 80, timeout = '6s' }",
            "alive = { tcp = 80, every = '1s', timeout = '2s' }",
        ],
    },
    Row {
        key: "alive.failures",
        right: &[("alive = { tcp = 80, failures = 1 }", |pool| {
            assert_eq!(alive(pool).failures.get(), 1);
        })],
        wrong: &["alive = { tcp = 80, failures = 0 }", "alive = { tcp = 80, failures = 1.5 }"],
    },
];
