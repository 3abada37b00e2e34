//! Templates as an engine fills them in: with the names that it has for a slot's port and number, or with the values
//! of one slot.

use std::path::Path;

use crate::plan::environment::{PM_POOL, PM_SLOT, PORT, PS};
use crate::plan::host::resolve;
use crate::plan::text::placeholders::{Part, Template};
use crate::plan::{AliveBy, Pool, PoolSpec, ProbeSpec, ReadyBy, SlotsSpec};

/// What the placeholders become, as the engine writes it.
#[derive(Clone, Debug)]
pub struct Names {
    pub port: String,
    pub slot: String,
    pub n: String,
    pub pool: String,
    pub dir: String,
}

impl Names {
    /// Those of the `n`-th slot of a pool.
    pub fn of_slot(pool: &Pool, n: usize) -> Self {
        Self {
            port: port_of(&pool.spec.slots, n).map(|port| port.to_string()).unwrap_or_default(),
            slot: format!("{}.{n}", pool.name),
            n: n.to_string(),
            pool: pool.name.clone(),
            dir: pool.spec.dir.to_string_lossy().into_owned(),
        }
    }

    /// A text with its placeholders filled in. `escape` is for what the engine would take for its own.
    pub fn fill(&self, template: &Template, escape: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => escape(&text.to_string_lossy()),
            Part::Port => self.port.clone(),
            Part::Slot => self.slot.clone(),
            Part::N => self.n.clone(),
            Part::Pool => escape(&self.pool),
            Part::Dir => escape(&self.dir),
        };
        template.parts().iter().map(part).collect()
    }

    /// A path with its placeholders filled in, absolute.
    pub fn path(&self, template: &Template, escape: impl Fn(&str) -> String) -> String {
        let dir = escape(&self.dir);
        let path = self.fill(template, escape);
        resolve(Path::new(&dir), Path::new(&path)).to_string_lossy().into_owned()
    }
}

/// The PORT of the `n`-th slot, from 1.
pub fn port_of(slots: &SlotsSpec, n: usize) -> Option<u16> {
    match slots {
        SlotsSpec::Ports(ports) => ports.get(n - 1).copied(),
        SlotsSpec::Workers(_) => None,
        SlotsSpec::PortVariable { first, .. } => first.checked_add(u16::try_from(n - 1).ok()?),
    }
}

/// The variables of a worker beside those of `env_file`, by name; those of `env` override pm's own.
pub fn variables(pool: &Pool) -> Vec<(String, Template)> {
    let port = port_of(&pool.spec.slots, 1).map(|_| (PORT, Part::Port));
    let own = [(PM_POOL, Part::Pool), (PM_SLOT, Part::Slot), (PS, Part::Slot)];
    let own = own
        .into_iter()
        .chain(port)
        .map(|(name, part)| (name.to_owned(), Template::placeholder(part)));
    let is_overridden = |name: &str| pool.spec.env.iter().any(|(other, _)| other == name);
    let mut all: Vec<_> = own.filter(|(name, _)| !is_overridden(name)).collect();
    all.extend(pool.spec.env.iter().cloned());
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    all
}

/// True if a template of the pool asks for the number or the name of a slot. That of its log file does not count: most
/// engines have no use for it.
pub fn asks_for_number(spec: &PoolSpec) -> bool {
    templates(spec).any(asks_in)
}

/// True if this text is another one in each slot, whatever its port.
pub fn asks_in(template: &Template) -> bool {
    template.parts().iter().any(|part| matches!(part, Part::N | Part::Slot))
}

/// Every template of a pool but that of its log file.
fn templates(spec: &PoolSpec) -> impl Iterator<Item = &Template> {
    let ready = match &spec.ready.by {
        ReadyBy::Probe(probe) => Some(probe),
        ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit | ReadyBy::Listen => {
            None
        }
    };
    let alive = spec.alive.as_ref().and_then(|alive| match &alive.by {
        AliveBy::Probe(probe) => Some(probe),
        AliveBy::Notify => None,
    });
    let probes = ready.into_iter().chain(alive).flat_map(|probe| match probe {
        ProbeSpec::Exec { argv } => argv.as_slice(),
        ProbeSpec::Tcp { .. } | ProbeSpec::Http { .. } => &[],
    });
    let env = spec.env.iter().map(|(_, value)| value);
    spec.command.iter().chain(&spec.cwd).chain(probes).chain(env)
}
