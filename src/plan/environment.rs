//! What a worker finds in its environment, and the names of the variables that pm sets and removes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::{ExecSpec, Identity};

/// The port that a worker owns.
pub const PORT: &str = "PORT";
/// The name of a worker's slot, as foreman and others call it.
pub const PS: &str = "PS";
/// The name of a worker's pool.
pub const PM_POOL: &str = "PM_POOL";
/// The name of a worker's slot.
pub const PM_SLOT: &str = "PM_SLOT";
/// The generation of a worker.
pub const PM_GENERATION: &str = "PM_GENERATION";
/// The worker that a process was started for. pm finds its orphans by it.
pub const PM_WORKER: &str = "PM_WORKER";
/// The exec probe that a process was started for. pm finds its orphans by it.
pub const PM_PROBE: &str = "PM_PROBE";
/// The socket on which a worker sends notifications (sd_notify(3)).
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The time within which a worker has to send WATCHDOG=1, in microseconds (sd_watchdog_enabled(3)).
pub const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The process that WATCHDOG_USEC is meant for (sd_watchdog_enabled(3)).
pub const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// The number of sockets that a worker is passed, the process that they are for, and their names (sd_listen_fds(3)).
pub const LISTEN_FDS: &str = "LISTEN_FDS";
pub const LISTEN_PID: &str = "LISTEN_PID";
pub const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
/// The folders in which a program is searched.
pub const PATH: &str = "PATH";

/// What a plan may not set for a worker that notifies. pm sets it, but for WATCHDOG_PID: any process of the worker may
/// notify.
pub const FOR_NOTIFICATION: [&str; 3] = [NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID];

/// What a plan may not set for a worker that is passed a socket.
pub const FOR_SOCKETS: [&str; 3] = [LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES];

/// Set for pm itself by the program that started pm, and wrong in a worker: `PM_GENERATION`, `PM_WORKER` and `PM_PROBE`
/// are those of a pm that is a worker itself; `NOTIFY_SOCKET`, `WATCHDOG_*` and `LISTEN_*` (sd_listen_fds(3)) are those
/// of pm's own service; `DENO_SERVE_ADDRESS` overrides the port that a Deno worker was given; and a `NODE_CHANNEL_FD`
/// that is not open makes Deno and Node abort.
pub(crate) const NOT_FOR_WORKERS: [&str; 8] = [
    PM_GENERATION,
    PM_WORKER,
    PM_PROBE,
    NOTIFY_SOCKET,
    WATCHDOG_USEC,
    WATCHDOG_PID,
    "DENO_SERVE_ADDRESS",
    "NODE_CHANNEL_FD",
];
pub(crate) const NOT_FOR_WORKERS_PREFIX: &[u8] = b"LISTEN_";

/// A name and a value.
pub type Variable<'a> = (&'a OsStr, Cow<'a, OsStr>);

impl ExecSpec {
    /// The environment of a worker, except `PM_GENERATION`, which changes with each worker.
    ///
    /// `inherited` is pm's own environment. The variables of `self` override it, and its folders are put before `PATH`.
    pub fn environment<'a>(&'a self, inherited: &'a [(OsString, OsString)]) -> Vec<Variable<'a>> {
        let is_set_here = |name: &OsStr| self.env.iter().any(|(own, _)| name == own.as_str());
        let inherited = inherited.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let mut variables: Vec<Variable<'a>> = inherited
            .filter(|(name, _)| is_for_workers(name) && !is_set_here(name))
            .map(|(name, value)| (name, value.into()))
            .collect();
        let own = self.env.iter().map(|(name, value)| (name.as_ref(), OsStr::new(value).into()));
        variables.extend(own);
        for folder in self.path.iter().rev() {
            let known = variables.iter().position(|(name, _)| *name == PATH);
            let mut path = folder.clone().into_os_string();
            if let Some(known) = known {
                path.push(":");
                path.push(variables.swap_remove(known).1);
            }
            variables.push((PATH.as_ref(), path.into()));
        }
        variables
    }
}

/// What every worker of a slot finds: the name of its slot and pool, and its `PORT` if it has one.
pub fn of_slot(pool: &str, slot: &str, port: Option<u16>) -> Vec<(String, String)> {
    let port = port.map(|port| (PORT.to_owned(), port.to_string()));
    let names = [(PS, slot), (PM_POOL, pool), (PM_SLOT, slot)];
    let names = names.map(|(name, value)| (name.to_owned(), value.to_owned()));
    port.into_iter().chain(names).collect()
}

/// What login(1) sets for a user: without these, a program would read and write in the home folder of pm's own user.
pub fn of_user(identity: &Identity) -> [(String, String); 4] {
    let Identity { login, home, shell, .. } = identity;
    let variables = [("HOME", home), ("USER", login), ("LOGNAME", login), ("SHELL", shell)];
    variables.map(|(name, value)| (name.to_owned(), value.clone()))
}

/// Each variable once, with the value that is set last, by name: their order in a file means nothing, and a reload
/// compares them.
pub fn merged(variables: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    BTreeMap::from_iter(variables).into_iter().collect()
}

/// True for a variable that only pm sets: it identifies the worker, also for finding orphans.
pub fn is_own(name: &str) -> bool {
    [PM_POOL, PM_SLOT, PM_GENERATION, PM_WORKER, PM_PROBE].contains(&name)
}

fn is_for_workers(name: &OsStr) -> bool {
    let listed = NOT_FOR_WORKERS.iter().any(|other| name == *other);
    !listed && !name.as_encoded_bytes().starts_with(NOT_FOR_WORKERS_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(inherited: &[(&str, &str)]) -> Vec<(String, String)> {
        let env = of_slot("web", "web.2", Some(8081));
        let exec = ExecSpec { env, path: vec!["/srv/.deno/bin".into()], ..ExecSpec::default() };
        let inherited = inherited.iter().map(|(name, value)| (name.into(), value.into()));
        let text = |os: &OsStr| os.to_str().expect("text").to_owned();
        let inherited: Vec<_> = inherited.collect();
        let variables = exec.environment(&inherited).into_iter();
        variables.map(|(name, value)| (text(name), text(&value))).collect()
    }

    fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = variables.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} is set twice");
        value
    }

    #[test]
    fn a_worker_finds_its_port_and_the_names_of_its_slot_and_pool() {
        let variables = environment(&[("PORT", "1"), ("HOME", "/root"), ("PS", "me")]);
        assert_eq!(value(&variables, "PORT"), Some("8081"));
        assert_eq!(value(&variables, "PS"), Some("web.2"));
        assert_eq!(value(&variables, "PM_SLOT"), Some("web.2"));
        assert_eq!(value(&variables, "PM_POOL"), Some("web"));
        assert_eq!(value(&variables, "HOME"), Some("/root"));
    }

    #[test]
    fn a_variable_that_is_meant_for_pm_is_removed() {
        let meant = ["PM_GENERATION", "NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC"];
        let variables = environment(&meant.map(|name| (name, "x")));
        for name in meant {
            assert_eq!(value(&variables, name), None, "{name}");
        }
    }

    #[test]
    fn the_folders_of_a_pool_come_before_path() {
        let variables = environment(&[("PATH", "/usr/bin:/bin")]);
        assert_eq!(value(&variables, "PATH"), Some("/srv/.deno/bin:/usr/bin:/bin"));
        assert_eq!(value(&environment(&[]), "PATH"), Some("/srv/.deno/bin"));
    }

    #[test]
    fn a_variable_that_is_set_twice_has_the_later_value_once() {
        let later = [("PORT".into(), "2".into())];
        let variables = merged(of_slot("web", "web.1", Some(1)).into_iter().chain(later));
        assert_eq!(variables.iter().filter(|(name, _)| name == "PORT").count(), 1);
        assert!(variables.contains(&("PORT".into(), "2".into())));
    }
}
