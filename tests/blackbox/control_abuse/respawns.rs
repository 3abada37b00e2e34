//! While clients abuse the control socket, a dead worker is replaced as fast as without them.
//!
//! Two pms stand side by side, and a worker of each is killed in turn, so whatever else the machine does falls on both.
//! Only one of them is abused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::kinds::{FAULTY, KINDS, Kind, exchange, status_by_nobody};
use super::{calm, memory};
use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::proc_events::{ProcEvents, What};
use crate::support::programs::open_copies;
use crate::support::run_mode::{is_proof, proof, size, skip};
use crate::support::waiting::DEADLINE;

/// A pm with one worker.
struct Keeper {
    _folder: TempDir,
    pm: Pm,
    reactor: Pid,
    api: Api,
    worker: Pid,
    generation: u64,
}

impl Keeper {
    fn start() -> Self {
        let (folder, pm, api) = calm();
        let worker = pm.wait_slot_ready(".1", 1);
        Self { _folder: folder, reactor: pm.reactor(), pm, api, worker, generation: 1 }
    }

    /// The time from the death of its worker to the exec of the next, by the kernel's record.
    fn respawn(&mut self, events: &ProcEvents) -> Duration {
        kill(self.worker, Signal::SIGKILL).expect("a living worker");
        let (mut died, mut next, mut execd) = (None, None, None);
        let took = loop {
            let (when, what) = events.next(DEADLINE).expect("the connector").expect("a respawn");
            match what {
                What::Exited { pid } if pid == self.worker.as_raw() => died = Some(when),
                // The events begin before the first worker.
                What::Forked { parent, child }
                    if parent == self.reactor.as_raw() && child != self.worker.as_raw() =>
                {
                    next = Some(child);
                }
                What::Execd { pid } if next == Some(pid) => execd = Some((when, pid)),
                What::Exited { .. } | What::Forked { .. } | What::Execd { .. } => {}
            }
            // The kernel wakes pm before it records the death, so an exec on the other core may be recorded first.
            if let (Some(died), Some((execd, pid))) = (died, execd) {
                self.worker = Pid::from_raw(pid);
                break Duration::from_nanos(execd.saturating_sub(died));
            }
        };
        self.generation += 1;
        assert_eq!(self.pm.wait_slot_ready(".1", self.generation), self.worker);
        took
    }
}

#[test]
fn a_dead_worker_is_replaced_as_fast_while_clients_abuse_the_socket() {
    let events = match ProcEvents::listen() {
        Ok(events) => events,
        Err(error) => return skip(format!("the process event connector needs root: {error}")),
    };
    let [mut abused, mut left_alone] = [Keeper::start(), Keeper::start()];
    let before = memory(&abused.pm);
    let mut most = before;
    let [each, all] = [size("PM_KILLS", 10, 100), size("PM_KILLS_IN_ALL", 40, 500)];
    let mut samples = [Vec::new(), Vec::new()];
    let alone = KINDS.iter().map(|kind| (kind.name, std::slice::from_ref(kind), each));
    for (name, kinds, kills) in alone.chain([("all of it at once", &KINDS[..], all)]) {
        let of_kind = during(&abused.api.clone(), kinds, || {
            let samples = in_turn(&events, &mut abused, &mut left_alone, kills);
            most = most.max(memory(&abused.pm));
            samples
        });
        assert_eq!(abused.api.get("/v1/status").status, 200, "after {name}");
        proof(name, &figure(&of_kind));
        for (all, of_kind) in samples.iter_mut().zip(of_kind) {
            all.extend(of_kind);
        }
    }
    proof("every kind", &figure(&samples));
    let after = memory(&abused.pm);
    proof("memory of pm", &format!("{before} kB, at most {most} kB, then {after} kB"));
    assert!(most - before < 12_000, "{before} kB before, {most} kB under abuse");
    if is_proof() {
        let [abused, left_alone] = samples.map(p50);
        assert!(abused.as_secs_f64() <= 1.1 * left_alone.as_secs_f64());
    }
    abused.pm.stop();
    left_alone.pm.stop();
}

/// Kills a worker of each in turn; each is first equally often.
fn in_turn(
    events: &ProcEvents,
    abused: &mut Keeper,
    left_alone: &mut Keeper,
    kills: u64,
) -> [Vec<Duration>; 2] {
    let mut samples = [Vec::new(), Vec::new()];
    for n in 0..kills {
        if n % 2 == 0 {
            samples[0].push(abused.respawn(events));
            samples[1].push(left_alone.respawn(events));
        } else {
            samples[1].push(left_alone.respawn(events));
            samples[0].push(abused.respawn(events));
        }
    }
    samples
}

/// Does something while clients abuse the socket in these ways.
fn during<T>(api: &Api, kinds: &[Kind], act: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for kind in kinds {
            let is_over = &is_over;
            scope.spawn(move || (kind.abuse)(api, is_over));
        }
        // They end when this fails, too.
        let _end = Finally(&is_over);
        act()
    })
}

struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn p50(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

fn figure(samples: &[Vec<Duration>; 2]) -> String {
    let [abused, left_alone] = samples.clone().map(p50);
    let ratio = abused.as_secs_f64() / left_alone.as_secs_f64();
    let kills = samples[0].len();
    format!("{kills} kills each: p50 {abused:.1?}, left alone {left_alone:.1?}, ratio {ratio:.2}")
}

#[test]
fn a_faulty_request_is_refused_with_its_status_and_is_the_last_of_its_connection() {
    let (_folder, pm, api) = calm();
    for (request, status) in FAULTY {
        let followed = format!("{request}GET /v1 HTTP/1.1\r\nHost: pm\r\n\r\n");
        for bytes in [request, &*followed] {
            let answer = String::from_utf8(exchange(&api, bytes.as_bytes())).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{bytes:?}: {answer}");
        }
    }
    pm.stop();
}

#[test]
fn another_user_is_told_that_the_pm_is_not_its_own() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can become another user");
    }
    let (folder, pm, api) = calm();
    let [program, _] = open_copies(folder.path());
    let refused = status_by_nobody(&program, &api).output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    pm.stop();
}
