//! The keys of the lines of a worker: where they are written, and how.

use std::path::Path;

use pm::plan::{LabelStyle, TerminalOutput};

use super::Row;

pub const ROWS: &[Row] = &[
    Row {
        key: "log",
        right: &[("", |pool| assert_eq!(pool.slots[0].log, None))],
        wrong: &["log = 'log/{slot}.log'", "log = {}", "log = { path = 'a' }"],
    },
    Row {
        key: "log.file",
        right: &[("workers = 2\nlog = { file = 'log/{slot}.log' }", |pool| {
            let log = pool.slots[1].log.as_ref().unwrap();
            assert_eq!(log.path, Path::new("/srv/log/web.2.log"));
            assert_eq!((log.max_bytes, log.keep), (10_000_000, 5));
        })],
        wrong: &[
            "log = { keep = 5 }",
            "log = { file = '' }",
            "log = { file = '.' }",
            "log = { file = 'log/' }",
            "log = { file = './pm.toml' }",
            "log = { file = '{slott}.log' }",
            "workers = 2\nlog = { file = 'web.log' }",
            "log = { file = 'a' }\n[pool.db]\ncommand = 'x'\nlog = { file = './a' }",
        ],
    },
    Row {
        key: "log.max_size",
        right: &[("log = { file = 'a', max_size = '1MiB' }", |pool| {
            assert_eq!(pool.slots[0].log.as_ref().unwrap().max_bytes, 1 << 20);
        })],
        wrong: &[
            "log = { file = 'a', max_size = 0 }",
            "log = { file = 'a', max_size = '4095B' }",
            "log = { file = 'a', max_size = 'big' }",
            "log = { file = 'a', max_size = '.5MB' }",
            "log = { file = 'a', max_size = '1.MB' }",
        ],
    },
    Row {
        key: "log.keep",
        right: &[("log = { file = 'a', keep = 0 }", |pool| {
            assert_eq!(pool.slots[0].log.as_ref().unwrap().keep, 0);
        })],
        wrong: &["log = { file = 'a', keep = -1 }", "log = { file = 'a', keep = 1001 }"],
    },
    Row {
        key: "log.ring",
        // `keys.rs` has what it makes of the plan.
        right: &[
            ("[log]\nring = '1MiB'\n[pool.web]\ncommand = 'x'", |pool| {
                assert_eq!(pool.slots[0].log, None);
            }),
            ("[log]\nring = '0'\n[pool.web]\ncommand = 'x'", |pool| assert_eq!(pool.name, "web")),
        ],
        wrong: &[
            "[log]\nring = '4MiBs'\n[pool.web]\ncommand = 'x'",
            "[log]\nring = true\n[pool.web]\ncommand = 'x'",
            "[log]\nrings = '1MB'\n[pool.web]\ncommand = 'x'",
            "[log]\nfile = 'a.log'\n[pool.web]\ncommand = 'x'",
            "[logs]\nring = '1MB'\n[pool.web]\ncommand = 'x'",
            "[pool.web]\ncommand = 'x'\nlog = { ring = '1MB' }",
        ],
    },
    Row {
        key: "output",
        right: &[
            ("", |pool| assert_eq!(pool.slots[0].label, LabelStyle::Coloured)),
            ("output = {}", |pool| assert_eq!(pool.slots[0].label, LabelStyle::Coloured)),
        ],
        wrong: &["output = false", "output = { colour = false }", "outputs = { color = false }"],
    },
    Row {
        key: "output.color",
        right: &[
            ("output = { color = true }", |pool| {
                assert_eq!(pool.slots[0].label, LabelStyle::Coloured);
            }),
            ("output = { color = false, prefix = true }", |pool| {
                assert_eq!(pool.slots[0].label, LabelStyle::Plain);
            }),
        ],
        wrong: &["output = { color = 'never' }", "output = { color = false, prefix = false }"],
    },
    Row {
        key: "output.prefix",
        right: &[("output = { prefix = false }", |pool| {
            assert_eq!(pool.slots[0].label, LabelStyle::None);
        })],
        wrong: &["output = { prefix = 'web' }", "output = { prefix = 0 }"],
    },
    Row {
        key: "pty",
        right: &[
            ("pty = true", |pool| assert!(pool.slots[0].exec.pty)),
            ("pty = false", |pool| assert!(!pool.slots[0].exec.pty)),
        ],
        wrong: &["pty = 1", "pty = 'yes'"],
    },
    Row {
        key: "raw",
        right: &[
            ("pty = true\nraw = true", |pool| {
                assert_eq!(pool.slots[0].terminal_output, TerminalOutput::Raw);
            }),
            ("raw = false", |pool| {
                assert_eq!(pool.slots[0].terminal_output, TerminalOutput::Filtered);
            }),
        ],
        wrong: &["raw = true", "pty = false\nraw = true", "pty = true\nraw = 'yes'"],
    },
];
