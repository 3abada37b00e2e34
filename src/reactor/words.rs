//! What pm says to people. What happened, to whom, why, and what comes next, in that order.
//!
//! Sentences only: who to tell, and when, is decided elsewhere.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::plan::duration::words;
use crate::supervisor::{Exit, Next};
use crate::sys::ports::Holder;
use crate::sys::processes::{Attitude, Seen};
use crate::sys::{Caught, SpawnError};

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

    pub fn crashed(&self, exit: Exit, next: Next) -> String {
        format!("{} {} after {}; {}", self.name, ended(exit), words(self.age), self.then(next))
    }

    pub fn failed_to_start(&self, exit: Exit, next: Next) -> String {
        let (name, age) = (self.name, words(self.age));
        format!("{name} {} after {age}, before it was ready; {}", ended(exit), self.then(next))
    }

    pub fn cannot_start(&self, trouble: &SpawnError, hint: Option<&str>, next: Next) -> String {
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let next = match next {
            Next::Spawn => "trying again at once".into(),
            Next::Rest(_) | Next::GiveUp | Next::End | Next::Down => self.then(next),
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

    pub fn was_never_ready(&self, within: Duration) -> String {
        let name = self.name;
        let what = match self.port {
            Some(port) => format!("did not accept a connection on port {port}"),
            None => "was not ready".into(),
        };
        format!("{name} {what} within {}; stopping it", words(within))
    }

    pub fn is_gone(&self, next: Next) -> String {
        match next {
            Next::Down | Next::End => format!("{} is gone", self.name),
            Next::Spawn | Next::Rest(_) | Next::GiveUp => {
                format!("{} is gone; {}", self.name, self.then(next))
            }
        }
    }

    pub fn outlived_the_grace(&self, grace: Duration, members: &[Seen]) -> String {
        let (name, grace, members) = (self.name, words(grace), list(members));
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
            Next::Rest(wait) => format!("next try in {}", words(wait)),
            Next::GiveUp => "given up".into(),
            Next::End => "it is not restarted".into(),
            Next::Down => "it is not wanted any more".into(),
        }
    }
}

/// The first line of a run.
pub fn greeting(names: &[&str], ports: &[u16]) -> String {
    let names = match names {
        [one] => (*one).to_owned(),
        [first, .., last] => format!("{first} to {last}"),
        [] => "nothing".into(),
    };
    let on = match ports {
        [] => String::new(),
        [one] => format!(" on port {one}"),
        [first, .., last] if usize::from(last.saturating_sub(*first)) + 1 == ports.len() => {
            format!(" on ports {first} to {last}")
        }
        several => {
            let several: Vec<_> = several.iter().map(u16::to_string).collect();
            format!(" on ports {}", several.join(", "))
        }
    };
    format!("keeping {names}{on}; Ctrl-C ends it")
}

/// All are told to end in good order.
pub fn stopping(caught: Caught, workers: usize, grace: Duration) -> String {
    let (signal, workers) = (name(caught), count(workers));
    format!("{signal}: stopping {workers}; SIGKILL in {}, again to kill at once", words(grace))
}

/// All are told to end now.
pub fn killing(caught: Caught, workers: usize) -> String {
    format!("{}: killing {}", name(caught), count(workers))
}

/// There is nobody to end.
pub fn leaving(caught: Caught) -> String {
    format!("{}: no worker is there to stop", name(caught))
}

/// Everything is gone.
pub fn all_gone(after: Duration) -> String {
    format!("all workers are gone after {}", words(after))
}

/// A signal that changes nothing.
pub fn ignored(caught: Caught) -> String {
    format!("{}: nothing to do; the pool goes on as it is", name(caught))
}

fn count(workers: usize) -> String {
    match workers {
        1 => "1 worker".into(),
        several => format!("{several} workers"),
    }
}

fn name(caught: Caught) -> &'static str {
    match caught {
        Caught::Child => "SIGCHLD",
        Caught::Interrupt => "SIGINT",
        Caught::Terminate => "SIGTERM",
        Caught::Hangup => "SIGHUP",
        Caught::Quit => "SIGQUIT",
        Caught::Suspend => "SIGTSTP",
        Caught::Continue => "SIGCONT",
        Caught::GuardGone => "pm's guard was killed",
        Caught::User(1) => "SIGUSR1",
        Caught::User(_) => "SIGUSR2",
    }
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited {code}"),
        Exit::Signal(number) => match Signal::try_from(i32::from(number)) {
            Ok(Signal::SIGKILL) => {
                "was killed by SIGKILL (by hand, or by the kernel for want of memory)".into()
            }
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
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
        Attitude::Open => "",
        Attitude::Ignores => " ignores SIGTERM",
        Attitude::Blocks => " blocks SIGTERM",
        Attitude::Stopped => " is stopped",
        Attitude::Uninterruptible => " is in uninterruptible sleep, where no signal reaches it",
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
            subject().crashed(Exit::Code(255), Next::Spawn),
            "web.2 exited 255 after 2.1s; generation 8 takes its place"
        );
        assert_eq!(
            subject().crashed(Exit::Signal(11), Next::End),
            "web.2 was killed by SIGSEGV after 2.1s; it is not restarted"
        );
        let real_time = subject().crashed(Exit::Signal(40), Next::End);
        assert!(real_time.starts_with("web.2 was killed by signal 40"), "{real_time}");
    }

    #[test]
    fn a_failed_start_says_when_the_next_try_is() {
        let next = Next::Rest(Duration::from_millis(200));
        assert_eq!(
            subject().failed_to_start(Exit::Code(1), next),
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
        let mut members = vec![seen(812, Attitude::Ignores), seen(813, Attitude::Open)];
        assert_eq!(
            subject().delays_the_stop(&members, Duration::from_secs(4)),
            "web.2 is still stopping: pid 812 (sh) ignores SIGTERM, pid 813 (sh); SIGKILL in 4s"
        );
        members.extend([seen(814, Attitude::Stopped), seen(815, Attitude::Uninterruptible)]);
        let line = subject().delays_the_kill(&members);
        assert!(line.ends_with("pid 814 (sh) is stopped and 1 more"), "{line}");
    }

    #[test]
    fn the_greeting_counts_neighbours_as_a_range() {
        let names = ["web.1", "web.2", "web.3"];
        assert_eq!(
            greeting(&names, &[8080, 8081, 8082]),
            "keeping web.1 to web.3 on ports 8080 to 8082; Ctrl-C ends it"
        );
        assert_eq!(
            greeting(&names[..2], &[8080, 9000]),
            "keeping web.1 to web.2 on ports 8080, 9000; Ctrl-C ends it"
        );
        assert_eq!(greeting(&names[..1], &[]), "keeping web.1; Ctrl-C ends it");
    }
}
