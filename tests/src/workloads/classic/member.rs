//! One consumer of the workload: what it knows of itself, its group and its partitions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::history::{Micros, Op};
use crate::workloads::spread::Joined;

/// How long a member waits after a refusal, or after it got no answer.
pub(super) const REST_US: Micros = 50_000;

/// A partition of a topic.
pub(super) type Slot = (String, u64);

/// The partition that an operation names.
pub(super) fn slot_of(op: &Op) -> Option<Slot> {
    Some((op.args["topic"].as_str()?.to_owned(), op.args["partition"].as_u64()?))
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Life {
    /// Not a member, until that time.
    Away(Micros),
    Joining,
    /// Has joined as the leader, and looks up how many partitions there are before it assigns: what
    /// it knew may be older than the rebalance.
    Surveying(Vec<Joined>),
    /// Has joined; the leader with what it assigns.
    Syncing(Option<Value>),
    /// A member with its assignment.
    Member,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) group: usize,
    pub(super) instance: Option<String>,
    pub(super) life: Life,
    pub(super) member_id: String,
    pub(super) generation: i64,
    pub(super) owned: BTreeSet<Slot>,
    /// Where to fetch next; `None` until the committed offset is known.
    pub(super) positions: BTreeMap<Slot, Option<u64>>,
    pub(super) commits: BTreeMap<Slot, u64>,
    /// The high watermark that a fetch told last.
    pub(super) ends: BTreeMap<Slot, u64>,
    pub(super) heartbeat_us: Micros,
    pub(super) churn_us: Micros,
    pub(super) rest_us: Micros,
    pub(super) turn: usize,
    /// A fetch is under way beside a join or a sync.
    pub(super) reads_on: bool,
    /// A commit under the generation before this one.
    pub(super) zombie: Option<Value>,
    /// As the group's leader: how many partitions it has assigned.
    pub(super) assigned: Option<u64>,
}

impl Consumer {
    pub(super) fn lose_everything(&mut self) {
        (self.member_id, self.generation) = (String::new(), -1);
        (self.assigned, self.zombie, self.reads_on) = (None, None, false);
        self.give_up_partitions();
    }

    pub(super) fn give_up_partitions(&mut self) {
        self.owned.clear();
        self.positions.clear();
        self.commits.clear();
        self.ends.clear();
    }

    pub(super) fn retain_owned(&mut self) {
        let owned = &self.owned;
        self.positions.retain(|slot, _| owned.contains(slot));
        self.commits.retain(|slot, _| owned.contains(slot));
        self.ends.retain(|slot, _| owned.contains(slot));
    }

    /// Nobody knows what became of an operation. A member that goes on asks again after a while.
    pub(super) fn unanswered(&mut self, op: &Op, now_us: Micros) {
        if op.f == "fetch" {
            self.reads_on = false;
        }
        self.rest_us = now_us + REST_US;
    }

    /// A partition of which it does not know where to begin.
    pub(super) fn unplaced(&self) -> Option<&Slot> {
        self.positions.iter().find(|(_, position)| position.is_none()).map(|(slot, _)| slot)
    }

    pub(super) fn caught_up(&self) -> bool {
        let read = |slot: &Slot| match (self.positions.get(slot), self.ends.get(slot)) {
            (Some(Some(next)), Some(end)) => next >= end,
            _ => false,
        };
        self.life == Life::Member && self.commits.is_empty() && self.owned.iter().all(read)
    }
}
