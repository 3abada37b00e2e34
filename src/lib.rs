//! pm keeps a pool of port-bound workers running, in a foreground terminal.
//!
//! The floors, from the bottom:
//!
//! 0. [`supervisor`]: the decisions. The state table of a slot is in `supervisor::slot`.
//! 1. [`plan`]: what to keep alive, from a file or a command line.
//! 2. [`sys`]: Linux. Spawn, reap, signal a group.
//! 2. [`export`]: the same plan as files of other engines.
//! 3. [`reactor`]: the loop. poll -> events -> supervisor -> actions.
//! 4. [`client`]: HTTP over the control socket of a running pm.
//! 5. [`cli`]: what people type and read; `main` alone exits.
//!
//! A file uses what lies below it, never above, never sideways except inside its folder; `tests/architecture`
//! checks that. ARCHITECTURE.md walks a crash and a Ctrl-C through the floors.

#![cfg_attr(
    not(test),
    warn(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::fn_params_excessive_bools,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::too_many_lines,
        clippy::unwrap_used
    )
)]

pub mod cli;
pub mod client;
pub mod export;
pub mod plan;
pub mod reactor;
pub mod supervisor;
pub mod sys;
pub mod wire;
