//! The keys that decide whether and when a worker is followed by another.

use pm::plan::ReadyBy;
use pm::supervisor::{MaxRestarts, Restart};

use super::{Row, secs};

pub const ROWS: &[Row] = &[
    Row {
        key: "restart",
        right: &[
            ("", |pool| assert_eq!(pool.policy.restart, Restart::Always)),
            ("restart = 'on-failure'", |pool| {
                assert_eq!(pool.policy.restart, Restart::OnFailure);
            }),
            ("restart = 'never'", |pool| assert_eq!(pool.policy.restart, Restart::Never)),
        ],
        wrong: &[
            "restart = 'alwys'",
            "restart = true",
            "restart = 'on_failure'",
            "restrat = 'never'",
        ],
    },
    Row {
        key: "ends_run",
        right: &[
            ("", |pool| assert!(!pool.ends_run)),
            ("ends_run = false", |pool| {
                assert_eq!((pool.ends_run, pool.policy.restart), (false, Restart::Always));
            }),
            ("ends_run = true", |pool| {
                assert_eq!((pool.ends_run, pool.policy.restart), (true, Restart::Never));
            }),
            ("ends_run = true\nrestart = 'on-failure'\nbackoff = { give_up_after = 2 }", |pool| {
                assert_eq!((pool.ends_run, pool.policy.restart), (true, Restart::OnFailure));
            }),
            ("ends_run = true\nready = { exit = true }", |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Exit);
            }),
        ],
        wrong: &[
            "ends_run = 'yes'",
            "ends_run = true\nrestart = 'always'",
            "ends_run = true\nbackoff = { give_up_after = 2 }",
            "ends_rum = true",
        ],
    },
    Row {
        key: "max_restarts",
        right: &[("", |pool| assert_eq!(pool.policy.max_restarts, None))],
        wrong: &[
            "restart = 'never'\nmax_restarts = { count = 1, within = '1s' }",
            "max_restarts = 5",
            "max_restarts = {}",
            "max_restarts = { number = 5, within = '1m' }",
        ],
    },
    Row {
        key: "max_restarts.count",
        right: &[("max_restarts = { count = 5, within = '1m' }", |pool| {
            let count = 5.try_into().unwrap();
            assert_eq!(pool.policy.max_restarts, Some(MaxRestarts { count, within: secs(60) }));
        })],
        wrong: &["max_restarts = { within = '1m' }", "max_restarts = { count = 0, within = '1m' }"],
    },
    Row {
        key: "max_restarts.within",
        right: &[("max_restarts.count = 1\nmax_restarts.within = '24h'", |pool| {
            assert_eq!(pool.policy.max_restarts.unwrap().within, secs(86_400));
        })],
        wrong: &[
            "max_restarts = { count = 5 }",
            "max_restarts = { count = 5, within = '0s' }",
            "max_restarts = { count = 5, within = 60 }",
        ],
    },
    Row {
        key: "backoff",
        right: &[("", |pool| assert_eq!(pool.policy.backoff, pm::supervisor::Backoff::default()))],
        wrong: &[
            "restart = 'never'\nbackoff = { give_up_after = 2 }",
            "backoff = '1s'",
            "rest = { first = '1s' }",
            "backoff = { fist = '1s' }",
        ],
    },
    Row {
        key: "backoff.first",
        right: &[("backoff = { first = '1s' }", |pool| {
            assert_eq!(pool.policy.backoff.first, secs(1))
        })],
        wrong: &[
            "backoff = { first = '0s' }",
            "backoff = { first = '20s' }",
            "backoff = { first = -1 }",
        ],
    },
    Row {
        key: "backoff.max",
        right: &[("backoff = { first = '1m', max = '1m' }", |pool| {
            assert_eq!(pool.policy.backoff.max, secs(60));
        })],
        wrong: &[
            "backoff = { max = '50ms' }",
            "backoff = { first = '2s', max = '1s' }",
            "backoff = { max = '-1s' }",
        ],
    },
    Row {
        key: "backoff.give_up_after",
        right: &[
            ("backoff = { give_up_after = 5 }", |pool| {
                assert_eq!(pool.policy.backoff.give_up_after.unwrap().get(), 5);
            }),
            ("backoff = { give_up_after = 0 }", |pool| {
                assert_eq!(pool.policy.backoff.give_up_after, None);
            }),
        ],
        wrong: &["backoff = { give_up_after = -1 }", "backoff = { give_up_after = 'never' }"],
    },
];
