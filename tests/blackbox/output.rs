//! The output of workers: it arrives complete and in order, and a reader that does not read blocks no worker.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::ports::is_free;
use crate::support::processes::send;
use crate::support::programs::{shell, worker};
use crate::support::run_mode::size;
use crate::support::terminal::Terminal;
use crate::support::waiting::{DEADLINE, eventually};

/// How many numbered lines of the fixture worker there are in this many bytes.
fn lines_in(bytes: u64) -> u64 {
    bytes / 104
}

/// Takes the numbered lines of the fixture worker and checks that none is lost, torn or out of order.
#[derive(Default)]
struct Flood {
    next: u64,
}

impl Flood {
    fn take(&mut self, line: &str) {
        let mut parts = line.split(' ');
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (n, length) = (number(), number());
        let dots = parts.next().expect("dots");
        assert_eq!(n, Some(self.next), "a line is lost or out of order: {line}");
        assert_eq!(length, Some(dots.len() as u64), "a line is torn: {line}");
        assert!(parts.next().is_none() && dots.bytes().all(|byte| byte == b'.'), "{line}");
        self.next += 1;
    }
}

#[test]
fn every_line_begins_with_the_name_of_its_slot() {
    let orders = "say one print half wait 50 say -way exit 0";
    let mut pm = Pool::of(worker(orders)).of_size(2).option("--restart", "never").start();
    pm.wait_exit(0);
    let mut lines = pm.prints.all_to_the_end();
    lines.sort();
    let expected = [1, 2].map(|n| {
        let slot = pm.slot(n);
        [format!("{slot} | half-way"), format!("{slot} | one")]
    });
    assert_eq!(lines, expected.concat());
}

#[test]
fn stdout_and_stderr_of_a_worker_keep_their_order() {
    let script = "i=0; while test $i -lt 200; do echo out $i; echo err $i >&2; i=$((i + 1)); done";
    let mut pm = Pool::of(shell(script)).of_size(1).option("--restart", "never").start();
    pm.wait_exit(0);
    let slot = pm.slot(1);
    let expected: Vec<_> =
        (0..200).flat_map(|i| [format!("{slot} | out {i}"), format!("{slot} | err {i}")]).collect();
    assert_eq!(pm.prints.all_to_the_end(), expected);
}

#[test]
fn the_last_line_of_a_worker_needs_no_newline_and_comes_before_the_report_of_its_exit() {
    let terminal = Terminal::open();
    let pool = Pool::of(worker("say one print two exit 5")).of_size(1).in_terminal(&terminal);
    let mut pm = pool.option("--restart", "never").with("NO_COLOR", "1").start();
    pm.wait_exit(5);
    let lines = pm.prints.all_to_the_end();
    let at = |text: &str| lines.iter().position(|line| line.ends_with(text) || line.contains(text));
    assert!(at("| two").is_some(), "{lines:?}");
    assert!(at("| two") < at("exited 5"), "{lines:?}");
}

#[test]
fn a_long_line_is_cut_and_continues_after_a_plus() {
    let script = "head -c 150000 /dev/zero | tr '\\0' x; echo; echo after";
    let mut pm = Pool::of(shell(script)).of_size(1).option("--restart", "never").start();
    pm.wait_exit(0);
    let slot = pm.slot(1);
    let lines = pm.prints.all_to_the_end();
    let (last, pieces) = lines.split_last().unwrap();
    assert_eq!(*last, format!("{slot} | after"));
    assert!(pieces[0].starts_with(&format!("{slot} | x")));
    assert!(pieces[1..].iter().all(|piece| piece.starts_with(&format!("{slot} + x"))));
    let length: usize = pieces.iter().map(|piece| piece.len() - slot.len() - 3).sum();
    assert_eq!(length, 150_000);
}

#[test]
fn a_flood_into_a_file_is_complete() {
    let count = lines_in(size("PM_TEST_FLOOD_MB", 20, 200) * 1_000_000 / 2);
    let file = tempfile::tempfile().unwrap();
    let pool = Pool::of(worker(&format!("flood {count}"))).of_size(2);
    let pool = pool.option("--restart", "never").into_file(file.try_clone().unwrap());
    let mut pm = pool.start();
    pm.wait_exit(0);
    let prefixes = [1, 2].map(|n| format!("{} | ", pm.slot(n)));
    let mut floods = [Flood::default(), Flood::default()];
    let mut file = file;
    std::io::Seek::rewind(&mut file).unwrap();
    for line in BufReader::with_capacity(1 << 20, file).lines() {
        let line = line.unwrap();
        let of = prefixes.iter().position(|prefix| line.starts_with(prefix)).expect("a slot");
        floods[of].take(&line[prefixes[of].len()..]);
    }
    assert_eq!(floods.map(|flood| flood.next), [count; 2]);
}

#[test]
fn a_flood_through_a_slow_pipe_is_complete() {
    let count = lines_in(4_000_000);
    let pool = Pool::of(worker(&format!("flood {count}"))).of_size(1);
    let mut pm = pool.option("--restart", "never").into_pipe().start();
    let prefix = format!("{} | ", pm.slot(1));
    let slow = Slow(pm.stdout(), Duration::from_millis(2));
    let mut flood = Flood::default();
    for line in BufReader::with_capacity(16 * 1024, slow).lines() {
        flood.take(line.unwrap().strip_prefix(&prefix).expect("the slot"));
    }
    assert_eq!(flood.next, count);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("dropped"), [""; 0]);
}

#[test]
fn a_flood_through_a_large_pipe_that_is_emptied_at_once_is_complete() {
    let count = lines_in(20_000_000);
    let (reader, writer) = std::io::pipe().unwrap();
    // More than pm keeps for its reader. So pm gets rid of all that waits without an EAGAIN.
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1 << 20)).unwrap();
    let pool = Pool::of(worker(&format!("flood {count}"))).of_size(1);
    let pool = pool.option("--restart", "never").into_file(File::from(OwnedFd::from(writer)));
    let mut pm = pool.start();
    let prefix = format!("{} | ", pm.slot(1));
    let slow = Slow(Timed(reader), Duration::from_millis(20));
    let mut flood = Flood::default();
    for line in BufReader::with_capacity(4 << 20, slow).lines() {
        flood.take(line.unwrap().strip_prefix(&prefix).expect("the slot"));
    }
    assert_eq!(flood.next, count);
    pm.wait_exit(0);
}

/// A pipe in which something comes in time.
struct Timed(PipeReader);

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let most = PollTimeout::try_from(DEADLINE).unwrap();
        let ready = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], most);
        assert_eq!(ready, Ok(1), "pm writes no more");
        self.0.read(bytes)
    }
}

#[test]
fn the_last_lines_wait_for_a_slow_reader() {
    // pm has read all of it when its worker ends. The reader needs another two seconds.
    let count = lines_in(300_000);
    let pool = Pool::of(worker(&format!("flood {count}"))).of_size(1);
    let mut pm = pool.option("--restart", "never").into_pipe().start();
    let slow = Slow(pm.stdout(), Duration::from_millis(30));
    let lines = BufReader::with_capacity(4 * 1024, slow).lines().count();
    assert_eq!(lines as u64, count);
    pm.wait_exit(0);
}

/// A reader that waits before each read.
struct Slow<R>(R, Duration);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        thread::park_timeout(self.1);
        self.0.read(bytes)
    }
}

#[test]
fn workers_are_replaced_and_reported_when_stdout_is_closed_from_the_start() {
    let pool = Pool::of(worker("say up listen {port} stay")).on_ports(1);
    let pm = pool.after("exec >&-").start();
    pm.wait_ready(1, 1);
    for generation in 2..=5 {
        ask(pm.ports[0], "exit 255");
        pm.wait_ready(1, generation);
    }
    pm.stop();
}

#[test]
fn workers_are_replaced_when_the_reader_of_stdout_goes_away() {
    let pool = Pool::of(worker("say up listen {port} stay")).on_ports(1).into_pipe();
    let mut pm = pool.start();
    pm.wait_ready(1, 1);
    let mut line = String::new();
    BufReader::new(pm.stdout()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("{} | up\n", pm.slot(1)));
    for generation in 2..=5 {
        ask(pm.ports[0], "exit 255");
        pm.wait_ready(1, generation);
    }
    pm.says.wait_for("stdout is closed: the workers go on");
    assert_eq!(pm.says.with("stdout is closed").len(), 1);
    pm.stop();
}

#[test]
fn workers_are_replaced_when_stdin_stdout_and_stderr_are_closed() {
    let pool = Pool::of(worker("say up listen {port} stay")).on_ports(1);
    let mut pm = pool.after("exec >&- 2>&- <&-").start();
    for generation in 1..=3 {
        eventually("the next generation", || {
            pm.members().iter().any(|member| member.generation == generation).then_some(())
        });
        eventually("it serves", || (!is_free(pm.ports[0])).then_some(()));
        send(Signal::SIGKILL, pm.members()[0].pid);
    }
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
}

#[test]
fn an_unread_pipe_blocks_no_worker_and_the_dropped_lines_are_counted() {
    let mut pm = Pool::of(worker("listen {port} flood 0")).on_ports(1).into_pipe().start();
    let stdout = pm.stdout();
    pm.wait_ready(1, 1);
    for generation in 2..=4 {
        ask(pm.ports[0], "exit 255");
        pm.wait_ready(1, generation);
    }
    // The pipe, pm's queue and the worker's pipe are full now. The worker writes more only if pm reads it.
    eventually("the reader counts as stalled, and the worker can write", || {
        let lines = ask(pm.ports[0], "written").parse::<u64>().expect("a number");
        (lines > lines_in(4_000_000)).then_some(())
    });
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    eventually("the dropped lines are reported", || {
        line.clear();
        stdout.read_line(&mut line).unwrap();
        pm.says.with("lines of output: nothing was read for 2s").pop()
    });
    // pm writes until its end, so the reader must go on.
    thread::spawn(move || stdout.lines().map_while(Result::ok).count());
    pm.stop();
}

#[test]
fn workers_are_replaced_while_ctrl_s_stops_the_terminal() {
    let terminal = Terminal::open();
    let pool = Pool::of(worker("say up listen {port} stay")).on_ports(2).with("NO_COLOR", "1");
    let pm = pool.in_terminal(&terminal).start();
    let before = pm.wait_all_ready(2);
    terminal.type_keys("\x13");
    for (n, pid) in (1..).zip(&before) {
        send(Signal::SIGKILL, *pid);
        eventually("the next generation", || {
            let slot = pm.slot(n);
            pm.members().into_iter().find(|member| member.slot == slot && member.generation == 2)
        });
    }
    // Enough to fill all buffers between pm and the screen.
    eventually("it serves", || (!is_free(pm.ports[0])).then_some(()));
    ask(pm.ports[0], "flood 20000");
    assert_eq!(pm.says.with("was killed by SIGKILL"), [""; 0]);
    terminal.type_keys("\x11");
    pm.says.wait_for(&format!("{} is ready", pm.slot(1)));
    pm.prints.wait_for(&format!("{} | 19999 ", pm.slot(1)));
    pm.stop();
}

#[test]
fn a_pipe_gets_no_colour_unless_asked_for() {
    let run = |option: &str, variable: Option<(&str, &str)>| {
        let pool = Pool::of(worker("say up")).of_size(1).option("--restart", "never");
        let pool = pool.option("--color", option);
        let pool = variable.into_iter().fold(pool, |pool, (name, value)| pool.with(name, value));
        let mut pm = pool.start();
        pm.wait_exit(0);
        let is_coloured = |lines: Vec<String>| lines.iter().any(|line| line.contains('\x1b'));
        (is_coloured(pm.prints.all_to_the_end()), is_coloured(pm.says.all_to_the_end()))
    };
    assert_eq!(run("auto", None), (false, false));
    assert_eq!(run("always", None), (true, true));
    assert_eq!(run("auto", Some(("CLICOLOR_FORCE", "1"))), (true, true));
    assert_eq!(run("never", Some(("CLICOLOR_FORCE", "1"))), (false, false));
    assert_eq!(run("always", Some(("NO_COLOR", "1"))), (true, true));
}

#[test]
fn a_terminal_gets_colour_unless_no_color_is_set() {
    let run = |variable: Option<(&str, &str)>| {
        let terminal = Terminal::open();
        let pool = Pool::of(worker("say up")).of_size(1).option("--restart", "never");
        let pool = variable.into_iter().fold(pool, |pool, (name, value)| pool.with(name, value));
        let mut pm = pool.in_terminal(&terminal).start();
        pm.wait_exit(0);
        pm.prints.all_to_the_end().iter().any(|line| line.contains('\x1b'))
    };
    assert!(run(None));
    assert!(!run(Some(("NO_COLOR", "1"))));
    assert!(!run(Some(("TERM", "dumb"))));
}

#[test]
fn a_shared_output_file_keeps_what_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let file = File::create(&path).unwrap();
    std::io::Write::write_all(&mut &file, b"before\n").unwrap();
    let pool = Pool::of(worker("say up")).of_size(1).option("--restart", "never");
    let mut pm = pool.into_file(file).start();
    pm.wait_exit(0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("before\n{} | up\n", pm.slot(1)));
}

#[test]
fn an_output_that_cannot_be_written_does_not_delay_the_end_and_its_lines_are_counted() {
    for (full, why) in [("/dev/full", "no space left"), ("/proc/self/mem", "I/O error")] {
        let file = File::options().write(true).open(full).unwrap();
        let pool = Pool::of(worker("flood 10")).of_size(1).option("--restart", "never");
        let begin = std::time::Instant::now();
        let mut pm = pool.into_file(file).start();
        pm.wait_end();
        let took = begin.elapsed();
        let said = pm.says.all_to_the_end();
        let is_said =
            |texts: &[&str]| said.iter().any(|line| texts.iter().all(|text| line.contains(text)));
        assert!(is_said(&["cannot write to stdout", why]), "{said:?}");
        assert!(is_said(&["lost 10 lines of output"]), "{said:?}");
        assert!(took < Duration::from_millis(1_900), "{took:?}");
    }
}

#[test]
fn lines_that_a_stalled_reader_has_not_taken_at_the_end_are_counted() {
    let count = lines_in(1_000_000);
    let pool = Pool::of(worker(&format!("flood {count}"))).of_size(1);
    let mut pm = pool.option("--restart", "never").into_pipe().start();
    let stdout = pm.stdout();
    pm.wait_end();
    let said = pm.says.all_to_the_end();
    let lost: u64 = said
        .iter()
        .filter_map(|line| line.split_once("lost ")?.1.split_once(" lines of output"))
        .map(|(number, _)| number.parse::<u64>().unwrap())
        .sum();
    let text = std::io::read_to_string(stdout).unwrap();
    assert_eq!(text.matches('\n').count() as u64 + lost, count, "{said:?}");
}
