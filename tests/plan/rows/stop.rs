//! The key `stop`: how a worker is stopped.

use std::time::Duration;

use pm::plan::StopTarget;

use super::{Row, secs};

pub const ROWS: &[Row] = &[
    Row {
        key: "stop",
        right: &[("", |pool| {
            assert_eq!((pool.stop.signal, pool.policy.grace), (libc::SIGTERM, secs(5)));
            assert_eq!(pool.stop.to, StopTarget::Group);
        })],
        wrong: &["stop = 'TERM'", "stop = { timeout = '5s' }"],
    },
    Row {
        key: "stop.to",
        right: &[
            ("stop = { to = 'leader' }", |pool| assert_eq!(pool.stop.to, StopTarget::Leader)),
            ("stop = { to = 'group' }", |pool| assert_eq!(pool.stop.to, StopTarget::Group)),
        ],
        wrong: &[
            "stop = { to = 'leader', grace = '0s' }",
            "stop = { to = 'mixed' }",
            "stop = { to = 'Leader' }",
            "stop = { to = true }",
        ],
    },
    Row {
        key: "stop.signal",
        right: &[
            ("stop = { signal = 'sigint' }", |pool| assert_eq!(pool.stop.signal, libc::SIGINT)),
            ("stop = { signal = 'Quit' }", |pool| assert_eq!(pool.stop.signal, libc::SIGQUIT)),
            ("stop = { signal = 10 }", |pool| assert_eq!(pool.stop.signal, libc::SIGUSR1)),
            ("stop = { signal = 64 }", |pool| assert_eq!(pool.stop.signal, 64)),
        ],
        wrong: &[
            "stop = { signal = 'INT', grace = '0s' }",
            "stop = { signal = 'KILL' }",
            "stop = { signal = 19 }",
            "stop = { signal = 'TSTP' }",
            "stop = { signal = 'CHLD' }",
            "stop = { signal = 0 }",
            "stop = { signal = 65 }",
            "stop = { signal = 'TREM' }",
            "stop = { signal = ['TERM'] }",
        ],
    },
    Row {
        key: "stop.grace",
        right: &[
            ("stop = { grace = '1m30s' }", |pool| assert_eq!(pool.policy.grace, secs(90))),
            ("stop = { grace = '0s' }", |pool| assert_eq!(pool.policy.grace, Duration::ZERO)),
        ],
        wrong: &[
            "stop = { grace = 5 }",
            "stop = { grace = 0.5 }",
            "stop = { grace = '5' }",
            "stop = { grace = '5 parsecs' }",
        ],
    },
];
