//! For each key of `pm.toml`: right values with what they make of the pool, and wrong values.

use std::path::Path;
use std::time::Duration;

use pm::plan::{
    Alive, AliveBy, Identity, LabelStyle, Line, MissingHint, Pool, Probe, ReadyBy, Stdin,
    StopTarget, TerminalOutput,
};
use pm::supervisor::{MaxRestarts, Readiness, Restart};

/// Lines of a `pm.toml`, and what must be true of the pool.
type Right = (&'static str, fn(&Pool));

pub struct Row {
    /// Below the pool's table: `stop.grace`.
    pub key: &'static str,
    pub right: &'static [Right],
    pub wrong: &'static [&'static str],
}

fn argv(pool: &Pool, n: usize) -> Vec<&str> {
    pool.slots[n].exec.argv.iter().map(|argument| argument.to_str().unwrap()).collect()
}

fn ports(pool: &Pool) -> Vec<Option<u16>> {
    pool.slots.iter().map(|slot| slot.port).collect()
}

fn variable<'a>(pool: &'a Pool, n: usize, name: &str) -> Option<&'a str> {
    let mut found = pool.slots[n].exec.env.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert_eq!(found.next(), None, "{name} is set twice");
    value
}

/// The time a worker has to become ready, which the supervisor is told too.
fn within(pool: &Pool) -> Duration {
    let within = pool.slots[0].ready.within;
    assert_eq!(pool.policy.ready, Readiness::Probe { within });
    within
}

/// The time a worker has to live to be ready, which the supervisor is told too.
fn lived(pool: &Pool) -> Duration {
    let after = pool.slots[0].ready.within;
    assert_eq!(pool.slots[0].ready.by, ReadyBy::Lived);
    assert_eq!(pool.policy.ready, Readiness::Lived { after });
    after
}

fn alive(pool: &Pool) -> &Alive {
    pool.slots[0].alive.as_ref().unwrap()
}

fn http(port: u16) -> Probe {
    Probe::Http { port, target: "/health".into(), status: 200..=399, text: None }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
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
        key: "cwd",
        right: &[
            ("", |pool| assert_eq!(pool.slots[0].exec.cwd.as_deref(), Some(Path::new("/srv")))),
            ("cwd = './app/{n}'", |pool| {
                assert_eq!(pool.slots[0].exec.cwd.as_deref(), Some(Path::new("/srv/app/1")));
            }),
            ("cwd = 'missing'\nafter = ['job']\n[pool.job]\ncommand = 'mkdir missing'", |pool| {
                assert_eq!(pool.after, [1]);
            }),
            ("cwd = '/'", |pool| {
                assert_eq!(pool.slots[0].exec.cwd.as_deref(), Some(Path::new("/")));
            }),
        ],
        wrong: &[
            "cwd = 'missing'",
            "cwd = 'file'",
            "cwd = ''",
            "cwd = ['a']",
            "cwd = '{dirr}'",
            "cwd = 1979-05-27",
        ],
    },
    Row {
        key: "path",
        right: &[
            ("path = ['.deno/bin', '/opt/bin']", |pool| {
                let path = [Path::new("/srv/.deno/bin"), Path::new("/opt/bin")];
                assert_eq!(pool.slots[0].exec.path, path);
            }),
            ("path = 'bin'", |pool| assert_eq!(pool.slots[0].exec.path, [Path::new("/srv/bin")])),
        ],
        wrong: &[
            "path = ['{dir}/bin']",
            "path = 'bin:/opt/bin'",
            "path = ['bin', '']",
            "path = 1",
            "path = { a = 'bin' }",
        ],
    },
    Row {
        key: "env",
        right: &[
            ("env = { A = 'a{n}', B = 7, C = true, D = 3.10, E = 0x1F }", |pool| {
                let names = ["A", "B", "C", "D", "E"];
                let values = names.map(|name| variable(pool, 0, name).unwrap());
                assert_eq!(values, ["a1", "7", "true", "3.10", "31"]);
            }),
            ("env = { PORT = 5 }", |pool| {
                assert_eq!(variable(pool, 0, "PORT"), Some("5"));
            }),
            ("", |pool| {
                let names = ["PS", "PM_POOL", "PM_SLOT"];
                let values = names.map(|name| variable(pool, 0, name).unwrap());
                assert_eq!(values, ["web.1", "web", "web.1"]);
            }),
        ],
        wrong: &[
            "ports = 8080\nenv = { PORT = 1 }",
            "ready = { notify = true }\nenv = { NOTIFY_SOCKET = 'x' }",
            "env = 'A=b'",
            "env = { A = ['b'], B = 1979-05-27 }",
            "env = { A = '{N}' }",
            "env = { 'A=b' = 'c', '' = 'd' }",
            "env = { PM_SLOT = 'web.7' }",
            "env = { A = 99999999999999999999 }",
        ],
    },
    Row {
        key: "env_file",
        right: &[
            ("env_file = '.env'\nenv = { ONLY = 'env' }", |pool| {
                assert_eq!(variable(pool, 0, "MODE"), Some("file"));
                assert_eq!(variable(pool, 0, "ONLY"), Some("env"));
            }),
            ("env_file = ['.env', 'more.env']", |pool| {
                assert_eq!(variable(pool, 0, "MODE"), Some("more"));
                assert_eq!(variable(pool, 0, "ONLY"), Some("here"));
            }),
        ],
        wrong: &[
            "env_file = 'no.env'",
            "env_file = ['.env', 'secret.env']",
            "env_file = 'wrong.env'",
            "env_file = ''",
            "env_file = ['.env', './.env']",
            "env_file = 5",
        ],
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
        key: "ready.line",
        right: &[("ready = { line = 'listening on {' }", |pool| {
            assert_eq!(pool.slots[0].ready.by, ReadyBy::Line(Line::Text("listening on {".into())));
        })],
        wrong: &[
            "ready = { line = 'ready on {port}' }",
            "ready = { line = 5 }",
            "ready = { line = '' }",
            "ready = { line = \"a\\nb\" }",
            "ready = { line = \"a\\r\" }",
        ],
    },
    Row {
        key: "ready.line_regex",
        right: &[("ready = { line_regex = '^port: [0-9]+$' }", |pool| {
            let ReadyBy::Line(Line::Pattern(pattern)) = &pool.slots[0].ready.by else { panic!() };
            assert!(pattern.0.is_match("port: 8080") && !pattern.0.is_match("port: "));
        })],
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
        key: "limits",
        right: &[("", |pool| assert_eq!(pool.slots[0].exec.limits, pm::plan::Limits::default()))],
        wrong: &["limits = 5", "limits = { nofile = 5 }"],
    },
    Row {
        key: "limits.open_files",
        right: &[("limits = { open_files = 4096 }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.open_files, Some(4_096));
        })],
        wrong: &[
            "limits = { open_files = 3 }",
            "limits = { open_files = 0 }",
            "limits = { open_files = '4096' }",
        ],
    },
    Row {
        key: "limits.processes",
        right: &[("limits = { processes = 64 }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.processes, Some(64));
        })],
        wrong: &["limits = { processes = -1 }"],
    },
    Row {
        key: "limits.file_size",
        right: &[("limits = { file_size = '1GB' }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.file_bytes, Some(1_000_000_000));
        })],
        wrong: &["limits = { file_size = '1XB' }"],
    },
    Row {
        key: "limits.core",
        right: &[("limits = { core = 0 }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.core_bytes, Some(0));
        })],
        wrong: &["limits = { core = false }"],
    },
    Row {
        key: "limits.stack",
        right: &[("limits = { stack = '8MiB' }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.stack_bytes, Some(8 << 20));
        })],
        wrong: &["limits = { stack = -8 }", "limits = { stack = '0B' }"],
    },
    Row {
        key: "limits.memory",
        right: &[("limits = { memory = '512MB' }", |pool| {
            assert_eq!(pool.slots[0].exec.limits.memory_bytes, Some(512_000_000));
        })],
        wrong: &["limits = { memory = '99EiB' }", "limits = { memory = '1B' }"],
    },
    Row {
        key: "user",
        right: &[
            ("user = 'www-data'", |pool| {
                let identity = pool.slots[0].exec.identity.as_ref().unwrap();
                let Identity { user, uid, gid, groups, .. } = identity;
                assert_eq!((user.as_str(), *uid, *gid), ("www-data", 33, 33));
                assert_eq!(groups, &[33, 44]);
                let variables = ["HOME", "USER", "LOGNAME", "SHELL"];
                let variables = variables.map(|name| variable(pool, 0, name).unwrap());
                assert_eq!(variables, ["/var/www", "www-data", "www-data", "/usr/sbin/nologin"]);
            }),
            ("user = 'www-data'\nenv = { HOME = '/srv' }", |pool| {
                assert_eq!(variable(pool, 0, "HOME"), Some("/srv"));
            }),
            ("", |pool| assert_eq!(variable(pool, 0, "HOME"), None)),
        ],
        wrong: &["user = 'nobody-here'", "user = 33"],
    },
    Row {
        key: "group",
        right: &[("user = 'www-data'\ngroup = 'video'", |pool| {
            assert_eq!(pool.slots[0].exec.identity.as_ref().unwrap().gid, 44);
        })],
        wrong: &["group = 'video'", "user = 'www-data'\ngroup = 'vidoe'"],
    },
    Row {
        key: "umask",
        right: &[("umask = '022'", |pool| assert_eq!(pool.slots[0].exec.umask, Some(0o022)))],
        wrong: &[
            "umask = 22",
            "umask = 022",
            "umask = 18",
            "umask = 0o27",
            "umask = '088'",
            "umask = '1777'",
            "umask = '00022'",
            "umask = ''",
            "umask = true",
        ],
    },
    Row {
        key: "stdin",
        right: &[
            ("", |pool| assert_eq!(pool.slots[0].exec.stdin, Stdin::Null)),
            ("stdin = 'null'", |pool| assert_eq!(pool.slots[0].exec.stdin, Stdin::Null)),
            ("stdin = 'open'", |pool| assert_eq!(pool.slots[0].exec.stdin, Stdin::Open)),
            ("pty = true", |pool| assert_eq!(pool.slots[0].exec.stdin, Stdin::Terminal)),
            ("pty = true\nstdin = 'terminal'", |pool| {
                assert_eq!(pool.slots[0].exec.stdin, Stdin::Terminal);
            }),
            ("pty = true\nstdin = 'null'", |pool| {
                assert_eq!(pool.slots[0].exec.stdin, Stdin::Null);
            }),
        ],
        wrong: &[
            "stdin = 'closed'",
            "stdin = false",
            "stdin = '/dev/null'",
            "stdin = 'terminal'",
            "pty = false\nstdin = 'terminal'",
        ],
    },
    Row {
        key: "nice",
        right: &[("nice = -5", |pool| assert_eq!(pool.slots[0].exec.nice, Some(-5)))],
        wrong: &["nice = 20", "nice = -21", "nice = '5'", "nice = 1.5"],
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
