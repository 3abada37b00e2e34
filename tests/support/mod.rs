//! Support for the tests that run the real binary: `blackbox`, `lab`, `examples` and `export`.
//!
//! A test crate takes it in with `#[path = "../support/mod.rs"] mod support;`. There is no test in here, and nothing
//! that only one test crate needs.
//!
//! | module | what it does |
//! |---|---|
//! | [`pool`] | sets up a pool and starts a pm on it |
//! | [`pm`] | a running pm: waits for what it reports, stops it, leaves nothing behind |
//! | [`lines`] | reads what pm and its workers write, line by line |
//! | [`processes`] | reads /proc, sends signals |
//! | [`proc_events`] | the kernel's own record of forks, execs and exits (root only) |
//! | [`small_disk`] | a file system that is soon full |
//! | [`hanging_mount`] | a file system that never answers (root only) |
//! | [`terminal`] | a pty, with the test as its user |
//! | [`screen`] | the screen of a terminal emulator (tmux), likewise |
//! | [`tracer`] | a process that traces another one and never waits for it |
//! | [`ports`] | TCP ports that no other test uses |
//! | [`programs`] | pm, the fixture worker, shells |
//! | [`waiting`] | waits for facts, with a deadline |
//! | [`run_mode`] | the size of a test, and what happens when it cannot run here |
#![allow(dead_code, reason = "each of the test crates uses a part of this module")]

pub mod api;
pub mod hanging_mount;
pub mod lines;
pub mod pm;
pub mod pool;
pub mod ports;
pub mod proc_events;
pub mod processes;
pub mod programs;
pub mod run_mode;
pub mod screen;
pub mod small_disk;
pub mod terminal;
pub mod tracer;
pub mod waiting;
