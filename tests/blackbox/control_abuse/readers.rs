//! Readers of the lines of workers that write much: none that reads misses a line, and none slows the workers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::memory;
use crate::support::api::Api;
use crate::support::lines::Lines;
use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{processor_time, state};
use crate::support::programs::{pm_binary, worker};
use crate::support::run_mode::{is_proof, proof, size};
use crate::support::waiting::{DEADLINE, eventually};

const WORKERS: usize = 3;
const READERS: usize = 9;

/// The numbers of the lines of each worker that a reader has been given.
#[derive(Default)]
struct Seen([u64; WORKERS]);

impl Seen {
    /// The line must be the next of its worker, if it is one of the numbered.
    fn take(&mut self, line: &str) {
        let (slot, text) = line.split_once(" | ").unwrap_or_else(|| panic!("no slot: {line}"));
        let (_, slot) = slot.rsplit_once('.').unwrap_or_else(|| panic!("{line}"));
        let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Ok(number) = number.parse::<u64>() else { return };
        let (length, dots) = rest.split_once(' ').expect("a length");
        assert_eq!(length.parse(), Ok(dots.len()), "a line is torn: {line}");
        let next = &mut self.0[slot.trim().parse::<usize>().unwrap() - 1];
        assert_eq!(number, *next, "a hole or a double: {line}");
        *next += 1;
    }
}

#[test]
fn readers_miss_no_line_and_slow_no_worker_and_a_stopped_one_is_told_its_loss() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let nowhere = File::options().write(true).open("/dev/null").unwrap();
    let pool = Pool::of(worker("listen {port} stay")).on_ports(WORKERS).into_file(nowhere);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.wait_all_ready(WORKERS);
    let api = Api::at(&socket);
    let [lines, rate] = [size("PM_LINES", 3_000, 64_000), size("PM_RATE", 2_000, 32_000)];
    let before = memory(&pm);
    let mut most = before;
    let [mut took, mut used] = [[Duration::ZERO; 2]; 2];
    for round in 0..size("PM_ROUNDS", 1, 4) {
        let idle = processor_time(pm.reactor());
        took[0] += write(&pm, lines, rate);
        used[0] += processor_time(pm.reactor()) - idle;
        let mut sleeper = Sleeper::of(&pm, &api);
        let readers = (0..READERS).map(|_| Reader::of(&api)).collect::<Vec<_>>();
        thread::scope(|scope| {
            // With the line `over`.
            let all = (lines * WORKERS as u64 + 1) as usize;
            let readers = readers.into_iter().map(|reader| scope.spawn(move || reader.read(all)));
            let readers = readers.collect::<Vec<_>>();
            let began = processor_time(pm.reactor());
            took[1] += write(&pm, lines, rate);
            used[1] += processor_time(pm.reactor()) - began;
            most = most.max(memory(&pm));
            assert_eq!(ask(pm.ports[0], "say over"), "done");
            for reader in readers {
                let text = String::from_utf8(reader.join().expect("a whole stream")).unwrap();
                let mut seen = Seen::default();
                text.lines().for_each(|line| seen.take(line));
                assert_eq!(seen.0, [lines; WORKERS]);
            }
        });
        let lost = sleeper.wake_and_read(lines * WORKERS as u64);
        if is_proof() {
            proof(
                "the stopped reader",
                &format!("was told in round {round} that it lost {lost} lines"),
            );
            assert!(lost > 0);
        }
    }
    let [without, with] = took.map(|took| took.as_secs_f64());
    let slower = (with / without - 1.0) * 100.0;
    proof("workers", &format!("{without:.3} s, with readers {with:.3} s ({slower:+.2} %)"));
    proof("processor time of pm", &format!("{:.2?}, with readers {:.2?}", used[0], used[1]));
    proof("memory of pm", &format!("{before} kB, at most {most} kB"));
    // The ring has 4 MiB, and each of ten clients 64 KiB.
    assert!(most.saturating_sub(before) < 8_000, "{before} kB before, {most} kB with readers");
    if is_proof() {
        assert!(slower <= 2.0, "{slower} %");
    }
    pm.stop();
}

/// Has each worker write this many lines, so many a second, and waits until all have. The time is that of the workers.
fn write(pm: &Pm, lines: u64, rate: u64) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        for port in &pm.ports {
            scope.spawn(move || assert_eq!(ask(*port, &format!("steady {lines} {rate}")), "done"));
        }
    });
    began.elapsed()
}

/// A reader of new lines.
struct Reader(BufReader<UnixStream>);

impl Reader {
    fn of(api: &Api) -> Self {
        let mut stream = api.connect();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"GET /v1/logs?lines=0&follow=1 HTTP/1.0\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("a head");
        }
        Self(reader)
    }

    /// Reads so many lines: none of the workers' pipes need be read before another's, so the last line may be any. What
    /// it has read is looked at later, so that it is not the reader that is slow.
    fn read(mut self, lines: usize) -> Vec<u8> {
        let newlines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
        let mut bytes = self.0.buffer().to_vec();
        let mut seen = newlines(&bytes);
        let mut chunk = vec![0; 256 * 1024];
        while seen < lines {
            let count = self.0.get_mut().read(&mut chunk).expect("the next lines");
            assert!(count > 0, "the stream has ended");
            seen += newlines(&chunk[..count]);
            bytes.extend_from_slice(&chunk[..count]);
        }
        bytes
    }
}

/// A `pm logs -f` that is stopped.
struct Sleeper {
    child: Child,
    lines: Lines,
}

impl Sleeper {
    fn of(pm: &Pm, api: &Api) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new(pm_binary());
        command.args(["logs", "-f", "-n", "0"]).env("PM_SOCKET", api.socket());
        let again = writer.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(again).stderr(writer).spawn().unwrap();
        let lines = Lines::of(reader);
        let sleeper = Self { child, lines };
        eventually("a reader that follows", || {
            ask(pm.ports[0], "say follow");
            (!sleeper.lines.with("follow").is_empty()).then_some(())
        });
        sleeper.signal(Signal::SIGSTOP);
        eventually("a stopped reader", || (state(sleeper.pid()) == Some('T')).then_some(()));
        sleeper
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is not reaped");
    }

    /// Lets it go on until it has this many lines, given or counted as lost. Returns how many it was told to have lost.
    fn wake_and_read(&mut self, all: u64) -> u64 {
        self.signal(Signal::SIGCONT);
        let lost = eventually("every line is given or counted as lost", || {
            let given = self.lines.with(".").iter().filter(|line| is_numbered(line)).count() as u64;
            let told = self.lines.with("lines were lost");
            let lost = told.iter().map(|line| number_before(line, " lines were lost")).sum::<u64>();
            (given + lost >= all).then_some((given, lost))
        });
        // What was written before it was stopped may be among what it has lost.
        assert_eq!(lost.0 + lost.1, all);
        lost.1
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It is not reaped yet, so its pid cannot belong to another process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_numbered(line: &str) -> bool {
    let text = line.split_once("| ").map_or("", |(_, text)| text);
    text.split(' ').next().is_some_and(|number| number.parse::<u64>().is_ok())
}

fn number_before(line: &str, words: &str) -> u64 {
    let (before, _) = line.split_once(words).expect("the words");
    before.rsplit(' ').next().expect("a number").parse().expect("a number")
}
