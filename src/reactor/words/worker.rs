//! Sentences about one worker.

use std::time::Duration;

use nix::unistd::Pid;

use super::{signal_name, size};
use crate::plan::text::duration::words;
use crate::plan::{Probe, ReadyBy};
use crate::reactor::probe::Trouble;
use crate::supervisor::{Exit, Next};
use crate::sys::SpawnError;
use crate::sys::ports::Holder;
use crate::sys::proc::{Seen, SignalState};

/// As many processes as one line names.
const NAMED_MAX: usize = 3;

/// What is known of a worker when there is something to say about it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `web.2`.
    pub name: &'a str,
    pub port: Option<u16>,
    pub generation: u64,
    /// Since its spawn.
    pub age: Duration,
}

impl Subject<'_> {
    pub fn is_ready(&self, pid: Option<nix::unistd::Pid>) -> String {
        let Self { name, generation, .. } = self;
        let age = words(self.age);
        let on = self.port.map(|port| format!(" on port {port}")).unwrap_or_default();
        let pid = pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
        format!("{name} is ready{on} after {age} ({pid}generation {generation})")
    }

    pub fn crashed(&self, exit: Exit, why: Option<&str>, next: Next) -> String {
        let (name, age) = (self.name, words(self.age));
        format!("{name} {} after {age}; {}", ended(exit, why), self.then(next))
    }

    pub fn failed_to_start(&self, exit: Exit, why: Option<&str>, next: Next) -> String {
        let (name, age) = (self.name, words(self.age));
        let (ended, then) = (ended(exit, why), self.then(next));
        match next {
            // A job that has done what it was for.
            Next::End if exit.is_success() => format!("{name} {ended} after {age}; {then}"),
            Next::Spawn
            | Next::Backoff(_)
            | Next::GiveUp
            | Next::TooManyRestarts
            | Next::End
            | Next::Down => format!("{name} {ended} after {age}, before it was ready; {then}"),
        }
    }

    /// `trouble` is what the last of so many looks in a row came by.
    pub fn hangs(&self, trouble: Option<&Trouble>, looks: u32) -> String {
        let why = match trouble {
            Some(said @ (Trouble::Silent(_) | Trouble::Confessed)) => format!(": {said}"),
            Some(found) if looks > 1 => format!(": {found}, {looks} times in a row"),
            Some(found) => format!(": {found}"),
            None => String::new(),
        };
        format!("{} hangs{why}; stopping it", self.name)
    }

    /// For a worker of a changed plan.
    pub fn makes_way(&self) -> String {
        format!("{} makes way for generation {}", self.name, self.generation + 1)
    }

    pub fn cannot_start(&self, trouble: &SpawnError, hint: Option<&str>, next: Next) -> String {
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let next = match next {
            Next::Spawn => "trying again at once".into(),
            Next::Backoff(_) | Next::GiveUp | Next::TooManyRestarts | Next::End | Next::Down => {
                self.then(next)
            }
        };
        format!("{} cannot start: {trouble}{hint}; {next}", self.name)
    }

    /// Said once for as long as it lasts.
    pub fn is_shut_out(
        &self,
        trouble: &SpawnError,
        takes_over: bool,
        pause_max: Duration,
    ) -> String {
        let (name, pause_max) = (self.name, words(pause_max));
        let trying = format!("trying until it is free, up to {pause_max} apart");
        let is_orphan =
            matches!(trouble, SpawnError::PortHeld { holder: Holder::Orphan { .. }, .. });
        let next = match (is_orphan, takes_over) {
            (true, true) => "killing it".into(),
            (true, false) => format!("`--take-over` would kill it; {trying}"),
            (false, _) => trying,
        };
        format!("{name} cannot start: {trouble}; {next}")
    }

    /// `last` is what the last look came by, or what it last said of itself.
    pub fn was_never_ready(
        &self,
        awaited: &ReadyBy,
        within: Duration,
        last: Option<&str>,
    ) -> String {
        let name = self.name;
        let what = match awaited {
            ReadyBy::Probe(Probe::Tcp { port }) => {
                format!("did not accept a connection on port {port}")
            }
            ReadyBy::Probe(Probe::Http { target, port, .. }) => {
                format!("did not answer GET {target} on port {port} as it should")
            }
            ReadyBy::Probe(Probe::Exec { .. }) => "did not pass its check".into(),
            ReadyBy::Notify => "did not say READY=1".into(),
            ReadyBy::Line(line) => format!("did not write a line with {line}"),
            ReadyBy::Exit => "did not end".into(),
            ReadyBy::Lived => "was not ready".into(),
        };
        // That nobody accepts a connection has just been said.
        let is_news = !matches!(awaited, ReadyBy::Probe(Probe::Tcp { .. }));
        let last = last.filter(|_| is_news).map(|last| format!(" (last: {last})"));
        format!("{name} {what} within {}{}; stopping it", words(within), last.unwrap_or_default())
    }

    pub fn is_gone(&self, next: Next) -> String {
        match next {
            Next::Down | Next::End => format!("{} is gone", self.name),
            Next::Spawn | Next::Backoff(_) | Next::GiveUp | Next::TooManyRestarts => {
                format!("{} is gone; {}", self.name, self.then(next))
            }
        }
    }

    pub fn outlived_the_grace(&self, grace: Duration, members: &[Seen]) -> String {
        let (name, grace) = (self.name, words(grace));
        let members = if members.is_empty() { "it".into() } else { list(members) };
        format!("{name} did not stop within {grace}; killing {members}")
    }

    pub fn delays_the_stop(&self, members: &[Seen], left: Duration) -> String {
        let (name, members, left) = (self.name, list(members), words(left));
        format!("{name} is still stopping: {members}; SIGKILL in {left}")
    }

    pub fn delays_the_kill(&self, members: &[Seen]) -> String {
        format!("{} was killed and is not gone: {}", self.name, list(members))
    }

    fn then(&self, next: Next) -> String {
        match next {
            Next::Spawn => format!("generation {} takes its place", self.generation + 1),
            Next::Backoff(wait) => format!("next try in {}", words(wait)),
            Next::GiveUp => "given up".into(),
            Next::TooManyRestarts => "given up: that was one restart too many".into(),
            Next::End => "it is not restarted".into(),
            Next::Down => "it is not wanted any more".into(),
        }
    }
}

/// Why a worker was killed.
pub fn used_too_much(limit: u64) -> String {
    format!("it used more than its {} of memory", size(limit))
}

/// Somebody else used a worker's NOTIFY_SOCKET.
pub fn not_for_it_to_say(name: &str, sender: Pid) -> String {
    format!("pid {sender} wrote to the NOTIFY_SOCKET of {name}, which it is no part of; ignored")
}

/// MAINPID=
pub fn main_pid_refused(name: &str, pid: &str) -> String {
    format!("{name} says that its main process is {pid}; ignored: pm waits for the one it started")
}

/// How a worker ended; `why` is what is known besides.
fn ended(exit: Exit, why: Option<&str>) -> String {
    match (exit, why) {
        (Exit::Code(code), _) => format!("exited {code}"),
        (Exit::Signal(9), Some(why)) => format!("was killed by SIGKILL ({why})"),
        (Exit::Signal(9), None) => {
            "was killed by SIGKILL (by hand, or by the kernel for want of memory)".into()
        }
        (Exit::Signal(number), _) => format!("was killed by {}", signal_name(i32::from(number))),
    }
}

fn list(members: &[Seen]) -> String {
    let named: Vec<_> = members.iter().take(NAMED_MAX).map(describe).collect();
    let more = members.len().saturating_sub(NAMED_MAX);
    match (named.is_empty(), more) {
        (true, _) => "nobody is left to be seen".into(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

fn describe(member: &Seen) -> String {
    let Seen { pid, program, attitude } = member;
    let attitude = match attitude {
        SignalState::Open => String::new(),
        SignalState::Ignores(signal) => format!(" ignores {}", signal_name(*signal)),
        SignalState::Blocks(signal) => format!(" blocks {}", signal_name(*signal)),
        SignalState::Stopped => " is stopped".into(),
        SignalState::Foreign(uid) => format!(" has become user {uid}'s, and pm may not signal it"),
        SignalState::Uninterruptible => {
            " is in uninterruptible sleep, where no signal reaches it".into()
        }
    };
    format!("pid {pid} ({program}){attitude}")
}

#[cfg(test)]
mod tests {
    use nix::unistd::Pid;

    use super::*;

    fn subject() -> Subject<'static> {
        let age = Duration::from_millis(2_100);
        Subject { name: "web.2", port: Some(8081), generation: 7, age }
    }

    #[test]
    fn a_crash_says_what_happened_and_what_comes_next() {
        assert_eq!(
            subject().crashed(Exit::Code(255), None, Next::Spawn),
            "web.2 exited 255 after 2.1s; generation 8 takes its place"
        );
        assert_eq!(
            subject().crashed(Exit::Signal(11), None, Next::End),
            "web.2 was killed by SIGSEGV after 2.1s; it is not restarted"
        );
        let real_time = subject().crashed(Exit::Signal(40), None, Next::End);
        assert!(real_time.starts_with("web.2 was killed by signal 40"), "{real_time}");
    }

    #[test]
    fn a_failed_start_says_when_the_next_try_is() {
        let next = Next::Backoff(Duration::from_millis(200));
        assert_eq!(
            subject().failed_to_start(Exit::Code(1), None, next),
            "web.2 exited 1 after 2.1s, before it was ready; next try in 200ms"
        );
        let missing = SpawnError::NotFound { program: "deno".into() };
        assert_eq!(
            subject().cannot_start(&missing, Some("try `make deno`"), next),
            "web.2 cannot start: deno: not found on PATH; try `make deno`; next try in 200ms"
        );
    }

    #[test]
    fn who_delays_a_stop_is_named_up_to_a_few() {
        let seen = |pid, attitude| Seen { pid: Pid::from_raw(pid), program: "sh".into(), attitude };
        let mut members = vec![seen(812, SignalState::Ignores(15)), seen(813, SignalState::Open)];
        assert_eq!(
            subject().delays_the_stop(&members, Duration::from_secs(4)),
            "web.2 is still stopping: pid 812 (sh) ignores SIGTERM, pid 813 (sh); SIGKILL in 4s"
        );
        members.extend([seen(814, SignalState::Stopped), seen(815, SignalState::Uninterruptible)]);
        let line = subject().delays_the_kill(&members);
        assert!(line.ends_with("pid 814 (sh) is stopped and 1 more"), "{line}");
    }
}
