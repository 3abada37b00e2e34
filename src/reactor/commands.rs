//! What clients ask for is carried out: a command becomes events for the supervisor, and its answer waits until it is
//! so.

use std::time::Duration;

use super::Reactor;
use super::control::call::{Call, LiveCall, PageCall, Until, seconds};
use super::control::goal::{Goal, Pending};
use super::control::http::{Reply, Status};
use super::control::live::Live;
use super::control::logs::Logs;
use super::control::metrics::Metrics;
use super::control::stats::Sampling;
use super::control::status::{View, own_pid};
use super::control::stream::Stream;
use super::control::{page, problems, selectors};
use super::output::Seam;
use super::report::{ReloadError, RunEvent};
use super::serving::{Answer, is_wanted, is_well, json};
use crate::plan::LoadError;
use crate::plan::text::signal;
use crate::supervisor::{Event, Phase, SlotId, Wanted, Wish};
use crate::wire::openapi;
use crate::wire::{
    API, Command, Done, Kill, LogFile, Outcome, Problem, Reload, Scale, Shutdown,
    Status as RunStatus, Version, WaitFor,
};

impl Reactor {
    pub(super) fn view(&self) -> View<'_> {
        let Self { supervisor, slots, held_ports, clock, .. } = self;
        View { supervisor, slots, held_ports, clock }
    }

    pub(super) fn carry_out_call(&mut self, call: Call) -> Result<Answer, Box<Problem>> {
        match call {
            Call::Version => Ok(Answer::Reply(json(&Version {
                pm: env!("CARGO_PKG_VERSION").into(),
                api: API,
                pid: own_pid(),
            }))),
            Call::OpenApi => Ok(Answer::Reply(json(&openapi::document()))),
            Call::Health => Ok(Answer::Reply(self.health_reply())),
            Call::Metrics { pools, dialect } => {
                Ok(Answer::Metrics(Metrics::new(dialect, &pools, self.view())?))
            }
            Call::Status { slots, stats } => {
                let slots = self.resolve_or_all(&slots)?;
                if stats {
                    self.control.samples.expire(self.clock.now());
                    return Ok(Answer::Sampling(Sampling::of(slots)));
                }
                Ok(Answer::Reply(json(&self.run_status(&Sampling::skipped(slots)))))
            }
            Call::Slot(name) => self.slot_detail(name),
            Call::Events(call) => {
                let slots = self.resolve(&call.slots)?;
                let names = slots.iter().filter_map(|slot| self.slots.identity(*slot));
                let names = names.map(|facts| facts.name.to_owned()).collect();
                Ok(Answer::Stream(Stream::new(&call, names, self.control.facts.run())))
            }
            Call::Logs(call) => {
                let slots = self.resolve(&call.slots)?;
                let files = call.files.then(|| self.log_files(&slots));
                let logs = Logs::new(call, slots, self.output.ring());
                Ok(Answer::Logs(match files {
                    Some(files) => logs.behind(files, self.output.ring()),
                    None => logs,
                }))
            }
            Call::Wait { slots, until, timeout } => {
                let goal = match until {
                    Until::Ready => Goal::Ready,
                    Until::Stopped => Goal::Down,
                    Until::Exit => Goal::Exited,
                };
                let slots = self.resolve(&slots)?;
                Ok(self.pending(goal, slots, Outcome::Done, timeout))
            }
            Call::Start(command) => self.start_slots(&command),
            Call::Stop(command) => self.stop_slots(&command),
            Call::Restart(command) => self.restart_slots(&command),
            Call::Kill(kill) => self.signal_slots(&kill),
            Call::Scale(scale) => self.scale(&scale),
            Call::Reload(reload) => self.reload_asked(reload),
            Call::Shutdown(shutdown) => Ok(self.shut_down(shutdown)),
            Call::Attach(call) => self.attach(call),
            Call::Page(call) => {
                self.control.samples.expire(self.clock.now());
                let slots = Vec::from_iter(self.supervisor.ids());
                Ok(Answer::Sampling(Sampling::of(slots).for_page(call)))
            }
            Call::Asset(asset) => Ok(Answer::Reply(asset.reply())),
            Call::Live(call) => self.live(call),
        }
    }

    pub(super) fn resolve(&self, words: &[String]) -> Result<Vec<SlotId>, Box<Problem>> {
        selectors::resolve(words, &self.slots, &self.supervisor)
    }

    fn resolve_or_all(&self, words: &[String]) -> Result<Vec<SlotId>, Box<Problem>> {
        if words.is_empty() {
            return Ok(Vec::from_iter(self.supervisor.ids()));
        }
        self.resolve(words)
    }

    /// Where the older lines of these slots are, or of all if there is none.
    fn log_files(&self, slots: &[SlotId]) -> Vec<LogFile> {
        let all = if slots.is_empty() { Vec::from_iter(self.supervisor.ids()) } else { Vec::new() };
        let of_slot = |id: &SlotId| {
            let path = &self.slots.next_spec(*id)?.plan.log.as_ref()?.path;
            let Seam { device, inode, offset, next } = self.output.seam(*id, path)?;
            let slot = self.slots.identity(*id)?.name.to_owned();
            Some(LogFile { slot, file: path.display().to_string(), device, inode, offset, next })
        };
        slots.iter().chain(&all).filter_map(of_slot).collect()
    }

    pub(super) fn run_status(&self, sampling: &Sampling) -> RunStatus {
        let seq = self.control.events.last();
        let slots = sampling.slots.iter().copied();
        self.view().run(&self.control.facts, seq, slots, |worker| sampling.stats(worker))
    }

    fn slot_detail(&self, name: String) -> Result<Answer, Box<Problem>> {
        let slots = self.resolve(&[name])?;
        let detail = slots.first().and_then(|slot| self.view().detail(*slot));
        let detail = detail.ok_or_else(|| problems::bad_request("name one slot"))?;
        Ok(Answer::Reply(json(&detail)))
    }

    fn live(&self, LiveCall { stats, logs, after }: LiveCall) -> Result<Answer, Box<Problem>> {
        let logs = match logs {
            None => None,
            Some(call) => {
                let slots = self.resolve(&call.slots)?;
                Some(Logs::new(call, slots, self.output.ring()))
            }
        };
        let live = Live::new(logs, after.and_then(|last| last.of_run(self.control.facts.run())));
        Ok(Answer::Live(if stats { live.with_stats() } else { live }))
    }

    /// The page, of this status.
    pub(super) fn page(&self, call: &PageCall, status: &RunStatus) -> Reply {
        let slot = |name: &String| self.resolve(std::slice::from_ref(name)).ok();
        let why = call.why.as_ref().and_then(slot).and_then(|slots| match slots[..] {
            [slot] => self.view().detail(slot),
            _ => None,
        });
        let log = call.log.as_ref().and_then(|name| Some((name.as_str(), slot(name)?)));
        page::reply(status, why.as_ref(), log, self.output.ring())
    }

    /// 200 if every slot that is wanted up is ready.
    fn health_reply(&self) -> Reply {
        let is_well = self.supervisor.slots().all(|slot| !is_wanted(slot) || is_well(slot));
        let (status, text) = if is_well && !self.supervisor.is_draining() {
            (Status::Ok, "ready\n")
        } else {
            (Status::ServiceUnavailable, "not ready\n")
        };
        Reply::new(status, "text/plain; charset=utf-8", text.as_bytes())
    }

    fn start_slots(&mut self, command: &Command) -> Result<Answer, Box<Problem>> {
        self.refuse_while_draining()?;
        let slots = self.resolve(&command.slots)?;
        let is_up = |slot: &SlotId| {
            let slot = self.supervisor.slot(*slot);
            slot.is_some_and(|slot| {
                slot.wanted() == Wanted::Up && matches!(slot.phase(), Phase::Ready { .. })
            })
        };
        let outcome = if slots.iter().all(is_up) { Outcome::Already } else { Outcome::Done };
        slots.iter().for_each(|slot| self.handle(Event::Start(*slot)));
        self.answer_command(Goal::Ready, slots, outcome, command)
    }

    fn stop_slots(&mut self, command: &Command) -> Result<Answer, Box<Problem>> {
        let slots = self.resolve(&command.slots)?;
        let is_down = |slot: &SlotId| {
            let slot = self.supervisor.slot(*slot);
            slot.is_none_or(|slot| slot.wanted() != Wanted::Up && slot.is_empty())
        };
        let outcome = if slots.iter().all(is_down) { Outcome::Already } else { Outcome::Done };
        for slot in &slots {
            let stop = if command.now { Event::Kill(*slot) } else { Event::Stop(*slot) };
            self.handle(stop);
        }
        self.answer_command(Goal::Stopped, slots, outcome, command)
    }

    fn restart_slots(&mut self, command: &Command) -> Result<Answer, Box<Problem>> {
        self.refuse_while_draining()?;
        let slots = self.resolve(&command.slots)?;
        let goal = if command.roll { Goal::Rolled } else { Goal::Replaced };
        let answer = self.answer_command(goal, slots.clone(), Outcome::Done, command);
        for slot in slots {
            self.handle(if command.roll { Event::Roll(slot) } else { Event::Restart(slot) });
        }
        answer
    }

    /// A roll has failed: the workers whose turn has not come stay.
    pub(super) fn withdraw(&mut self, slots: Vec<SlotId>) {
        slots.into_iter().for_each(|slot| self.handle(Event::Withdraw(slot)));
    }

    fn signal_slots(&mut self, kill: &Kill) -> Result<Answer, Box<Problem>> {
        if kill.slots.is_empty() {
            return Err(problems::bad_request("name the slots, or `all`"));
        }
        let number = signal::number(&kill.signal)
            .map_err(|error| problems::bad_request(error.to_string()))?;
        let slots = self.resolve(&kill.slots)?;
        for slot in &slots {
            if let Some(slot) = self.supervisor.slot(*slot) {
                self.children.signal(slot.worker(), number);
            }
        }
        Ok(Answer::Reply(self.done(Outcome::Done, None, &slots)))
    }

    fn shut_down(&mut self, shutdown: Shutdown) -> Answer {
        let answer = Answer::Reply(self.done(Outcome::Accepted, None, &[]));
        let wish = if shutdown.now { Wish::ShutdownNow } else { Wish::Shutdown };
        self.handle(Event::Asked(wish));
        answer
    }

    fn reload_asked(&mut self, reload: Reload) -> Result<Answer, Box<Problem>> {
        if reload.dry_run {
            let changes = self.preview().map_err(|error| refused_reload(&error))?;
            let words = RunEvent::Reloaded(changes).words();
            return Ok(Answer::Reply(self.done(Outcome::Done, Some(words), &[])));
        }
        let changes = self.reload().map_err(|error| refused_reload(&error))?;
        let words = RunEvent::Reloaded(changes).words();
        Ok(Answer::Reply(self.done(Outcome::Done, Some(words), &[])))
    }

    fn scale(&mut self, scale: &Scale) -> Result<Answer, Box<Problem>> {
        self.refuse_while_draining()?;
        if scale.pools.is_empty() {
            return Err(problems::bad_request("name a pool and a number, as in `web=5`"));
        }
        let timeout = seconds(scale.timeout_seconds)?;
        let before: Vec<SlotId> = self.supervisor.ids().collect();
        let changes = self.scale_to(&scale.pools)?;
        let words = RunEvent::Scaled(changes).words();
        let mut slots: Vec<SlotId> = Vec::new();
        for id in self.supervisor.ids() {
            let is_new = !before.contains(&id);
            let is_going =
                self.supervisor.slot(id).is_some_and(|slot| slot.wanted() == Wanted::Gone);
            if is_new || is_going {
                slots.push(id);
            }
        }
        if slots.is_empty() {
            return Ok(Answer::Reply(self.done(Outcome::Done, Some(words), &[])));
        }
        if scale.wait == WaitFor::Nothing {
            return Ok(Answer::Reply(self.done(Outcome::Accepted, Some(words), &slots)));
        }
        Ok(match self.pending(Goal::Scaled, slots, Outcome::Done, timeout) {
            Answer::Pending(pending) => Answer::Pending(Pending { words: Some(words), ..pending }),
            answer => answer,
        })
    }

    fn refuse_while_draining(&self) -> Result<(), Box<Problem>> {
        if self.supervisor.is_draining() { Err(problems::draining()) } else { Ok(()) }
    }

    fn answer_command(
        &mut self,
        goal: Goal,
        slots: Vec<SlotId>,
        outcome: Outcome,
        command: &Command,
    ) -> Result<Answer, Box<Problem>> {
        if command.wait == WaitFor::Nothing {
            return Ok(Answer::Reply(self.done(Outcome::Accepted, None, &slots)));
        }
        Ok(self.pending(goal, slots, outcome, seconds(command.timeout_seconds)?))
    }

    fn pending(
        &self,
        goal: Goal,
        slots: Vec<SlotId>,
        outcome: Outcome,
        timeout: Duration,
    ) -> Answer {
        let generation = |slot| self.supervisor.slot(slot).map_or(0, |slot| slot.generation());
        let slots = slots.into_iter().map(|slot| (slot, generation(slot))).collect();
        let deadline = self.clock.now() + timeout;
        Answer::Pending(Pending { goal, slots, deadline, outcome, words: None })
    }

    fn done(&self, outcome: Outcome, words: Option<String>, slots: &[SlotId]) -> Reply {
        let slots = self.view().slots(slots.iter().copied());
        json(&Done { seq: self.control.events.last(), outcome, words, slots })
    }
}

fn refused_reload(error: &ReloadError) -> Box<Problem> {
    match error {
        ReloadError::Stopping => problems::draining(),
        ReloadError::Load(LoadError::Faults(faults)) => {
            problems::new(422, "bad-plan", "The file has faults", faults.to_string())
        }
        ReloadError::Load(_) | ReloadError::NoFile(_) | ReloadError::NotifySocket(_) => {
            problems::new(422, "bad-plan", "The file cannot be used", error.to_string())
        }
    }
}
