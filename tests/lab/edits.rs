//! A pm.toml that is edited again and again under load: unchanged workers stay, and no request fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procfs::process::Process;

use crate::rig::{Lab, PORTS};
use crate::support::ports::is_free;
use crate::support::processes;
use crate::support::programs::worker_binary;
use crate::support::run_mode::{proof, size, skip_without_deno};
use crate::support::waiting::eventually;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    /// At least one of the three ports, in order.
    ports: Vec<u16>,
    mode: u32,
    grace_ms: u64,
    jobs: usize,
    comment: u32,
}

/// What a web worker could notice: the number of its slot and its mode.
type Noticed = (usize, u32);

impl Text {
    fn first() -> Self {
        Self { ports: PORTS.to_vec(), mode: 0, grace_ms: 5_000, jobs: 1, comment: 0 }
    }

    fn written(&self) -> String {
        let project = env!("CARGO_MANIFEST_DIR");
        let worker = worker_binary();
        let Self { ports, mode, grace_ms, jobs, comment } = self;
        format!(
            "# edit {comment}
            [pool.web]
            command = ['deno', 'run', '--allow-read', '--allow-net', 'web.ts', '{{port}}', '0']
            cwd     = '{project}'
            path    = ['{project}/.deno/bin']
            ports   = {ports:?}
            env     = {{ MODE = '{mode}', DENO_NO_UPDATE_CHECK = '1' }}
            stop    = {{ grace = '{grace_ms}ms' }}
            [pool.job]
            command = ['{}', 'stay']
            workers = {jobs}
            ready   = {{ after = '0s' }}
            after   = ['web']
            ",
            worker.display()
        )
    }

    fn noticed(&self) -> BTreeMap<u16, Noticed> {
        (1..).zip(&self.ports).map(|(n, port)| (*port, (n, self.mode))).collect()
    }

    /// Changes one thing: the first edit keeps all workers, the second replaces them all, later ones are random.
    fn edit(&mut self, edit: u64) {
        self.comment += 1;
        let kind = match edit {
            0 => 3,
            1 => 0,
            _ => fastrand::u32(0..6),
        };
        match kind {
            0 => self.mode += 1,
            1 | 2 => {
                let port = PORTS[fastrand::usize(0..PORTS.len())];
                let ports: BTreeSet<_> = self.ports.iter().copied().collect();
                let ports = if ports.contains(&port) && ports.len() > 1 {
                    &ports - &BTreeSet::from([port])
                } else {
                    &ports | &BTreeSet::from([port])
                };
                self.ports = ports.into_iter().collect();
            }
            3 => self.grace_ms = fastrand::u64(2_000..9_000),
            4 => self.jobs = fastrand::usize(1..4),
            _ => {}
        }
    }
}

struct File(PathBuf);

impl File {
    fn write(&self, text: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(&new, &self.0).expect("a file");
    }
}

#[test]
fn edits_under_load_lose_no_request_and_keep_unchanged_workers() {
    if skip_without_deno() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = File(folder.path().join("pm.toml"));
    let mut text = Text::first();
    file.write(&text.written());
    let lab = Lab::on_file(&file.0);
    let proxy = lab.proxy();
    let mut known = settled(&lab, &text);
    let edits = size("PM_TEST_EDITS", 12, 200);
    let (mut kept, mut replaced, mut refused) = (0, 0, 0);
    let is_done = AtomicBool::new(false);
    let visits = thread::scope(|scope| {
        let visitors = scope.spawn(|| {
            let mut visits = 0;
            while !is_done.load(Ordering::Relaxed) {
                lab.load(&["--requests", "300", "--workers", "8"]);
                visits += 300;
            }
            visits
        });
        let end = crate::Finally(&is_done);
        let mut touched = BTreeSet::new();
        for edit in 0..edits {
            if fastrand::u32(0..6) == 0 {
                file.write(&text.written().replace("command", "comand"));
                processes::send(Signal::SIGUSR1, lab.pid());
                refused += 1;
                lab.says.wait_for_many(refused, "nothing has changed");
                // The next edit replaces this file.
            }
            let before = text.noticed();
            text.edit(edit);
            let after = text.noticed();
            touched.extend(PORTS.into_iter().filter(|port| before.get(port) != after.get(port)));
            file.write(&text.written());
            processes::send(Signal::SIGUSR1, lab.pid());
            // Some edits come while the roll of the last one is still going on.
            if edit < 2 || fastrand::u32(0..3) > 0 || edit + 1 == edits {
                let now = settled(&lab, &text);
                for (port, pid) in &now {
                    if touched.contains(port) {
                        replaced += 1;
                    } else {
                        assert_eq!(known.get(port), Some(pid), "{port} is unchanged: {text:?}");
                        kept += 1;
                    }
                }
                known = now;
                touched.clear();
            }
        }
        drop(end);
        visitors.join().expect("no request has failed")
    });
    assert!(kept > 0 && replaced > 0, "{kept} {replaced}");
    proof(
        "edits under load",
        &format!(
            "{edits}, {refused} more refused, with {visits} requests and 0 failures; \
             a worker was kept {kept} times and replaced {replaced} times, as it should"
        ),
    );
    drop(proxy);
    lab.stop();
}

/// Waits until the workers are as in the text. Returns the pid on each port.
fn settled(lab: &Lab, text: &Text) -> BTreeMap<u16, Pid> {
    eventually(&format!("all is as in {text:?}"), || {
        let (mut serving, mut jobs) = (BTreeMap::new(), 0);
        for pid in processes::children_of(lab.reactor()) {
            let environment = Process::new(pid.as_raw()).ok()?.environ().ok()?;
            let value = |name: &str| environment.get(Path::new(name).as_os_str())?.to_str();
            match value("PM_POOL")? {
                "web" => {
                    let n = value("PM_SLOT")?.strip_prefix("web.")?.parse().ok()?;
                    let noticed: Noticed = (n, value("MODE")?.parse().ok()?);
                    serving.insert(value("PORT")?.parse::<u16>().ok()?, (pid, noticed));
                }
                _ => jobs += 1,
            }
        }
        let found: BTreeMap<_, _> =
            serving.iter().map(|(port, (_, noticed))| (*port, *noticed)).collect();
        let is_settled = found == text.noticed()
            && jobs == text.jobs
            && text.ports.iter().all(|port| !is_free(*port));
        is_settled.then(|| serving.into_iter().map(|(port, (pid, _))| (port, pid)).collect())
    })
}
