//! How pm stops, and its exit status. No process is left.

mod delays;
mod end;
mod exit_status;
mod grace;
mod many_workers;
mod signals;
mod terminal;

use crate::support::pool::Pool;
use crate::support::programs::worker;

/// Three workers, each with a child in its group, all ready.
fn three() -> Pool {
    Pool::of(worker("child stay listen {port} stay")).on_ports(3)
}
