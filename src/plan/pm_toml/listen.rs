//! The values of `listen` and `address`, and how a pool holds its ports.

use core::net::IpAddr;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::faults::{Expected, PoolFault, ValueFault};
use super::keys::PoolTable;
use super::pool::Reader;
use super::types::word;
use super::value::{AnyValue, FileFaults, FromValue, Value};
use crate::plan::defaults::{READY_WITHIN, SPARE_AFTER};
use crate::plan::probe::ProbeSpec;
use crate::plan::{HoldPort, PoolSpec, Ready, ReadyBy, defaults};
use crate::supervisor::SpareRule;

/// How a worker comes to its listening socket, if it does not open it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
pub enum Listen {
    /// It is passed to the worker (sd_listen_fds(3)).
    Fds,
}

/// All words, as they are written.
const WORDS: [&str; 1] = ["fds"];

impl FromValue for Listen {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        word(value, &WORDS, |written| (written == WORDS[0]).then_some(Self::Fds))
    }
}

/// An address of IPv4 or IPv6, without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl FromValue for Address {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        let AnyValue::Text(written) = value.any()? else {
            return Err(value.must_be(Expected::Address));
        };
        match written.parse() {
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(ValueFault::Address(written.to_owned())),
        }
    }
}

impl JsonSchema for Address {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }],
            "examples": ["127.0.0.1", "::1", "0.0.0.0"],
        })
    }
}

impl Reader<'_> {
    /// Whether the sockets of the pool's ports outlive its workers.
    pub fn hold_port(&mut self, table: &PoolTable) -> HoldPort {
        if let (Some(address), false) = (table.address.key(), table.listen.is_given()) {
            self.add_fault(address, PoolFault::AddressWithoutListen);
        }
        if let (Some(hold), Some(listen)) = (table.hold_port.key(), table.listen.key()) {
            self.add_related_fault(
                hold,
                PoolFault::HoldPortWithListen,
                listen,
                "it does so anyway",
            );
        }
        let held = hold_port(table);
        let given = [
            ("hold_port", table.hold_port.key().filter(|_| held == HoldPort::Calls)),
            ("listen", table.listen.key()),
        ];
        for (name, at) in given.into_iter().filter(|_| !table.ports.is_given()) {
            if let Some(at) = at {
                self.add_fault(at, PoolFault::HeldWithoutPorts(name));
            }
        }
        held
    }

    /// When a slot has a spare, which has to come to its bind within the time that a worker has to become ready.
    pub fn spare(&mut self, table: &PoolTable, ready: &Ready<ProbeSpec>) -> SpareRule {
        let within = if ready.by == ReadyBy::Lived { READY_WITHIN } else { ready.within };
        let is_held = hold_port(table) == HoldPort::Calls;
        let own = table.spare.key().filter(|_| has_spare(table));
        let shared = table.spares.key().filter(|_| spares(table) > 0);
        for key in [&own, &shared].into_iter().flatten().filter(|_| !is_held) {
            self.add_fault(key.clone(), PoolFault::SpareWithoutHoldPort);
        }
        if let (Some(own), Some(shared)) = (&own, &shared) {
            let label = "each slot has its own";
            self.add_related_fault(shared.clone(), PoolFault::SpareAndSpares, own.clone(), label);
        }
        let has_spare = own.is_some() || shared.is_some();
        let max_age = table.spare_max_age.usable();
        if let Some((_, given)) = max_age.filter(|_| !has_spare) {
            self.add_fault(given.key.clone(), PoolFault::MaxAgeWithoutSpare);
        }
        if let Some((_, given)) = max_age.filter(|(age, _)| has_spare && age.0.is_zero()) {
            let example = "spare_max_age = \"1h\"";
            self.add_fault(given.at.clone(), PoolFault::Zero { key: "spare_max_age", example });
        }
        let (after, max_age) = (SPARE_AFTER, max_age.map(|(age, _)| age.0));
        match (own, shared) {
            _ if !is_held => SpareRule::Never,
            (Some(_), _) => SpareRule::Always { within, after, max_age },
            (None, Some(_)) => SpareRule::Shared { within, after, max_age },
            (None, None) => SpareRule::ToReplace { within },
        }
    }

    /// How many spares all slots share. What the kernel or a server knows by its slot cannot move with a spare.
    pub fn spares(&mut self, table: &PoolTable, spec: &PoolSpec) -> usize {
        let count = spares(table);
        if let Some(key) = table.spares.key().filter(|_| count > 0) {
            let limits = table.limits.value();
            let reasons = [
                (spec.notifies(), "cannot notify: the socket is that of one slot"),
                (
                    limits.is_some_and(|limits| limits.memory.is_given()),
                    "cannot have a memory limit: the control group is that of one slot",
                ),
            ];
            for (_, why) in reasons.into_iter().filter(|(is_so, _)| *is_so) {
                self.add_fault(key.clone(), PoolFault::SharedSpareWith(why));
            }
        }
        count
    }
}

/// How many spares all slots share, as it is written.
fn spares(table: &PoolTable) -> usize {
    table.spares.value().and_then(|count| usize::try_from(count.0).ok()).unwrap_or(0)
}

fn has_spare(table: &PoolTable) -> bool {
    table.spare.value().is_some_and(|spare| *spare)
}

/// Whether the sockets of the pool's ports outlive its workers, as it is written.
pub fn hold_port(table: &PoolTable) -> HoldPort {
    if table.listen.is_given() {
        return HoldPort::Passed(table.address.value().map_or(defaults::ADDRESS, |at| at.0));
    }
    match table.hold_port.value() {
        Some(true) => HoldPort::Calls,
        Some(false) | None => HoldPort::No,
    }
}
