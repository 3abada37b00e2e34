//! The keys that the process of a worker notices: folder, variables, user, stdin, limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use pm::plan::{HoldPort, Identity, Probe, ReadyBy, Stdin};
use pm::supervisor::SpareRule;

use super::{Row, http, secs, variable, within};

pub const ROWS: &[Row] = &[
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
            "path = ['bin', 1979-05-27]",
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
        key: "hold_port",
        right: &[
            ("ports = 80", |pool| assert_eq!(pool.slots[0].exec.hold_port, HoldPort::No)),
            ("ports = 80\nhold_port = false", |pool| {
                assert_eq!(pool.slots[0].exec.hold_port, HoldPort::No);
            }),
            ("hold_port = false", |pool| {
                assert_eq!(pool.slots[0].exec.hold_port, HoldPort::No);
            }),
            ("ports = 80\nhold_port = true", |pool| {
                assert_eq!(pool.slots[0].exec.hold_port, HoldPort::Calls);
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Listen);
                assert_eq!(within(pool), secs(30));
            }),
            ("ports = 80\nhold_port = true\nready = { http = '/health' }", |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(http(80)));
            }),
        ],
        wrong: &[
            "hold_port = true",
            "ports = 80\nhold_port = 'yes'",
            "ports = 80\nhold_port = 80",
            "ports = 80\nhold_port = true\nlisten = 'fds'",
        ],
    },
    Row {
        key: "spare",
        right: &[
            ("ports = 80", |pool| assert_eq!(pool.policy.spare, SpareRule::Never)),
            ("ports = 80\nspare = false", |pool| assert_eq!(pool.policy.spare, SpareRule::Never)),
            ("ports = 80\nhold_port = true", |pool| {
                assert_eq!(pool.policy.spare, SpareRule::ToReplace { within: secs(30) });
            }),
            ("ports = 80\nhold_port = true\nspare = true\nready = { after = '1s' }", |pool| {
                let after = Duration::from_millis(100);
                let rule = SpareRule::Always { within: secs(30), after, max_age: None };
                assert_eq!(pool.policy.spare, rule);
            }),
            ("ports = 80\nlisten = 'fds'", |pool| {
                assert_eq!(pool.policy.spare, SpareRule::Never);
            }),
        ],
        wrong: &[
            "ports = 80\nspare = true",
            "ports = 80\nlisten = 'fds'\nspare = true",
            "ports = 80\nhold_port = true\nspare = 1",
        ],
    },
    Row {
        key: "spares",
        right: &[
            ("ports = 80\nhold_port = true\nspares = 1", |pool| {
                let after = Duration::from_millis(100);
                let rule = SpareRule::Shared { within: secs(30), after, max_age: None };
                assert_eq!((pool.policy.spare, pool.spares), (rule, 1));
            }),
            ("ports = 80\nhold_port = true\nspares = 0", |pool| {
                assert_eq!(pool.policy.spare, SpareRule::ToReplace { within: secs(30) });
                assert_eq!(pool.spares, 0);
            }),
            (
                "ports = 80\nhold_port = true\nspares = 2\nspare = false\nspare_max_age = '1h'",
                |pool| {
                    assert_eq!((pool.policy.spare.max_age(), pool.spares), (Some(secs(3_600)), 2));
                },
            ),
        ],
        wrong: &[
            "ports = 80\nspares = 1",
            "ports = 80\nhold_port = true\nspares = true",
            "ports = 80\nhold_port = true\nspares = -1",
            "ports = 80\nhold_port = true\nspares = 1\nspare = true",
            "ports = 80\nhold_port = true\nspares = 1\nready = { notify = true }",
            "ports = 80\nhold_port = true\nspares = 1\nlimits = { memory = '100MiB' }",
        ],
    },
    Row {
        key: "spare_max_age",
        right: &[(
            "ports = 80\nhold_port = true\nspare = true\nspare_max_age = '1h'\n\
             ready = { listen = true, within = '5s' }",
            |pool| {
                let (after, max_age) = (Duration::from_millis(100), Some(secs(3_600)));
                let rule = SpareRule::Always { within: secs(5), after, max_age };
                assert_eq!(pool.policy.spare, rule);
            },
        )],
        wrong: &[
            "ports = 80\nhold_port = true\nspare_max_age = '1h'",
            "ports = 80\nhold_port = true\nspare = true\nspare_max_age = '0s'",
            "ports = 80\nhold_port = true\nspare = true\nspare_max_age = 3600",
        ],
    },
    Row {
        key: "listen",
        right: &[
            ("ports = 80\nlisten = 'fds'", |pool| {
                let all = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                assert_eq!(pool.slots[0].exec.hold_port, HoldPort::Passed(all));
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Lived);
            }),
            ("ports = 80\nlisten = 'fds'\nready = { tcp = true }", |pool| {
                assert_eq!(pool.slots[0].ready.by, ReadyBy::Probe(Probe::Tcp { port: 80 }));
            }),
        ],
        wrong: &[
            "listen = 'fds'",
            "ports = 80\nlisten = 'fds'\nenv = { LISTEN_FDS = 2 }",
            "ports = 80\nlisten = 'fd'",
            "ports = 80\nlisten = true",
            "ports = 80\nlisten = 'fds'\nready = { listen = true }",
        ],
    },
    Row {
        key: "address",
        right: &[("ports = 80\nlisten = 'fds'\naddress = '127.0.0.1'", |pool| {
            let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
            assert_eq!(pool.slots[0].exec.hold_port, HoldPort::Passed(own));
        })],
        wrong: &[
            "ports = 80\naddress = '::1'",
            "ports = 80\nlisten = 'fds'\naddress = 'localhost'",
            "ports = 80\nlisten = 'fds'\naddress = '127.0.0.1:80'",
            "ports = 80\nlisten = 'fds'\naddress = 80",
        ],
    },
    Row {
        key: "nice",
        right: &[
            ("nice = -20", |pool| assert_eq!(pool.slots[0].exec.nice, Some(-20))),
            ("nice = 19", |pool| assert_eq!(pool.slots[0].exec.nice, Some(19))),
        ],
        wrong: &["nice = 20", "nice = -21", "nice = '5'", "nice = 1.5"],
    },
];
