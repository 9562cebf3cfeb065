//! The members of a classic group as they are kept.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::{Client, Protocol};
use super::event::InitialDelay;
use crate::command::RequestId;
use crate::groups::group::GroupState;
use crate::ids::{GroupId, InstanceId, MemberId, ProtocolName, TopicName, TopicPartition};
use crate::rejection::Rejection;
use crate::topics::budget::{text_len, topic_text};
use crate::values::TopicPartitions;

/// How long a new member may wait in its first join before it counts as gone (fixed in Kafka too),
/// in ms.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: u32 = 300_000;

/// The members of a classic group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Classic {
    /// What the group is doing.
    pub phase: Phase,
    /// The elected protocol; `None` before the first election and in an empty group.
    pub protocol: Option<ProtocolName>,
    /// The member that assigns.
    pub leader: Option<MemberId>,
    /// By id.
    pub members: BTreeMap<MemberId, ClassicMember>,
    /// Who has the seat of each static identity.
    pub instances: BTreeMap<InstanceId, MemberId>,
    /// What the group's leader is told of all members takes at most so many bytes as text.
    pub text: u64,
    /// How many members offer each protocol.
    pub offered: BTreeMap<ProtocolName, u32>,
    /// The topics that members read under the elected protocol, as of the last join phase.
    pub subscribed: BTreeSet<TopicName>,
    /// Members whose join waits.
    pub joining: BTreeSet<MemberId>,
    /// Static members whose seats are kept, but which are not there.
    pub away: BTreeSet<MemberId>,
    /// Members of the generation that have not yet asked for their assignment.
    pub pending_sync: BTreeSet<MemberId>,
    /// How long they have for that, in ms.
    pub sync_timeout_ms: u32,
    /// Who reads each partition that is assigned.
    pub owners: BTreeMap<TopicPartition, MemberId>,
    /// Who was given an id and has not joined with it yet, and its session time-out in ms, which is
    /// how long that may take. They are no members, but a join phase waits for them.
    pub pending_join: BTreeMap<MemberId, u32>,
}

/// What a classic group is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Phase {
    /// It has no members.
    #[default]
    Empty,
    /// Members join.
    Preparing {
        /// How long that may take, in ms.
        timeout_ms: u32,
        /// The group was empty, and waits for more members.
        initial: Option<InitialWait>,
    },
    /// Members have joined and wait for the leader's assignment.
    Completing,
    /// Everyone has an assignment.
    Stable,
}

/// The wait of a group that was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialWait {
    /// How long.
    pub delay: InitialDelay,
    /// Whether another member joined since it began.
    pub joined: bool,
}

/// A classic member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClassicMember {
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed, in ms.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance, in ms.
    pub rebalance_timeout_ms: u32,
    /// What it offers, in its order of preference.
    pub protocols: Vec<Protocol>,
    /// What it reads; empty from the end of a join phase until the leader has assigned.
    pub assignment: TopicPartitions,
    /// What its leader gave it, where that was bytes.
    pub given: Bytes,
    /// The client that it is, if it speaks Kafka's own protocol.
    pub client: Option<Client>,
    /// Its request that waits for the group.
    pub delayed: Option<DelayedRequest>,
    /// It has not yet seen the end of a join phase.
    pub is_new: bool,
}

/// A request that is answered when the group is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayedRequest {
    /// Which kind.
    pub kind: DelayedKind,
    /// Whose answer it will be.
    pub request_id: Option<RequestId>,
}

/// The kinds of requests that can be delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DelayedKind {
    /// `join_group`.
    Join,
    /// `sync_group`.
    Sync,
}

/// What is told of a member besides its static identity and what it offers, as text.
const MEMBER_TEXT: u64 = 512;

/// So many bytes of a client's name are in its member's id, at most.
const NAME_IN_ID: usize = 128;

/// What the id of a member begins with, so that its kind and its client are seen: its static
/// identity, or else its client's name.
pub(super) fn base_of_id<'a>(
    instance_id: Option<&'a InstanceId>,
    client: Option<&'a Client>,
) -> Option<&'a str> {
    let name = client.map(|client| &*client.client_id).filter(|name| !name.is_empty());
    let name = name.map(|name| &name[..name.floor_char_boundary(NAME_IN_ID)]);
    instance_id.map(InstanceId::as_str).or(name)
}

/// At most so many bytes of text tell the group's leader of a member. Its id is made of its
/// identity, or of its client's name.
pub(super) fn member_text(
    instance_id: Option<&InstanceId>,
    client: Option<&Client>,
    protocols: &[Protocol],
) -> u64 {
    let offered = protocols.iter().map(|protocol| {
        let topics = protocol.topics.iter().map(|name| topic_text(name.as_str(), 0));
        let owned = protocol.owned.iter();
        let owned = owned.map(|(name, of_topic)| topic_text(name.as_str(), of_topic.len()));
        topics.chain(owned).sum::<u64>() + protocol.metadata.len() as u64
    });
    let identity = base_of_id(instance_id, client).map_or(0, |base| 2 * text_len(base));
    MEMBER_TEXT + identity + offered.max().unwrap_or(0)
}

impl ClassicMember {
    /// See [`member_text`].
    pub(super) fn text(&self) -> u64 {
        member_text(self.instance_id.as_ref(), self.client.as_ref(), &self.protocols)
    }
}

impl Classic {
    /// Kafka's name for what the group is doing.
    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing { .. } => GroupState::PreparingRebalance,
            Phase::Completing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    /// What a member subscribes to under the elected protocol, or under its first one before an
    /// election.
    pub fn topics_of(&self, member: &ClassicMember) -> Vec<TopicName> {
        let elected = self.protocol.as_ref().and_then(|elected| member.protocol(elected));
        elected.or(member.protocols.first()).map_or_else(Vec::new, |p| p.topics.clone())
    }

    /// A member that is there, by Kafka's order of checks (`ClassicGroup.validateMember`): the
    /// static identity first, then the id.
    ///
    /// # Errors
    /// [`Rejection::UnknownMember`], [`Rejection::FencedInstance`].
    pub(in crate::groups) fn present(
        &self,
        id: &GroupId,
        member: &MemberId,
        instance_id: Option<&InstanceId>,
    ) -> Result<&ClassicMember, Rejection> {
        let found = self.known(id, member, instance_id)?;
        if self.away.contains(member) {
            Err(Rejection::unknown_member(id, member))
        } else {
            Ok(found)
        }
    }

    /// As [`present`](Self::present), but the member may be away.
    pub(super) fn known(
        &self,
        id: &GroupId,
        member: &MemberId,
        instance_id: Option<&InstanceId>,
    ) -> Result<&ClassicMember, Rejection> {
        if let Some(instance_id) = instance_id {
            match self.instances.get(instance_id) {
                None => return Err(Rejection::unknown_member(id, member)),
                Some(holder) if holder != member => {
                    return Err(Rejection::FencedInstance {
                        group: id.clone(),
                        instance_id: instance_id.clone(),
                        member: member.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        self.members.get(member).ok_or_else(|| Rejection::unknown_member(id, member))
    }

    /// The protocol type of its members, if they have one.
    pub fn protocol_type(&self) -> Option<&str> {
        self.members.values().next()?.client.as_ref().map(|client| &*client.protocol_type)
    }

    /// How much text tells of a member; of one that is still to join, at least so much will.
    pub(super) fn text_of(&self, member: &MemberId) -> u64 {
        let will_be = self.pending_join.get(member).map(|_| MEMBER_TEXT);
        self.members.get(member).map(ClassicMember::text).or(will_be).unwrap_or(0)
    }

    /// How much text tells of all members, with those that are still to join. So ids that are given
    /// and not used are bounded as members are.
    pub(super) fn text_to_come(&self) -> u64 {
        self.text + MEMBER_TEXT * self.pending_join.len() as u64
    }

    /// The greatest rebalance time-out of the members, in ms.
    pub(super) fn rebalance_timeout_ms(&self) -> u32 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }
}

impl ClassicMember {
    /// What it offers under a name.
    pub(in crate::groups) fn protocol(&self, name: &ProtocolName) -> Option<&Protocol> {
        self.protocols.iter().find(|p| p.name == *name)
    }
}
