//! The commands that talk to a running pm over its control socket. The result goes to stdout, progress and notes to
//! stderr; no command starts or ends a process itself, but for `pm open`, which becomes the browser's opener.
//!
//! [`args`] is their command line, [`target`] finds the socket, [`session`] asks, [`failure`] has what can go wrong and
//! its exit status. [`progress`] shows what happens while a command waits. [`print`] and [`times`] are for all; each
//! command has a file, those that change something are in [`commands`]; `pm top` has the folder `top`.

pub mod args;
mod attach;
mod chaos;
mod commands;
mod deadline;
mod events;
mod failure;
mod logs;
mod ls;
mod open;
mod print;
mod progress;
#[cfg(test)]
mod sample;
mod session;
mod status;
pub mod target;
mod times;
#[cfg(feature = "top")]
pub mod top;
mod wait;
mod why;

use self::args::RemoteCommand;
use super::Ending;

/// Does what the command line asks for.
pub fn remote(command: &RemoteCommand) -> Ending {
    let result = match command {
        RemoteCommand::Status(args) => status::status(args),
        RemoteCommand::Why(args) => why::why(args),
        RemoteCommand::Logs(args) => logs::logs(args),
        RemoteCommand::Start(args) => commands::start(args),
        RemoteCommand::Stop(args) => commands::stop(args),
        RemoteCommand::Restart(args) => commands::restart(args),
        RemoteCommand::Kill(args) => commands::kill(args),
        RemoteCommand::Chaos(args) => chaos::chaos(args),
        RemoteCommand::Attach(args) => attach::attach(args),
        RemoteCommand::Scale(args) => commands::scale(args),
        RemoteCommand::Wait(args) => wait::wait(args),
        RemoteCommand::Events(args) => events::events(args),
        RemoteCommand::Reload(args) => commands::reload(args),
        RemoteCommand::Shutdown(args) => commands::shutdown(args),
        #[cfg(feature = "top")]
        RemoteCommand::Top(args) => top::top(args),
        RemoteCommand::Open(args) => open::open(args),
        RemoteCommand::Ls(args) => ls::ls(args),
    };
    match result {
        Ok(status) => Ending::Status(status),
        Err(failure) => failure.end(),
    }
}
