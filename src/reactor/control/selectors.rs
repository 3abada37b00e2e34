//! Which slots a command means: `web`, `web.2`, `:8081` or `all`. One resolver for all commands.

use super::super::slots::Slots;
use super::problems;
use crate::plan::text::suggest::Suggestion;
use crate::supervisor::{SlotId, Supervisor, Wanted};
use crate::wire::Problem;

/// The slots that these words mean, in the order of the slots, each once. A slot that the plan has lost is none.
///
/// # Errors
/// If a word means no slot: with the names that could have been meant.
pub fn resolve(
    words: &[String],
    slots: &Slots,
    supervisor: &Supervisor,
) -> Result<Vec<SlotId>, Box<Problem>> {
    let all: Vec<_> = supervisor
        .slots()
        .filter(|slot| slot.wanted() != Wanted::Gone)
        .filter_map(|slot| Some((slot.id(), slots.identity(slot.id())?)))
        .collect();
    let mut found = Vec::new();
    for word in words {
        let port = word.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
        let before = found.len();
        found.extend(all.iter().filter_map(|(id, facts)| {
            let is_meant = word == "all"
                || word == facts.name
                || word == facts.pool
                || (port.is_some() && facts.port == port);
            is_meant.then_some(*id)
        }));
        if found.len() == before && word != "all" {
            let names: Vec<&str> =
                all.iter().flat_map(|(_, facts)| [facts.pool, facts.name]).collect();
            return Err(no_such_slot(word, &names, slots_of_pool(word, &all)));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The pool of `web.9` and its slots, if there is such a pool.
fn slots_of_pool<'a>(
    word: &'a str,
    all: &[(SlotId, super::super::slots::SlotFacts<'a>)],
) -> Option<(&'a str, Vec<String>)> {
    let (pool, _) = word.rsplit_once('.')?;
    let names: Vec<_> = all
        .iter()
        .filter(|(_, facts)| facts.pool == pool)
        .map(|(_, facts)| facts.name.to_owned())
        .collect();
    (!names.is_empty()).then_some((pool, names))
}

fn no_such_slot(word: &str, names: &[&str], pool: Option<(&str, Vec<String>)>) -> Box<Problem> {
    let mut problem = problems::new(404, "no-such-slot", "No such slot", String::new());
    match pool {
        Some((pool, slots)) => {
            let last = slots.len();
            let number = word.rsplit_once('.').and_then(|(_, n)| n.parse::<usize>().ok());
            problem.detail = format!("there is no `{word}`; {pool} has {}", range(&slots));
            problem.hint = number
                .filter(|number| *number > last)
                .map(|number| format!("`pm scale {pool}={number}`"));
            problem.candidates = slots;
        }
        None => {
            let suggestion = Suggestion::of(word, names.iter().copied());
            problem.detail = format!("there is no pool or slot `{word}`; {suggestion}");
            problem.candidates = match suggestion {
                Suggestion::Meant(name) => vec![name],
                Suggestion::OneOf { names, .. } => names,
            };
        }
    }
    problem
}

/// `web.1 to web.3`
fn range(slots: &[String]) -> String {
    match slots {
        [] => "no slot".into(),
        [one] => one.clone(),
        [first, .., last] => format!("{first} to {last}"),
    }
}
