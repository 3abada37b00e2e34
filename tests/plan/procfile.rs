//! Procfiles and the `.env` beside them, as foreman, honcho and shoreman read them.

use pm::cli::diagnostics::json;
use pm::plan::procfile::Options;
use pm::plan::{Plan, Stdin};
use pm::supervisor::{Readiness, Restart};

use crate::fake_host::{FakeHost, pictures_of};

fn read(text: &str) -> Vec<(String, String)> {
    let plan = FakeHost::default().procfile(text, &Options::default());
    let plan = plan.unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    let pool = |pool: pm::plan::Pool| {
        let argv = &pool.slots[0].exec.argv;
        assert_eq!(argv[..2], ["/bin/sh", "-c"]);
        (pool.name, argv[2].to_str().unwrap().to_owned())
    };
    plan.pools.into_iter().map(pool).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, command)| ((*name).into(), (*command).into())).collect()
}

/// Each slot's `PORT`.
fn ports(plan: &Plan) -> Vec<(String, u16)> {
    let port = |slot: &pm::plan::SlotPlan| {
        let mut found = slot.exec.env.iter().filter(|(name, _)| name == "PORT");
        let (_, port) = found.next().unwrap();
        assert!(found.next().is_none() && slot.port.is_none());
        (slot.name.clone(), port.parse().unwrap())
    };
    plan.slots().map(|(_, slot)| port(slot)).collect()
}

fn scaled(formation: &str, port: Option<u16>) -> Options {
    Options { formation: Some(formation.into()), port }
}

#[test]
fn each_line_is_a_pool_whose_command_goes_to_sh_unchanged() {
    let both = pairs(&[("web", "serve -p $PORT {n} #1"), ("work-er_2", "a: b")]);
    for text in [
        "web: serve -p $PORT {n} #1\nwork-er_2: a: b\n",
        "# comment\n\nweb:serve -p $PORT {n} #1\n  # another\nwork-er_2:\ta: b",
        "\u{feff}web:   serve -p $PORT {n} #1\r\n\r\nwork-er_2: a: b\r\n",
    ] {
        assert_eq!(read(text), both, "{text:?}");
    }
}

#[test]
fn a_worker_of_a_procfile_is_always_restarted_and_ready_once_it_has_lived() {
    let plan = FakeHost::default().procfile("web: x", &Options::default()).unwrap();
    let pool = &plan.pools[0];
    assert_eq!(pool.policy.restart, Restart::Always);
    assert!(matches!(pool.policy.ready, Readiness::Lived { after } if after.as_secs() == 1));
    assert_eq!(pool.slots[0].exec.cwd.as_deref(), Some("/srv".as_ref()));
    assert_eq!(pool.slots[0].exec.stdin, Stdin::Open);
    let env = &pool.slots[0].exec.env;
    assert!(env.contains(&("PS".into(), "web.1".into())), "{env:?}");
}

#[test]
fn a_line_that_is_not_a_process_type_is_a_fault() {
    for (name, text) in [
        (
            "procfile-lines",
            "web: x\nweb command\n we: b\nx.y: b\nü: b\n: b\nweb:\nw:  \t\n- c\n./c -d\nweb: z\n",
        ),
        ("procfile-empty", "# nothing\n\n"),
        ("procfile-nul", "web: a\0b\n"),
    ] {
        let pictures = pictures_of(FakeHost::default().procfile(text, &Options::default()), text);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, pictures);
        });
    }
}

const THREE: &str = "web: x\nworker: y\nclock: z\n";

#[test]
fn port_counts_from_a_base_by_100_for_each_type_and_by_1_for_each_worker() {
    let plan = FakeHost::default().procfile(THREE, &scaled("web=2,clock=1", None)).unwrap();
    let expected = [("web.1", 5_000), ("web.2", 5_001), ("clock.1", 5_200)];
    assert_eq!(ports(&plan), expected.map(|(name, port)| (name.into(), port)));
    assert_eq!(plan.pools.len(), 2, "a type without workers is no pool");
}

#[test]
fn the_highest_port_is_65535() {
    let is_read = |formation, base| {
        FakeHost::default().procfile(THREE, &scaled(formation, Some(base))).is_ok()
    };
    assert!(is_read("web=2", 65_534), "a type without workers has no port");
    assert!(!is_read("web=2", 65_535));
}

#[test]
fn the_base_comes_from_the_option_else_dotenv_else_the_environment() {
    let first = |host: &FakeHost, port| {
        ports(&host.procfile(THREE, &Options { formation: None, port }).unwrap())[0].1
    };
    let host = FakeHost::default().variable("PORT", "7000");
    assert_eq!(first(&FakeHost::default(), None), 5_000);
    assert_eq!(first(&host, None), 7_000);
    let host = host.file(".env", "PORT=6000\n");
    assert_eq!(first(&host, None), 6_000);
    assert_eq!(first(&host, Some(9_000)), 9_000);
}

#[test]
fn the_variables_of_dotenv_are_set_except_the_workers_own() {
    let host = FakeHost::default().file(".env", "PORT=6000\nPS=me\nexport MODE='a b'\n");
    let plan = host.procfile(THREE, &Options::default()).unwrap();
    let env = &plan.pools[1].slots[0].exec.env;
    for (name, value) in [("PORT", "6100"), ("PS", "worker.1"), ("MODE", "a b")] {
        assert!(env.contains(&(name.into(), value.into())), "{env:?}");
        assert_eq!(env.iter().filter(|(known, _)| known == name).count(), 1);
    }
}

#[test]
fn a_wrong_dotenv_formation_or_base_is_a_fault() {
    let none = Options::default;
    let dotenv = |text: &str| FakeHost::default().file(".env", text);
    for (name, host, options) in [
        ("around-dotenv", dotenv("A=1\nB\nA=2\n"), none()),
        ("around-dotenv-port", dotenv("PORT=http\n"), none()),
        ("around-dotenv-unreadable", FakeHost::default().unreadable(".env"), none()),
        ("around-environment-port", FakeHost::default().variable("PORT", "0"), none()),
        ("around-formation", FakeHost::default(), scaled("web=1,wroker=2,clock=x", None)),
        ("around-ports-overlap", FakeHost::default(), scaled("web=101,worker=1", None)),
        ("around-ports-end", FakeHost::default(), scaled("all=1", Some(65_400))),
    ] {
        let pictures = pictures_of(host.procfile(THREE, &options), THREE);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, pictures);
        });
    }
}

#[test]
fn a_type_has_a_hundred_ports_and_the_last_type_has_all_above() {
    let plan = FakeHost::default().procfile(THREE, &scaled("web=100,clock=200", None)).unwrap();
    let ports: std::collections::BTreeSet<_> =
        ports(&plan).into_iter().map(|(_, port)| port).collect();
    assert_eq!(ports.len(), 300);
    let plan = FakeHost::default().procfile(THREE, &scaled("web=200", None)).unwrap();
    assert_eq!(plan.slots().count(), 200, "types without workers need no ports");
    assert!(FakeHost::default().procfile(THREE, &scaled("all=0", None)).is_err());
}

#[test]
fn a_formation_of_a_file_without_process_types_is_no_second_fault() {
    let faults = FakeHost::default().procfile("# nothing\n", &scaled("web=2", None)).unwrap_err();
    assert_eq!(faults.iter().count(), 1, "{faults}");
}

#[test]
fn a_fault_ends_where_what_is_wrong_ends() {
    let none = Options::default;
    for (plan, columns) in [
        (FakeHost::default().procfile("wüb: x\n", &none()), [2, 3]),
        (FakeHost::default().procfile("web: a\0b\n", &none()), [7, 8]),
        (FakeHost::default().file(".env", "A=a\0b\n").procfile(THREE, &none()), [4, 5]),
        (FakeHost::default().variable("PORT", "x").procfile(THREE, &none()), [6, 7]),
        (FakeHost::default().procfile(THREE, &scaled("web=1, wbe=2", None)), [8, 11]),
        (FakeHost::default().procfile(THREE, &scaled("web=1, web=22, all=1", None)), [8, 14]),
        (FakeHost::default().procfile(THREE, &scaled("web=1, web=xy", None)), [12, 14]),
    ] {
        let fault = &json(&plan.unwrap_err())[0];
        let found = ["column", "end_column"].map(|key| fault[key].as_u64().unwrap());
        assert_eq!(found, columns, "{fault}");
    }
}
