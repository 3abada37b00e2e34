//! Every state of small tables: what random runs may miss by chance is reached here for certain.
//!
//! For each table, all that can happen is tried in each state that can be reached, and every law of `laws/` is checked
//! on every answer and every state. From each state a run that is asked to stop comes to its end, whether its workers
//! obey or stay as long as they can, and a run that is left alone becomes calm.
//!
//! Without `PM_PROOF` the search of a table ends after some thousands of states. With it (`make proof`) no state is
//! left out.
//!
//! Where to look next: `table.rs` is what is searched; `state.rs`, what can happen; `key.rs`, when two states are one;
//! `search.rs`, the search.

mod key;
mod search;
mod state;
mod table;

use search::{Extent, Search};
use table::Table;

/// Of all tables of one test together, without `PM_PROOF`.
const STATES: usize = 2_000;

#[test]
fn the_laws_hold_in_every_state_of_one_slot_under_any_rules() {
    search(table::single_slots());
}

#[test]
fn the_laws_hold_in_every_state_of_one_slot_whose_rules_change() {
    search(table::changed_rules());
}

#[test]
fn the_laws_hold_in_every_state_of_one_slot_that_has_spares() {
    search(table::spares());
}

#[test]
fn the_laws_hold_in_every_state_of_two_slots_that_roll() {
    search(table::rolls());
}

#[test]
fn the_laws_hold_in_every_state_of_two_pools_whose_plan_changes() {
    search(table::pairs());
}

#[test]
fn the_laws_hold_in_every_state_of_two_pools_that_end_the_run() {
    search(table::ends());
}

#[test]
fn the_laws_hold_in_every_state_of_three_pools_in_a_chain() {
    search(table::triples());
}

#[test]
fn the_laws_hold_in_every_state_of_two_pools_of_two_slots() {
    search(table::quads());
}

fn search(tables: Vec<Table>) {
    let is_proof = std::env::var_os("PM_PROOF").is_some();
    let states_max = if is_proof { usize::MAX } else { STATES / tables.len() };
    for table in tables {
        let Extent { states, transitions, depth, is_complete } =
            Search::new(&table).run(states_max).unwrap_or_else(|failure| panic!("{failure}"));
        let extent = if is_complete { "all" } else { "the first" };
        println!(
            "{}: {extent} {states} states, {transitions} transitions, depth {depth}",
            table.name
        );
        assert!(is_complete || !is_proof, "{} was not searched completely", table.name);
    }
}
