//! Orphans: descendants of workers and probes that have lost their parents and so have become pm's own children.
//!
//! An orphan arrives without notice. Its owner is looked up once, when it is first seen, and kept until it is reaped.
//! Its tag names the owner ([`super::super::worker_tag`]). One that has thrown both halves of the tag away is known by
//! its group or its session, if a process that has an owner made it. If it has left these too, the owner is not known:
//! its parent, whose death pm does not see, can have been in any worker. Such an orphan is left alone while pm runs,
//! and is killed with the last workers.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, getpgid, getsid};

use super::group::{expect_sent, send_and_continue};
use super::{Children, Owner};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::child_list::ChildList;
use crate::sys::signals::send;
use crate::sys::wait;
use crate::sys::worker_tag::{ProbeId, WorkerTag, low};

/// The orphans that are not reaped yet.
#[derive(Debug)]
pub struct Orphans {
    list: ChildList,
    /// `None`: it belongs to no worker or probe that is known.
    owners: BTreeMap<Pid, Option<Owner>>,
    /// Each pm below an owner of which an orphan was found, by the number in its tag, also after it was reaped: what it
    /// has started can arrive later.
    makers: BTreeMap<Pid, Owner>,
    /// The workers that their processes have the tags of, and the workers that these are now.
    renamed: BTreeMap<WorkerId, WorkerId>,
    /// What has arrived since this was set is not known yet.
    is_list_fresh: bool,
}

/// What is known of the origin of an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A worker or probe that is there.
    Of(Owner),
    /// A worker or probe that has ended.
    Ended,
    Unknown,
}

impl Orphans {
    pub fn new() -> Self {
        let list = ChildList::open_of_first_thread();
        let (owners, makers, renamed) = Default::default();
        Self { list, owners, makers, renamed, is_list_fresh: false }
    }

    /// From now on there may be orphans that are not known.
    pub fn expire(&mut self) {
        self.is_list_fresh = false;
    }

    /// This orphan is reaped. Returns what it belonged to.
    pub fn remove(&mut self, pid: Pid) -> Option<Owner> {
        self.owners.remove(&pid).flatten()
    }

    /// These have lost their owner, which is forgotten.
    pub fn disown(&mut self, owner: Owner, pids: impl IntoIterator<Item = Pid>) {
        self.makers.retain(|_, of| *of != owner);
        self.renamed.retain(|_, now| Owner::Worker(*now) != owner);
        self.owners.extend(pids.into_iter().map(|pid| (pid, None)));
    }

    /// What belongs to a worker belongs to another one from now on.
    pub fn rename(&mut self, from: WorkerId, to: WorkerId) {
        let (before, after) = (Owner::Worker(from), Owner::Worker(to));
        let owners = self.owners.values_mut().flatten().chain(self.makers.values_mut());
        owners.filter(|owner| **owner == before).for_each(|owner| *owner = after);
        self.renamed.insert(self.tagged_as(from), to);
    }

    /// The worker whose tag the processes of this one have.
    pub fn tagged_as(&self, worker: WorkerId) -> WorkerId {
        let tagged = self.renamed.iter().find(|(_, now)| **now == worker);
        tagged.map_or(worker, |(tagged, _)| *tagged)
    }

    /// The worker that is there and was renamed, of which a tag keeps this slot and the end of this number.
    fn renamed(&self, slot: SlotId, number: u64) -> Option<Owner> {
        let mut renamed = self.renamed.iter();
        let is_tagged = |worker: &WorkerId| worker.slot == slot && low(worker.generation) == number;
        renamed.find(|(tagged, _)| is_tagged(tagged)).map(|(_, now)| Owner::Worker(*now))
    }

    /// The orphans that are dead.
    pub fn find_dead(&self) -> impl Iterator<Item = Pid> {
        self.owners.keys().copied().filter(|pid| wait::is_dead(*pid))
    }
}

impl Children {
    /// Finds the orphans that have arrived, unless that was done in this wakeup and no process was reaped since.
    pub(super) fn adopt(&mut self) {
        if !std::mem::replace(&mut self.orphans.is_list_fresh, true) {
            self.adopt_now();
        }
    }

    fn adopt_now(&mut self) {
        let mut new = Vec::new();
        self.orphans.list.for_each(|pid| {
            if !self.orphans.owners.contains_key(&pid) && !self.is_leader(pid) {
                new.push(pid);
            }
        });
        // One may be known by another that has arrived with it, before or behind it in the list.
        let mut unknown = new.len() + 1;
        while new.len() < unknown {
            unknown = new.len();
            new.retain(|pid| self.take_in(*pid) == Origin::Unknown);
        }
        self.orphans.owners.extend(new.into_iter().map(|pid| (pid, None)));
    }

    /// Takes in an orphan whose origin is known.
    fn take_in(&mut self, pid: Pid) -> Origin {
        let origin = self.origin(pid);
        let owner = match origin {
            Origin::Of(owner) => Some(owner),
            Origin::Ended => {
                expect_sent(send(pid, libc::SIGKILL));
                None
            }
            Origin::Unknown => return origin,
        };
        self.orphans.owners.insert(pid, owner);
        if let Some(group) = owner.and_then(|owner| self.groups.get_mut(&owner)) {
            group.orphans.insert(pid);
            // A member of the group was sent it with the group.
            if let Some(signal) = group.sent_to_all()
                && !group.contains(pid)
            {
                send_and_continue(signal, |signal| send(pid, signal));
            }
        }
        origin
    }

    fn origin(&mut self, pid: Pid) -> Origin {
        let tag = WorkerTag::of(pid);
        if let Some(tag) = tag.filter(|tag| tag.pm == self.pm) {
            return self.tagged(tag).map_or(Origin::Ended, Origin::Of);
        }
        // A worker may be a pm with workers of its own. The number of a group or session is that of the process that
        // made it, and no other process can be given it while the group or session has members (setsid(2)).
        let group_and_session = [getpgid(Some(pid)), getsid(Some(pid))].into_iter().flatten();
        let maker = tag.map(|tag| tag.pm);
        let owner = maker.and_then(|maker| self.made_by_pm(maker));
        if let (Some(maker), Some(owner)) = (maker, owner) {
            self.orphans.makers.insert(maker, owner);
            return Origin::Of(owner);
        }
        let mut owners = group_and_session.filter_map(|maker| self.owner_of(maker));
        owners.next().map_or(Origin::Unknown, Origin::Of)
    }

    /// What the pm of this number belongs to, which may be reaped already.
    fn made_by_pm(&self, maker: Pid) -> Option<Owner> {
        // What it has started can arrive before it does, where its parent is about to end too.
        let tagged = || {
            let tag = WorkerTag::of(maker).filter(|tag| tag.pm == self.pm)?;
            self.tagged(tag)
        };
        let former = || self.orphans.makers.get(&maker).copied();
        let known = self.owner_of(maker).or_else(tagged);
        // Where the number belongs to a living process, it may be another one by now.
        known.or_else(|| former().filter(|_| kill(maker, None) == Err(Errno::ESRCH)))
    }

    /// What this process belongs to, if it leads a group of pm's or is an orphan.
    fn owner_of(&self, pid: Pid) -> Option<Owner> {
        let owner = self.leaders.get(&pid).copied();
        owner.or_else(|| self.orphans.owners.get(&pid).copied().flatten())
    }

    /// The worker or probe that is there and has this tag.
    fn tagged(&self, tag: WorkerTag) -> Option<Owner> {
        let owner = match tag.probe {
            Some(probe) => Owner::Probe(self.probe_of(probe)?),
            None => {
                let slot = tag.worker.slot;
                let of_slot = Owner::first_of(slot)..=Owner::last_of(slot);
                let mut owners = self.groups.range(of_slot).map(|(owner, _)| *owner);
                let same = owners.find(|owner| owner.number() == tag.worker.generation);
                same.or_else(|| self.orphans.renamed(slot, tag.worker.generation))?
            }
        };
        self.groups.contains_key(&owner).then_some(owner)
    }

    /// The latest probe whose number ends in these bits.
    fn probe_of(&self, ProbeId(bits): ProbeId) -> Option<ProbeId> {
        let last = self.next_probe.0.checked_sub(1)?;
        let back = low(low(last).wrapping_sub(bits));
        last.checked_sub(back).map(ProbeId)
    }
}

impl Owner {
    fn first_of(slot: SlotId) -> Self {
        Self::Worker(WorkerId { slot, generation: 0 })
    }

    fn last_of(slot: SlotId) -> Self {
        Self::Worker(WorkerId { slot, generation: u64::MAX })
    }

    /// What its tag keeps of its number.
    fn number(self) -> u64 {
        match self {
            Self::Worker(worker) => low(worker.generation),
            Self::Probe(ProbeId(number)) => low(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pm_below_an_owner_has_made_is_forgotten_with_the_owner_and_no_other() {
        let [first, second] = [1, 2].map(|number| Owner::Probe(ProbeId(number)));
        let mut orphans = Orphans::new();
        orphans.makers.extend([(Pid::from_raw(11), first), (Pid::from_raw(12), second)]);
        orphans.disown(first, [Pid::from_raw(21)]);
        assert_eq!(orphans.makers, BTreeMap::from([(Pid::from_raw(12), second)]));
        assert_eq!(orphans.remove(Pid::from_raw(21)), None, "it has no owner");
    }
}
