//! The readers of `pm.toml`, Procfile, `.env` and formations: a plan as its types promise, or faults within the text.

use std::time::Instant;

use fastrand::Rng;
use pm::cli::diagnostics::pictures_in_colour;
use pm::plan::procfile::{self, Options};
use pm::plan::{Faults, Plan, pm_toml};

use crate::changes::changed;
use crate::host::{FakeHost, document};
use crate::{TIME_MAX, seeds};

/// Right texts, to be changed.
const PM_TOMLS: [&str; 4] = [
    include_str!("../../src/plan/lab.toml"),
    include_str!("../../src/cli/init.toml"),
    "[pool.web]\ncommand = ['serve', '{port}', '{{}}']\nports = '8080-8082,8090'\nenv = { A = 1, B = '{n}' }\n\
     ready = { http = '/', status = '200-299', within = '30s' }\nalive = { exec = 'x {slot}', every = '1s' }\n\
     after = ['db']\nlog = { file = 'log/{slot}.log', max_size = '1MiB' }\n\n[pool.db]\ncommand = \"\"\"\nx\n\"\"\"\n\
     restart = 'on-failure'\nbackoff = { first = '1s', max = '1m' }\nmax_restarts = { count = 3, within = '1h' }\n\
     stop = { signal = 'INT', grace = '0s' }\nuser = 'www-data'\numask = '022'\nnice = -5\npty = true\nraw = true\n\
     env_file = ['.env', 'more.env']\nlimits = { open_files = 10, memory = '1GB' }\nready.line_regex = '^a+$'\n",
    "pool.a.command = 'x'\npool.a.ports = [80, '90-99']\npool.b = { command = ['x'], workers = 3, after = 'a' }\n",
];

const PROCFILES: [&str; 2] = [
    "web: bundle exec serve -p $PORT\n# comment\n\nworker-2:\techo 'a: b' \"{n}\"\nclock_1: ./clock # tick\n",
    "\u{feff}web: x\r\nworker: y\r\n",
];

const DOTENVS: [&str; 2] = [
    "A=b\nexport B = 'c d' # e\nPORT=6000\n\n# f\nC=\"g\\n\\\"h\\$i\nj\"\nD=k#l\nE=\n",
    "\u{feff}A=b\r\nB=\"c\r\nd\"\r\n",
];

#[test]
fn the_reader_of_pm_toml_survives_random_texts() {
    attack(&PM_TOMLS, |_, text| {
        pm_toml::read(&document("pm.toml", text), &FakeHost { dotenv: "A=b" })
    });
}

#[test]
fn the_reader_of_a_procfile_survives_random_texts() {
    attack(&PROCFILES, |rng, text| {
        let formations = ["all=1,web=3", "web=1000", "worker", "=,", "all=0"];
        let formation = rng.bool().then(|| rng.choice(formations).unwrap().to_owned());
        let options = Options { formation, port: rng.bool().then(|| rng.u16(1..)) };
        procfile::read(&document("Procfile", text), &options, &FakeHost { dotenv: "PORT=1" })
    });
}

#[test]
fn the_reader_of_dotenv_survives_random_texts() {
    attack(&DOTENVS, |_, text| {
        procfile::read(
            &document("Procfile", "web: x"),
            &Options::default(),
            &FakeHost { dotenv: text },
        )
    });
}

#[test]
fn the_reader_of_a_formation_survives_random_texts() {
    attack(&["all=1,web=3", "web = 2, worker=0"], |_, text| {
        let options = Options { formation: Some(text.to_owned()), port: None };
        procfile::read(
            &document("Procfile", "web: x\nworker: y"),
            &options,
            &FakeHost { dotenv: "" },
        )
    });
}

/// Tries a reader with random changes of these texts.
fn attack(
    texts: &[&str],
    read: impl Fn(&mut Rng, &str) -> Result<Plan, Faults> + std::panic::RefUnwindSafe,
) {
    let (mut right, mut wrong) = (0_u64, 0_u64);
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let text = changed(&mut rng, texts);
        let began = Instant::now();
        let outcome = std::panic::catch_unwind(|| read(&mut rng.clone(), &text));
        let took = began.elapsed();
        let outcome = outcome.unwrap_or_else(|_| panic!("PM_SEED={seed} panics: {text:?}"));
        assert!(took < TIME_MAX, "PM_SEED={seed} takes {took:?}: {text:?}");
        match outcome {
            Ok(plan) => {
                right += 1;
                check_plan(&plan, seed);
            }
            Err(faults) => {
                wrong += 1;
                check_faults(&faults, seed);
            }
        }
    }
    println!("{right} right, {wrong} wrong");
    assert!(right > 0 && wrong > 0 || right + wrong < 1_000, "{right} right, {wrong} wrong");
}

/// A plan has the properties that its types promise.
fn check_plan(plan: &Plan, seed: u64) {
    assert!(plan.slots().count() >= 1, "PM_SEED={seed}: a plan without slots");
    assert!(plan.slots().count() <= pm::plan::WORKERS_MAX, "PM_SEED={seed}");
    let mut names = std::collections::BTreeSet::new();
    let mut ports = std::collections::BTreeSet::new();
    for (pool, slot) in plan.slots() {
        let exec = &slot.exec;
        assert!(names.insert(&slot.name), "PM_SEED={seed}: two slots {}", slot.name);
        assert!(slot.port.is_none_or(|port| ports.insert(port)), "PM_SEED={seed}: {:?}", slot.port);
        assert!(!exec.argv.is_empty(), "PM_SEED={seed}: {} has no argv", slot.name);
        assert!(exec.cwd.as_ref().is_none_or(|cwd| cwd.is_absolute()), "PM_SEED={seed}");
        assert!(pool.after.iter().all(|other| *other < plan.pools.len()), "PM_SEED={seed}");
        let words = exec.argv.iter().map(|argument| argument.as_encoded_bytes());
        let variables =
            exec.env.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        assert!(
            words.chain(variables).all(|word| !word.contains(&0)),
            "PM_SEED={seed}: a zero byte"
        );
    }
}

/// Each fault points into its text, and can be shown in one line and as a picture.
fn check_faults(faults: &Faults, seed: u64) {
    let mut last = None;
    for fault in faults.iter() {
        let text = &faults.source(fault).text;
        assert!(text.get(fault.span.clone()).is_some(), "PM_SEED={seed}: {fault:?}");
        let related = fault.related.as_ref().map_or(0..0, |(span, _)| span.clone());
        assert!(text.get(related).is_some(), "PM_SEED={seed}: {fault:?}");
        assert!(!fault.message().is_empty(), "PM_SEED={seed}: {fault:?}");
        let order = (fault.file, fault.span.start);
        assert!(last <= Some(order), "PM_SEED={seed}: out of order");
        last = Some(order);
        let place = faults.place(fault);
        assert!(
            place.line >= 1 && place.column >= 1 && place.end_line >= place.line,
            "PM_SEED={seed}"
        );
    }
    assert!(last.is_some(), "PM_SEED={seed}: no fault");
    assert!(faults.lines().all(|line| !line.contains('\n')), "PM_SEED={seed}");
    // Drawing the pictures takes longer than reading the text.
    if seed.is_multiple_of(64) {
        assert!(!pictures_in_colour(faults).is_empty(), "PM_SEED={seed}");
    }
}
