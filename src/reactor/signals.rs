//! From a signal to an event for the supervisor, or to an entry in the agenda.

use super::Reactor;
use super::report::RunEvent;
use crate::supervisor::{Event, Wish};
use crate::sys::{Caught, own_process};

impl Reactor {
    /// Takes all signals that have arrived.
    pub(super) fn take_signals(&mut self) {
        let caught: Vec<_> = self.signals.take().collect();
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
        self.clock.exclude(own_process::suspend);
    }
}
