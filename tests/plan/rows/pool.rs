//! The keys of a pool: which workers it has, what they run, and which pools they wait for.

use pm::plan::{MissingHint, Pool, Probe, ReadyBy};

use super::{Row, lived, secs, variable, within};

fn argv(pool: &Pool, n: usize) -> Vec<&str> {
    pool.slots[n].exec.argv.iter().map(|argument| argument.to_str().unwrap()).collect()
}

fn ports(pool: &Pool) -> Vec<Option<u16>> {
    pool.slots.iter().map(|slot| slot.port).collect()
}

pub const ROWS: &[Row] = &[
    Row {
        key: "pool",
        right: &[
            ("[pool.web-2_B]\ncommand = 'x'", |pool| assert_eq!(pool.slots[0].name, "web-2_B.1")),
            ("pool.web.command = 'x'", |pool| assert_eq!(pool.name, "web")),
            ("pool = { web = { command = 'x' } }", |pool| assert_eq!(pool.slots.len(), 1)),
        ],
        wrong: &[
            "pool = 3",
            "[pool]",
            "[pools.web]\ncommand = 'x'",
            "[pool.'w b']\ncommand = 'x'",
            "[pool.a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g2345]\ncommand = 'x'",
            "[[pool.web]]\ncommand = 'x'",
            "[pool.web]\ncommand = 'x'\n[pool.web]\ncommand = 'y'",
            "[pool.a]\ncommand = 'x'\nworkers = 49999\n[pool.b]\ncommand = 'x'\nworkers = 2\n[pool.c]\ncommand = 'x'",
        ],
    },
    Row {
        key: "command",
        right: &[
            ("command = ['./serve', '-p{port}', '{{}}']\nports = '80-81'", |pool| {
                assert_eq!(argv(pool, 1), ["./serve", "-p81", "{}"]);
            }),
            ("command = 'echo {slot} {n} {pool} {dir}'\nworkers = 2", |pool| {
                assert_eq!(argv(pool, 1), ["/bin/sh", "-c", "echo web.2 2 web /srv"]);
            }),
            ("command = ['deno', 'run', 'web.ts']", |pool| {
                assert_eq!(pool.missing_hint, Some(MissingHint::MakeDeno));
            }),
            ("command = ['deno', 'run', 'other.ts']", |pool| assert_eq!(pool.missing_hint, None)),
        ],
        wrong: &[
            "[pool.web]\nworkers = 2",
            "[pool.web]\ncomand = 'x'",
            "[pool.a]\nworkrs = 2\n[pool.b]\ncommand = 'x'\ncomand = 'y'",
            "[pool.web]\ncmd = 'x'\ninstances = 2\ndirectory = '/'\nsealed = true",
            "command = []",
            "command = ''",
            "command = ['', 'x']",
            "command = 5",
            "command = ['x', 8080, true]",
            "command = { program = 'x' }",
            "command = 'serve {port}'",
            "command = 'serve ${HOST} ${PORT:-80} ${port}'",
            "command = ['serve', '-p', '{prot}']\nports = 80",
            "command = \"a\\t{host}\"",
            "command = '''\n{a} {\n}'''",
            "command = \"a\\u0000b\"",
        ],
    },
    Row {
        key: "ports",
        right: &[
            ("ports = '8080-8082'", |pool| {
                assert_eq!(ports(pool), [Some(8080), Some(8081), Some(8082)]);
                assert_eq!(variable(pool, 2, "PORT"), Some("8082"));
                assert_eq!(pool.slots[2].ready.by, ReadyBy::Probe(Probe::Tcp { port: 8082 }));
                assert_eq!(within(pool), secs(30));
            }),
            ("ports = '8080, 8090'", |pool| assert_eq!(ports(pool), [Some(8080), Some(8090)])),
            ("ports = 8080", |pool| assert_eq!(ports(pool), [Some(8080)])),
            ("ports = [8080, '8090-8091']", |pool| {
                assert_eq!(ports(pool), [Some(8080), Some(8090), Some(8091)]);
            }),
        ],
        wrong: &[
            "ports = 0",
            "ports = '030000'",
            "ports = 70000",
            "ports = 80.5",
            "ports = true",
            "ports = []",
            "ports = ''",
            "ports = '8082-8080'",
            "ports = '8080-8082, 80x'",
            "ports = '1-65535'",
            "ports = '8080-8082,8081'",
            "ports = [8080, 'x', 8080]",
            "ports = ['1-50000', 'x']",
            "ports = ['1-50000', 60000, 'x']",
            "port = 8080",
            "[pool.a]\ncommand = 'x'\nports = '8080-8082'\n[pool.b]\ncommand = 'x'\nports = [80, 8081]",
        ],
    },
    Row {
        key: "workers",
        right: &[
            ("workers = 3", |pool| assert_eq!(ports(pool), [None; 3])),
            ("", |pool| {
                assert_eq!(ports(pool), [None]);
                assert_eq!(variable(pool, 0, "PORT"), None);
                assert_eq!(lived(pool), secs(1));
            }),
        ],
        wrong: &["workers = 0", "workers = 50001", "workers = '3'", "workers = 2\nports = 80"],
    },
    Row {
        key: "after",
        right: &[
            (
                "after = ['db', 'cache']\n[pool.cache]\ncommand = 'x'\n[pool.db]\ncommand = 'x'",
                |pool| {
                    assert_eq!(pool.after, [2, 1]);
                },
            ),
            ("after = 'db'\n[pool.db]\ncommand = 'x'", |pool| assert_eq!(pool.after, [1])),
        ],
        wrong: &[
            "after = ['bd']\n[pool.db]\ncommand = 'x'",
            "after = ['web']",
            "after = ['db']",
            "after = ['db', 'db']\n[pool.db]\ncommand = 'x'",
            "after = 1",
            "after = ['db']\n[pool.db]\ncommand = 'x'\nafter = ['web']",
            "after = ['a']\n[pool.a]\ncommand = 'x'\nafter = ['b']\n[pool.b]\ncommand = 'x'\nafter = ['a']",
        ],
    },
    Row {
        key: "chaos",
        // `keys.rs` has what it makes of the plan.
        right: &[("chaos = true\n[pool.web]\ncommand = 'x'", |pool| {
            assert_eq!(pool.name, "web");
        })],
        wrong: &[
            "chaos = 'yes'\n[pool.web]\ncommand = 'x'",
            "[pool.web]\ncommand = 'x'\nchaos = true",
        ],
    },
    Row {
        key: "sealed",
        // `keys.rs` has what it makes of the plan.
        right: &[("sealed = true\n[pool.web]\ncommand = 'x'", |pool| {
            assert_eq!(pool.name, "web");
        })],
        wrong: &[
            "sealed = 1\n[pool.web]\ncommand = 'x'",
            "[pool.web]\ncommand = 'x'\nsealed = true",
        ],
    },
    Row {
        key: "http",
        // The same.
        right: &[("http = '127.0.0.1:9001'\n[pool.web]\ncommand = 'x'", |pool| {
            assert_eq!(pool.name, "web");
        })],
        wrong: &[
            "http = 9001\n[pool.web]\ncommand = 'x'",
            "http = 'localhost:9001'\n[pool.web]\ncommand = 'x'",
        ],
    },
];
