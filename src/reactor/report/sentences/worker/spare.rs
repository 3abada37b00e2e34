//! Sentences about the spare of a slot.

use std::time::Duration;

use crate::plan::text::duration::words;
use crate::reactor::report::{SpareEnd, WorkerFacts};

pub fn waits(worker: &WorkerFacts) -> String {
    let WorkerFacts { id, name, pid, age, .. } = worker;
    let (age, pid) = (words(*age), pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default());
    format!("{name}: a spare waits at its port after {age} ({pid}generation {})", id.generation)
}

pub fn stopped(worker: &WorkerFacts) -> String {
    format!("{}: spare of generation {} stopped", worker.name, worker.id.generation)
}

pub fn failed(worker: &WorkerFacts, how: &SpareEnd, wait: Option<Duration>) -> String {
    let (name, generation) = (&worker.name, worker.id.generation);
    let next = match wait {
        Some(Duration::ZERO) => "trying again".to_owned(),
        Some(wait) => format!("next try in {}", words(wait)),
        None => "no more tries; the worker stays as it is".to_owned(),
    };
    let spare = format!("{name}: spare of generation {generation}");
    match how {
        SpareEnd::Exited(death) => format!("{spare} {}; {next}", super::ended(worker, death)),
        SpareEnd::NotSpawned(failure) => format!("{spare} cannot start: {failure}; {next}"),
        SpareEnd::NeverWaited(within) => {
            let within = words(*within);
            format!("{spare} did not bind its port within {within}; stopping it; {next}")
        }
    }
}
