//! Random texts for the readers of `pm.toml`, Procfile, `.env`, notifications (sd_notify) and requests (HTTP): no panic,
//! no long wait, and each fault within its text.
//!
//! A seed changes a right text at random places, with words of a dictionary and with random bytes. Each reader is given
//! 20,000 texts, a million with PM_PROOF=1, N with PM_FUZZ=N. A failure names its seed; PM_SEED=N tries that one alone.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pm::cli::diagnostics::pictures_in_colour;
use pm::plan::host::{Document, FolderState, Host, Unreadable};
use pm::plan::procfile::{self, Options};
use pm::plan::{Faults, Identity, Plan, pm_toml};
use pm::reactor::http::{Arrived, Awaiting, Connection, READ_BYTES_MAX, Reply, Status};
use pm::sys::notify::{self, Notification};
use pm::wire::terminal::PROTOCOL;

/// A reader takes less than a second for the longest text. If it takes this long it hangs, even on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Right texts, to be changed.
const PM_TOMLS: [&str; 4] = [
    include_str!("../src/plan/lab.toml"),
    include_str!("../src/cli/init.toml"),
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

const WORDS: [&str; 56] = [
    "[pool.web]",
    "[[pool.web]]",
    "[pool]",
    "pool.",
    "command",
    "ports",
    "workers",
    "cwd",
    "path",
    "env",
    "env_file",
    "after",
    "restart",
    "max_restarts",
    "ready",
    "alive",
    "backoff",
    "stop",
    "log",
    "limits",
    "user",
    "group",
    "umask",
    "{port}",
    "{slot}",
    "{n}",
    "{",
    "}",
    "{{",
    "\"\"\"",
    "'''",
    "\"",
    "'",
    " = ",
    ", ",
    "[",
    "]",
    ".",
    ":",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\\",
    "\\u0000",
    "\0",
    "\u{feff}",
    "ü",
    "\u{1F980}",
    "\u{202e}",
    "\x1b[31m",
    "1-65535",
    "99999999999999999999",
    "-0.1e400",
    "export ",
];

fn document(name: &str, text: &str) -> Document {
    Document { name: name.into(), text: text.into(), dir: "/srv".into() }
}

struct FakeHost<'a> {
    dotenv: &'a str,
}

impl Host for FakeHost<'_> {
    fn read(&self, path: &Path) -> Result<Option<String>, Unreadable> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(".env") => Ok(Some(self.dotenv.to_owned())),
            Some("secret") => Err(Unreadable::NotRegular),
            Some(_) | None => Ok(None),
        }
    }

    fn user(&self, name: &str) -> Option<Identity> {
        let is_known = name == "www-data";
        is_known.then(|| Identity {
            user: name.into(),
            login: name.into(),
            home: "/var/www".into(),
            shell: "/usr/sbin/nologin".into(),
            uid: 33,
            gid: 33,
            groups: Vec::new(),
        })
    }

    fn group(&self, _: &str) -> Option<u32> {
        None
    }

    fn may_change_user(&self) -> bool {
        true
    }

    fn least_nice(&self) -> i32 {
        0
    }

    fn folder(&self, _: &Path) -> FolderState {
        FolderState::Missing
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

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

#[test]
fn the_reader_of_notifications_survives_random_datagrams() {
    const DATAGRAMS: [&str; 3] = [
        "READY=1\nSTATUS=half way\nMAINPID=12\n",
        "WATCHDOG=1",
        "STOPPING=1\nERRNO=2\nFDSTORE=1\nWATCHDOG=trigger\nX_A=b=c\n",
    ];
    let mut count = 0;
    for seed in seeds() {
        let bytes = changed_bytes(&mut Rng::with_seed(seed), &DATAGRAMS);
        let began = Instant::now();
        let notices = std::panic::catch_unwind(|| notify::parse(&bytes));
        let notices = notices.unwrap_or_else(|_| panic!("PM_SEED={seed} panics: {bytes:?}"));
        assert!(began.elapsed() < TIME_MAX, "PM_SEED={seed} takes too long: {bytes:?}");
        count += notices.len();
        for notice in notices {
            if let Notification::Status(text) | Notification::MainPid(text) = notice {
                let is_fit = text.chars().count() <= 200 && !text.contains(char::is_control);
                assert!(is_fit, "PM_SEED={seed}: control characters or too long: {text:?}");
            }
        }
    }
    println!("{count} notifications");
    assert!(count > 0);
}

#[test]
fn a_control_connection_survives_random_requests() {
    const REQUESTS: [&str; 4] = [
        "\r\nGET http://pm:80/v1/status?slots=web,%3A8081&stats=1 HTTP/1.1\r\nHost: pm\r\nAccept: */*\r\n\r\n\
         HEAD / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
        "POST /v1/stop HTTP/1.1\r\nHost: pm\r\nContent-Length: 17\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\n\r\n{\"slots\":[\"web\"]}GET / HTTP/1.1\r\nHost: pm\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
        "POST /v1/attach HTTP/1.1\r\nHost: pm\r\nConnection: Upgrade\r\nUpgrade: pm-terminal\r\n\r\n\
         k\0\u{3}abcs\0\u{4}\0\u{18}\0Pk\0\0",
    ];
    let (mut right, mut wrong) = (0, 0);
    for seed in seeds() {
        let bytes = changed_bytes(&mut Rng::with_seed(seed), &REQUESTS);
        let began = Instant::now();
        let answers = std::panic::catch_unwind(|| {
            (answers_to(bytes.chunks(READ_BYTES_MAX)), answers_to(bytes.chunks(1)))
        });
        let (whole, cut) = answers.unwrap_or_else(|_| panic!("PM_SEED={seed} panics: {bytes:?}"));
        assert!(began.elapsed() < TIME_MAX, "PM_SEED={seed} takes too long: {bytes:?}");
        assert_eq!(whole, cut, "PM_SEED={seed}: the reads make a difference");
        if whole.contains("\r\nContent-Type: application/problem+json\r\n") {
            wrong += 1;
        } else {
            right += 1;
        }
    }
    println!("{right} right, {wrong} wrong");
    assert!(right > 0 && wrong > 0 || right + wrong < 1_000, "{right} right, {wrong} wrong");
}

/// All that a client gets which sends these pieces, and then no more.
fn answers_to<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut connection = Connection::new();
    let (mut answers, mut frames) = (Vec::new(), String::new());
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(bytes) if connection.wants_bytes() => connection.on_bytes(bytes),
            Some(_) => {}
            None => connection.on_eof(),
        }
        loop {
            if let Some(request) = connection.next_request() {
                if request.upgrade.iter().any(|protocol| protocol == PROTOCOL) {
                    connection.switch_protocols(PROTOCOL);
                    continue;
                }
                let body = format!("{request:?}").into_bytes();
                connection.reply(&Reply::new(Status::Ok, "text/plain", body));
            }
            match connection.next_frame() {
                Arrived::Frame(frame) => frames += &format!("{frame:?}"),
                Arrived::TooLong | Arrived::End => connection.end_frames(),
                Arrived::Nothing if connection.output().is_empty() => break,
                Arrived::Nothing => {}
            }
            answers.extend_from_slice(connection.output());
            connection.advance(connection.output().len());
        }
    }
    assert_eq!((connection.awaiting(), connection.memory_bytes()), (Awaiting::Closed, 0));
    String::from_utf8(answers).expect("answers are text") + &frames
}

/// A text that repeats one thing, as long as a text may be: a reader that is not linear would be slow.
#[test]
fn a_long_repetition_is_read_in_linear_time() {
    // A build without optimization is given a sixteenth of it.
    let parts = if is_proof() { 1 } else { 16 };
    let most = pm::plan::FILE_BYTES_MAX / parts;
    let mut slow = String::new();
    for unit in WORDS.into_iter().chain([
        "a",
        "a\n",
        "a=\"\n",
        "A='\n",
        "A=1\n",
        "a: b\n",
        "a = {",
        "a.",
        "x = [",
        "x = 1\n",
        "[pool.a]\n",
        "'a',",
        "[pool.a]\ncommand='{n}'\n",
        "web=1,",
        "{port",
        "\"{a}\"",
        "8080,",
        "pool.a.env.b = 1\n",
        "'\\n",
    ]) {
        for (before, after) in
            [("", ""), ("[pool.web]\ncommand = [", "]"), ("[pool.web]\ncommand = '", "'")]
        {
            let count = (most - before.len() - after.len()) / unit.len();
            let text = format!("{before}{}{after}", unit.repeat(count));
            let dotenv = FakeHost { dotenv: &text };
            let formation = Options { formation: Some(text.clone()), port: None };
            let took = [
                time(|| pm_toml::read(&document("pm.toml", &text), &FakeHost { dotenv: "" })),
                time(|| {
                    procfile::read(
                        &document("Procfile", &text),
                        &Options::default(),
                        &FakeHost { dotenv: "" },
                    )
                }),
                time(|| {
                    procfile::read(&document("Procfile", "web: x"), &Options::default(), &dotenv)
                }),
                time(|| {
                    procfile::read(
                        &document("Procfile", "web: x"),
                        &formation,
                        &FakeHost { dotenv: "" },
                    )
                }),
            ];
            if let Some(most) = took.iter().max().filter(|took| **took > TIME_MAX) {
                writeln!(slow, "{:?} after {before:?}: {most:?}", unit.escape_debug()).unwrap();
            }
        }
    }
    assert!(slow.is_empty(), "{slow}");
}

fn time(read: impl FnOnce() -> Result<Plan, Faults>) -> Duration {
    let began = Instant::now();
    let _ = read();
    began.elapsed()
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

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("PM_SEED") {
        return seed..seed + 1;
    }
    0..number("PM_FUZZ").unwrap_or(if is_proof() { 1_000_000 } else { 20_000 })
}

fn is_proof() -> bool {
    std::env::var_os("PM_PROOF").is_some()
}

/// One of the texts with up to eight random changes.
fn changed(rng: &mut Rng, texts: &[&str]) -> String {
    String::from_utf8_lossy(&changed_bytes(rng, texts)).into_owned()
}

fn changed_bytes(rng: &mut Rng, texts: &[&str]) -> Vec<u8> {
    let mut bytes = rng.choice(texts).unwrap().as_bytes().to_vec();
    for _ in 0..rng.usize(0..=8) {
        let at = rng.usize(0..=bytes.len());
        let end = rng.usize(at..=bytes.len().min(at + 40));
        match rng.u8(0..7) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, rng.choice(WORDS).unwrap().bytes())),
            2 => drop(bytes.splice(at..end, rng.choice(WORDS).unwrap().bytes())),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.usize(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            4 if at < bytes.len() => bytes[at] = rng.u8(..),
            5 => bytes.truncate(at),
            6 => {
                let other = rng.choice(texts).unwrap().as_bytes();
                let from = rng.usize(0..=other.len());
                bytes.splice(at..at, other[from..].iter().copied());
            }
            _ => bytes.push(rng.u8(..)),
        }
    }
    bytes
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
