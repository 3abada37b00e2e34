//! What a worker finds in its environment.

use std::ffi::{OsStr, OsString};

use super::{Pool, SlotPlan};

/// Meant for pm by whoever started it, and wrong in a worker: `PM_GENERATION` is that of a pm which is a worker itself,
/// `NOTIFY_SOCKET` and `LISTEN_*` are sd_notify(3) and
/// sd_listen_fds(3) of pm's own service, `DENO_SERVE_ADDRESS` overrides the port that a Deno worker was given, and a
/// `NODE_CHANNEL_FD` that is not open makes Deno and Node abort.
const NOT_FOR_WORKERS: [&str; 4] =
    ["PM_GENERATION", "NOTIFY_SOCKET", "DENO_SERVE_ADDRESS", "NODE_CHANNEL_FD"];
const NOT_FOR_WORKERS_PREFIX: &[u8] = b"LISTEN_";

impl Pool {
    /// The environment of a worker in `slot`, but for `PM_GENERATION`, which changes with each worker.
    ///
    /// `inherited` is pm's own environment. Over it come `PORT` (if the slot has one), `PS`, `PM_POOL`, `PM_SLOT`,
    /// the pool's own variables, and a `PATH` with the pool's folders in front.
    pub fn environment(
        &self,
        slot: &SlotPlan,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<_> =
            inherited.into_iter().filter(|(name, _)| is_for_workers(name)).collect();
        let mut set = |name: &str, value: OsString| {
            variables.retain(|(known, _)| known != name);
            variables.push((name.into(), value));
        };
        if let Some(port) = slot.port {
            set("PORT", port.to_string().into());
        }
        set("PS", slot.name.clone().into());
        set("PM_POOL", self.name.clone().into());
        set("PM_SLOT", slot.name.clone().into());
        for (name, value) in &self.env {
            set(name, value.into());
        }
        for folder in self.path.iter().rev() {
            let known = variables.iter().position(|(name, _)| name == "PATH");
            let mut path = folder.clone().into_os_string();
            if let Some(known) = known {
                path.push(":");
                path.push(variables.swap_remove(known).1);
            }
            variables.push(("PATH".into(), path));
        }
        variables
    }
}

fn is_for_workers(name: &OsStr) -> bool {
    let listed = NOT_FOR_WORKERS.iter().any(|other| name == *other);
    !listed && !name.as_encoded_bytes().starts_with(NOT_FOR_WORKERS_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lab;
    use crate::supervisor::Policy;

    fn environment(inherited: &[(&str, &str)]) -> Vec<(String, String)> {
        let plan = lab::plan("/srv".as_ref(), &Policy::default());
        let inherited = inherited.iter().map(|(name, value)| (name.into(), value.into()));
        let pool = &plan.pools[0];
        let text = |os: OsString| os.into_string().expect("text");
        let variables = pool.environment(&pool.slots[1], inherited).into_iter();
        variables.map(|(name, value)| (text(name), text(value))).collect()
    }

    fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = variables.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} is there twice");
        value
    }

    #[test]
    fn a_worker_is_told_who_it_is() {
        let variables = environment(&[("PORT", "1"), ("HOME", "/root"), ("PS", "me")]);
        assert_eq!(value(&variables, "PORT"), Some("8081"));
        assert_eq!(value(&variables, "PS"), Some("web.2"));
        assert_eq!(value(&variables, "PM_SLOT"), Some("web.2"));
        assert_eq!(value(&variables, "PM_POOL"), Some("web"));
        assert_eq!(value(&variables, "HOME"), Some("/root"));
    }

    #[test]
    fn what_was_meant_for_pm_itself_is_left_out() {
        let meant = ["PM_GENERATION", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"];
        let variables = environment(&meant.map(|name| (name, "x")));
        for name in meant {
            assert_eq!(value(&variables, name), None, "{name}");
        }
    }

    #[test]
    fn the_folders_of_the_pool_come_before_path() {
        let variables = environment(&[("PATH", "/usr/bin:/bin")]);
        assert_eq!(value(&variables, "PATH"), Some("/srv/.deno/bin:/usr/bin:/bin"));
        assert_eq!(value(&environment(&[]), "PATH"), Some("/srv/.deno/bin"));
    }
}
