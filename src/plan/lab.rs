//! The lab's pool: three Deno web servers on 8080, 8081 and 8082. What `pm` runs when `web.ts` is here.

use std::path::Path;
use std::time::Duration;

use super::{Plan, Pool, SlotPlan};
use crate::supervisor::{Policy, Readiness};

/// The file whose presence means that this is the lab.
pub const SCRIPT: &str = "web.ts";

const PORTS: [u16; 3] = [8080, 8081, 8082];

/// The time a worker with a port has to accept a connection.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// The lab's pool in the folder `dir`; how its workers become ready is its own affair, the rest is `policy`.
pub fn plan(dir: &Path, policy: &Policy) -> Plan {
    let slots = PORTS.iter().zip(1..).map(|(port, n)| SlotPlan {
        name: format!("web.{n}"),
        n,
        port: Some(*port),
        argv: ["deno", "run", "--allow-read", "--allow-net", SCRIPT, &port.to_string()]
            .map(Into::into)
            .to_vec(),
    });
    Plan {
        pools: vec![Pool {
            name: "web".into(),
            slots: slots.collect(),
            policy: Policy { ready: Readiness::Probe { within: READY_WITHIN }, ..policy.clone() },
            path: vec![dir.join(".deno/bin")],
            // A permission prompt would wait for an answer for ever, and looking for updates is not a worker's job.
            env: [("DENO_NO_PROMPT", "1"), ("DENO_NO_UPDATE_CHECK", "1")]
                .map(|(name, value)| (name.into(), value.into()))
                .to_vec(),
            missing_hint: Some("try `make deno`".into()),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_run_the_command_of_make_web() {
        let plan = plan(Path::new("/srv"), &Policy::default());
        let (_, slot) = plan.slots().nth(1).expect("three slots");
        assert_eq!(slot.argv.join(" ".as_ref()), "deno run --allow-read --allow-net web.ts 8081");
        assert_eq!((slot.name.as_str(), slot.port), ("web.2", Some(8081)));
    }
}
