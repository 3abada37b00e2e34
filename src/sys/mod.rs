//! Floor 2: Linux. System calls with their contracts written out; no decision is taken here.
//!
//! The only floor with `unsafe`, each with what makes it sound (SAFETY) and why no safe way would do (WHY).
//!
//! Processes:
//! - [`guard`]: the outer process, which leaves no process behind
//! - [`children`]: the one table of pids: spawn, signal, reap, adopt orphans
//! - [`spawn`]: fork and exec; [`starting`]: a child between the two; [`child`]: what it does there; [`environment`]:
//!   its variables
//! - [`program`]: the files to try; [`arguments`]: what exec(2) takes; [`listen_pid`]: a variable with the child's pid
//! - [`low_files`]: the descriptors of a child; [`raw`]: system calls without libc
//! - [`shared`]: memory that a child and pm both see
//! - [`child_watch`]: which children have exec'd or died; [`wait`]: waitpid(2) and its relatives
//! - [`child_list`]: the kernel's list of pm's children
//! - [`worker_tag`]: the worker that an orphan came from; [`stale_worker`]: what an earlier pm has left
//! - [`sealed`]: a pid namespace for the reactor and all its descendants
//! - [`own_process`]: what pm changes in itself; [`signals`]: those that pm acts on; [`self_pipe`]: they end a wait
//!
//! What workers use:
//! - [`stream`]: stdout and stderr without waiting; [`pty`]: a terminal for a worker
//! - [`folder`]: where log files are, without the symlinks of other users
//! - [`notify`]: the sockets of sd_notify(3); [`cgroup`]: limits on memory
//! - [`port_calls`]: what a worker asks for its port; [`tcp_socket`]: the socket that it listens on
//!
//! What commands use:
//! - [`control_socket`]: the socket of a running pm: made, found, connected to
//! - [`page_socket`]: where the page is served over TCP; [`peer`]: whose process is at the other end
//! - [`own_terminal`]: the terminal whose keys go to a worker
//!
//! Look-ups, for messages and plans:
//! - [`proc`]: processes; [`usage`]: their CPU time and memory; [`open_sockets`]: what a process has open
//! - [`ports`]: ports; [`listener`]: is it the worker that listens; [`sock_diag`]: what the kernel knows of a socket
//! - [`users`]: users and groups; [`privileges`]: what pm may do; [`strerror`](mod@strerror): errors as text

#![allow(unsafe_code, reason = "system calls that no crate wraps as pm needs them")]

mod arguments;
pub(crate) mod cgroup;
mod child;
mod child_list;
mod child_watch;
pub(crate) mod children;
pub mod control_socket;
pub(crate) mod environment;
pub(crate) mod folder;
pub mod guard;
mod listen_pid;
pub(crate) mod listener;
mod low_files;
pub mod notify;
mod open_sockets;
pub(crate) mod own_process;
pub(crate) mod own_terminal;
pub(crate) mod page_socket;
mod peer;
pub(crate) mod port_calls;
pub(crate) mod ports;
pub(crate) mod privileges;
pub(crate) mod proc;
pub(crate) mod program;
pub mod pty;
mod raw;
pub mod sealed;
mod self_pipe;
pub(crate) mod service_manager;
mod shared;
pub(crate) mod signals;
mod sock_diag;
pub(crate) mod spawn;
pub(crate) mod stale_worker;
mod starting;
pub(crate) mod stream;
mod strerror;
pub(crate) mod tcp_socket;
pub(crate) mod usage;
pub(crate) mod users;
mod wait;
mod worker_tag;

pub(crate) use children::{ChildEvent, Children};
pub(crate) use environment::Texts;
pub(crate) use own_process::OwnProcess;
pub use own_process::hold_requests;
pub(crate) use peer::{Owner, owner_of_peer};
pub(crate) use signals::{Caught, Continued, Signals};
pub(crate) use spawn::{Inheritance, Launch, SpawnError};
pub(crate) use starting::Awaiting;
pub(crate) use strerror::{limit_on, strerror, words as errno_words};
pub(crate) use worker_tag::{ProbeId, low_hard_limit};
