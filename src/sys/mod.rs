//! Floor 2: Linux. System calls with their contracts written out; no decision is taken here.
//!
//! The only floor with `unsafe`, each with what makes it sound (SAFETY) and why no safe way would do (WHY).
//!
//! Where to look next: [`guard`] is the process around everything. [`children`] owns every pid: spawn, signal, reap.
//! [`spawn`] is the fork and exec underneath, [`child`] what happens between the two. [`signals`] is the self-pipe.
//! [`stream`] writes to a terminal, pipe or file without ever waiting; [`pty`] is a terminal for a worker, [`notify`]
//! where it says how it is, [`cgroup`] what limits its memory. [`ports`], [`proc`] and [`stale_worker`] look things
//! up for messages; [`own_process`] is what pm changes of itself at start.

#![allow(unsafe_code, reason = "system calls that no crate wraps as pm needs them")]

pub mod cgroup;
mod child;
pub mod children;
pub mod guard;
pub mod notify;
pub mod own_process;
pub mod ports;
pub mod proc;
pub mod program;
pub mod pty;
pub mod signals;
pub mod spawn;
pub mod stale_worker;
pub mod stream;
pub mod users;
mod wait;

pub use children::{Children, Reaped};
pub use own_process::OwnProcess;
pub use signals::{Caught, Signals};
pub use spawn::{Inheritance, Launch, SpawnError};
