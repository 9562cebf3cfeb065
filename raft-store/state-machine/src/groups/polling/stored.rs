//! How the members of a polling group are written: without what follows from them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::index::{Basis, Index};
use super::members::{Polling, PollingMember, Rebalance};
use crate::ids::{InstanceId, MemberId, ProtocolName, TopicName, TopicPartition};

/// As it is written: the members that are unsettled are named.
#[derive(Serialize)]
struct Written<'a> {
    strategy: &'a ProtocolName,
    members: &'a BTreeMap<MemberId, PollingMember>,
    instances: &'a BTreeMap<InstanceId, MemberId>,
    fenced: &'a VecDeque<(MemberId, InstanceId)>,
    subscribed: &'a BTreeMap<TopicName, u32>,
    owners: &'a BTreeMap<TopicPartition, MemberId>,
    rebalance: &'a Option<Rebalance>,
    unsettled: Vec<&'a MemberId>,
}

/// As it is read.
#[derive(Deserialize)]
struct Read {
    strategy: ProtocolName,
    members: BTreeMap<MemberId, PollingMember>,
    instances: BTreeMap<InstanceId, MemberId>,
    fenced: VecDeque<(MemberId, InstanceId)>,
    subscribed: BTreeMap<TopicName, u32>,
    owners: BTreeMap<TopicPartition, MemberId>,
    rebalance: Option<Rebalance>,
    unsettled: BTreeSet<MemberId>,
}

impl Serialize for Polling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            strategy,
            members,
            instances,
            fenced,
            subscribed,
            owners,
            rebalance,
            settled: _,
            index: _,
            basis: _,
        } = self;
        let unsettled = members.keys().filter(|id| self.is_unsettled(id)).collect();
        let written = Written {
            strategy,
            members,
            instances,
            fenced,
            subscribed,
            owners,
            rebalance,
            unsettled,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Polling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let settled = read.members.iter().filter(|(_, member)| !member.away).map(|(id, _)| id);
        let settled = settled.filter(|id| !read.unsettled.contains(*id)).cloned().collect();
        Ok(Self {
            settled,
            index: Index::of(&read.members),
            basis: Basis::default(),
            strategy: read.strategy,
            members: read.members,
            instances: read.instances,
            fenced: read.fenced,
            subscribed: read.subscribed,
            owners: read.owners,
            rebalance: read.rebalance,
        })
    }
}
