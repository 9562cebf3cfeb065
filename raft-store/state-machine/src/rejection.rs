//! Why a command or a query is refused.
//!
//! One enum for all domains, because refusals belong to no single one: a commit of an offset meets
//! those of groups and of topics. It is also the table that each listener translates in one
//! exhaustive match, from what went wrong to its wire's codes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{
    Generation, GroupId, InstanceId, MemberId, Millis, Offset, PartitionId, ProducerId,
    ProtocolName, TopicName, TopicPartition,
};
use crate::topics::budget::MAX_REPLY_TEXT;

/// Why a command or query was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum Rejection {
    /// No such topic.
    #[error("topic `{0}` does not exist")]
    UnknownTopic(TopicName),
    /// No such partition.
    #[error("topic `{topic}` has partitions 0 to {}, not {partition}", .partitions - 1)]
    UnknownPartition {
        topic: TopicName,
        partition: PartitionId,
        /// How many there are, or would be.
        partitions: u32,
    },
    /// The topic exists.
    #[error("topic `{0}` exists already")]
    TopicAlreadyExists(TopicName),
    /// Topics only grow.
    #[error("topic `{topic}` has {current} partitions and cannot shrink to {asked}")]
    TopicCannotShrink {
        topic: TopicName,
        /// How many it has.
        current: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// No such configuration of topics.
    #[error("unknown configuration `{0}`")]
    UnknownConfig(Arc<str>),
    /// A value that a configuration does not take.
    #[error("configuration `{name}` is {value:?}, expected {expected}")]
    InvalidConfig {
        name: Arc<str>,
        /// As sent, or the first part of it.
        value: Arc<str>,
        /// In words.
        expected: Arc<str>,
    },
    /// A batch of records that is larger than the topic takes.
    #[error("topic `{topic}` takes batches of at most {limit} bytes, not {bytes}")]
    BatchTooLarge { topic: TopicName, bytes: u64, limit: u32 },
    /// Records without keys, for a topic that is to be compacted.
    #[error("topic `{0}` is compacted, and takes no records without a key")]
    KeyMissing(TopicName),
    /// Records whose time is too far ahead.
    #[error("topic `{topic}` takes records of times up to {latest}, not {given}")]
    TimestampAhead { topic: TopicName, given: Millis, latest: Millis },
    /// A batch of an earlier incarnation of its producer.
    #[error("producer {producer}: epoch {given} was sent, {current} is known")]
    ProducerFenced {
        producer: ProducerId,
        /// As sent.
        given: u16,
        /// The greatest that was seen.
        current: u16,
    },
    /// A batch that does not follow on the last one of its producer.
    #[error("producer {producer}: sequence {given} was sent, {expected} is expected")]
    OutOfSequence {
        producer: ProducerId,
        /// As sent.
        given: u32,
        /// The one that comes next.
        expected: u32,
    },
    /// No such register.
    #[error("key {0} does not exist")]
    KeyNotFound(Arc<str>),
    /// A compare-and-set found another value.
    #[error("key {key}: expected {expected}, found {found}")]
    PreconditionFailed {
        key: Arc<str>,
        /// The value it should have had.
        expected: Arc<str>,
        /// The one it has.
        found: Arc<str>,
    },
    /// No such group.
    #[error("group `{0}` does not exist")]
    GroupNotFound(GroupId),
    /// No such member.
    #[error("group `{group}` has no member `{member}`")]
    UnknownMember { group: GroupId, member: MemberId },
    /// A commit without member and generation on a group whose members commit.
    #[error("group `{0}` has members: a commit has to name its member_id and generation")]
    MemberNotNamed(GroupId),
    /// A stale generation, or one that never was.
    #[error("group `{group}`: generation {given} was sent, {current} is expected")]
    IllegalGeneration {
        group: GroupId,
        /// As sent.
        given: Generation,
        /// The member's.
        current: Generation,
    },
    /// The group is rebalancing.
    #[error("group `{0}` is rebalancing: join again")]
    RebalanceInProgress(GroupId),
    /// The partition is not, or no longer, the member's.
    #[error("group `{group}`: {partition} is not assigned to member `{member}`")]
    NotAssigned { group: GroupId, member: MemberId, partition: TopicPartition },
    /// Another member has the static identity.
    #[error("group `{group}`: instance `{instance_id}` is now another member than `{member}`")]
    FencedInstance {
        group: GroupId,
        instance_id: InstanceId,
        /// The member that claimed it.
        member: MemberId,
    },
    /// The group has members of another kind or strategy.
    #[error("group `{group}` is a {kind} group with strategy {strategy}: {problem}")]
    InconsistentProtocol {
        group: GroupId,
        /// Its kind, by name.
        kind: Arc<str>,
        /// Its strategy, by name.
        strategy: Arc<str>,
        /// What does not fit.
        problem: Arc<str>,
    },
    /// The group has as many members as it may.
    #[error("group `{group}` is full: it may have {limit} members")]
    GroupFull { group: GroupId, limit: u32 },
    /// What the group's leader would have to be told of its members is more than a reply takes, or
    /// what a group is to be told that is declared.
    #[error(
        "the members of group `{group}` would take {text} bytes of text, and {MAX_REPLY_TEXT} are \
         allowed: name fewer topics or partitions, or split the group"
    )]
    GroupTooLarge { group: GroupId, text: u64 },
    /// The group has members.
    #[error("group `{0}` still has members")]
    NonEmptyGroup(GroupId),
    /// Nothing of the group can be ended.
    #[error("group `{0}` waits for nothing")]
    GroupWaitsForNothing(GroupId),
    /// A member reads the topic.
    #[error("group `{group}` reads topic `{topic}`")]
    GroupSubscribedToTopic { group: GroupId, topic: TopicName },
    /// A commit beyond the end of the log.
    #[error("offset {offset} is beyond the end of {partition}, which is {end}")]
    OffsetBeyondEnd {
        partition: TopicPartition,
        /// As sent.
        offset: Offset,
        /// The next offset of the log.
        end: Offset,
    },
    /// A read before the beginning of the log, or beyond its end.
    #[error("offset {offset} of {partition} is not in its log, from {start} to {end}")]
    OffsetOutOfRange {
        partition: TopicPartition,
        /// As sent.
        offset: Offset,
        /// The first offset of the log.
        start: Offset,
        /// The next offset of the log.
        end: Offset,
    },
    /// No assignor of that name.
    #[error("unknown strategy `{0}`; expected range, roundrobin, sticky or cooperative-sticky")]
    UnsupportedAssignor(ProtocolName),
    /// The leader's assignment does not fit the group.
    #[error("group `{group}`: the assignment {problem}")]
    InvalidAssignment {
        group: GroupId,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The assignor failed.
    #[error("group `{group}`: {problem}")]
    AssignorFailed {
        group: GroupId,
        /// What it said.
        problem: Arc<str>,
    },
    /// The request was given up by the node that took it in, before it came here.
    #[error("the request is over")]
    RequestOver,
}

impl Rejection {
    /// The refusal of a request that names a stranger as its member.
    pub(crate) fn unknown_member(group: &GroupId, member: &MemberId) -> Self {
        Self::UnknownMember { group: group.clone(), member: member.clone() }
    }
}
