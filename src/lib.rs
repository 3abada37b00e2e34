//! pm keeps a pool of port-bound workers serving, in a foreground terminal.
//!
//! A reader who has five minutes takes the floors from the bottom:
//!
//! 0. [`supervisor`]: the decisions. One state table, `match (phase, input)`, in `supervisor::slot`.
//! 1. [`plan`]: what to keep alive, from a command line.
//! 2. [`sys`]: Linux. Spawn, reap, signal a group.
//! 3. [`reactor`]: the loop. poll -> events -> supervisor -> actions.
//! 4. [`cli`]: what people type and read.
//! 5. `main`: the exit status.
//!
//! A file uses what lies below it, never above, never sideways except inside its folder; `tests/architecture`
//! holds it to that. ARCHITECTURE.md walks a crash and a Ctrl-C through the floors.

#![cfg_attr(
    not(test),
    warn(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used
    )
)]

pub mod cli;
pub mod plan;
pub mod reactor;
pub mod supervisor;
pub mod sys;
