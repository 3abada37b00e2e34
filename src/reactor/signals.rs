//! From a signal to an event for the supervisor, or to an entry in the agenda.

use super::Reactor;
use super::report::RunEvent;
use super::tokens::Wakeup;
use crate::supervisor::{Event, Wish};
use crate::sys::{Caught, Continued};

impl Reactor {
    /// Takes the signals that have ended a wait. If they tell that pm was stopped, the wait does not count.
    pub(super) fn take_first_signals(&mut self, wakeup: Wakeup) {
        let caught = Vec::from_iter(self.signals.take());
        if has_been_stopped(wakeup, &caught) {
            self.clock.exclude_wait();
        }
        self.act_on_signals(caught);
    }

    /// Takes all signals that have arrived.
    pub(super) fn take_signals(&mut self) {
        let caught = Vec::from_iter(self.signals.take());
        self.act_on_signals(caught);
    }

    fn act_on_signals(&mut self, caught: Vec<Caught>) {
        for signal in caught {
            match signal {
                Caught::Interrupt => self.handle(Event::Asked(Wish::Interrupt)),
                Caught::Terminate => self.handle(Event::Asked(Wish::Terminate)),
                Caught::Hangup => self.handle(Event::Asked(Wish::Hangup)),
                Caught::Quit => self.handle(Event::Asked(Wish::Quit)),
                Caught::GuardGone => self.handle(Event::Asked(Wish::GuardGone)),
                Caught::Child => self.agenda.has_exits = true,
                Caught::Reload => self.agenda.is_reload_due = true,
                Caught::Resized => self.output.resize_terminals(),
                Caught::Suspend => self.suspend(),
                Caught::Continue => self.children.resume(),
                Caught::User2 => self.say(RunEvent::User2),
            }
        }
    }

    /// Stops all workers and pm itself, until SIGCONT.
    fn suspend(&mut self) {
        self.flush();
        self.children.suspend();
        let signals = &self.signals;
        let mut continued = Continued::AtOnce;
        self.clock.exclude(|| continued = signals.suspend());
        match continued {
            Continued::BySignal => {}
            Continued::AtOnce => self.children.resume(),
        }
    }
}

/// True if pm was stopped during a wait that ended like this.
///
/// SIGCONT comes after SIGSTOP, and after a stop of the whole tree with SIGCHLD, since workers stop and go on too. It
/// tells nothing beside another signal: the guard sends SIGCONT after each request to stop. Where no signal explains
/// EINTR, the freezer of a control group or a debugger had stopped pm.
fn has_been_stopped(wakeup: Wakeup, caught: &[Caught]) -> bool {
    let is_request = |signal: &Caught| match signal {
        Caught::Continue | Caught::Child | Caught::Resized => false,
        Caught::Interrupt | Caught::Terminate | Caught::Hangup | Caught::Quit => true,
        Caught::Suspend | Caught::GuardGone | Caught::Reload | Caught::User2 => true,
    };
    let is_frozen = caught.is_empty() && wakeup == Wakeup::Interrupted;
    is_frozen || (caught.contains(&Caught::Continue) && !caught.iter().any(is_request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_sigcont_or_an_unexplained_interruption_tells_of_a_stop() {
        use Caught::{Child, Continue, Terminate};
        let by = |caught: &[Caught]| has_been_stopped(Wakeup::Interrupted, caught);
        assert!(by(&[Continue]) && by(&[Child, Continue]) && by(&[]));
        assert!(!by(&[Child]) && !by(&[Terminate, Continue]));
        assert!(!has_been_stopped(Wakeup::Usual, &[]));
    }
}
