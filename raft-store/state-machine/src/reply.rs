//! What is answered: to a command the same on every node, to a query by the node that read.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::Records;
use crate::ids::{
    Generation, GroupId, InstanceId, LogKey, MemberId, Millis, NodeId, Offset, PartitionId, ProtocolName,
    TopicName, TopicPartition,
};

/// The answer to a command or a query: done, or refused with no change at all.
pub type Outcome = Result<Reply, Rejection>;

/// Records as they stand in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBatch {
    /// The first record's offset.
    pub base_offset: Offset,
    /// How many records.
    pub count: u32,
    /// When they were appended, by the leader's clock; never falls within a partition.
    pub timestamp: Millis,
    /// As they came in [`Records`].
    pub bytes: Bytes,
}

impl StoredBatch {
    /// The records alone, as they came in.
    pub fn records(&self) -> Records {
        Records { count: self.count, bytes: self.bytes.clone() }
    }
}

/// Partitions by topic, both ascending.
pub type TopicPartitions = Vec<(TopicName, Vec<PartitionId>)>;

/// A group's state, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Members are joining, or giving up what they have to.
    PreparingRebalance,
    /// Members have joined and wait for the leader's assignment.
    CompletingRebalance,
    /// Everyone reads what it should.
    Stable,
    /// Removed.
    Dead,
}

impl GroupState {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// How a group came to be and who assigns in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupKind {
    /// It has committed offsets and nothing else.
    Simple,
    /// Declared as a whole, in one shot.
    Declared,
    /// Polling consumers; the coordinator assigns.
    Polling,
    /// Kafka's classic protocol; the group's leader assigns.
    Classic,
}

impl GroupKind {
    /// Its name in replies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Declared => "declared",
            Self::Polling => "thin",
            Self::Classic => "classic",
        }
    }
}

/// What every reply to a thin consumer tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollingView {
    /// The member's generation from now on.
    pub generation: Generation,
    /// The group's state.
    pub state: GroupState,
    /// What the member may read and commit.
    pub assignment: TopicPartitions,
}

/// A run of offsets that a poll handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset.
    pub from: Offset,
    /// One past the last.
    pub to: Offset,
}

/// A member as the leader of a classic group sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedMember {
    /// The member.
    pub member_id: MemberId,
    /// Its static identity.
    pub instance_id: Option<InstanceId>,
    /// What it subscribes to under the elected protocol.
    pub topics: Vec<TopicName>,
    /// What it owned when it joined.
    pub owned: TopicPartitions,
    /// In which generation.
    pub generation: Option<Generation>,
}

/// A member in a group's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedMember {
    /// The member.
    pub member_id: MemberId,
    /// Its static identity.
    pub instance_id: Option<InstanceId>,
    /// What it subscribes to.
    pub topics: Vec<TopicName>,
    /// What it reads.
    pub assignment: TopicPartitions,
}

/// A partition in a group's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The committed offset.
    pub committed: Option<Offset>,
    /// Where its reader is.
    pub position: Option<Offset>,
    /// The partition's next offset; 0 where it does not exist.
    pub log_end_offset: Offset,
    /// The committer's note.
    pub metadata: Option<Arc<str>>,
    /// When the offset was committed.
    pub timestamp: Option<Millis>,
    /// Who reads the partition.
    pub member_id: Option<MemberId>,
}

impl DescribedOffset {
    /// How many offsets the group has not yet read: log end minus committed, from 0 where nothing was
    /// committed; never below 0.
    pub fn lag(&self) -> Offset {
        self.log_end_offset.saturating_sub(self.committed.unwrap_or(0))
    }

    /// The lag in percent of the log's end; 0 for an empty log.
    pub fn lag_percent(&self) -> f64 {
        if self.log_end_offset == 0 { 0.0 } else { self.lag() as f64 / self.log_end_offset as f64 * 100.0 }
    }
}

/// Everything about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The group.
    pub group: GroupId,
    /// Its kind.
    pub kind: GroupKind,
    /// Its state.
    pub state: GroupState,
    /// The strategy by which it assigns; `None` before it has one.
    pub strategy: Option<ProtocolName>,
    /// Its generation.
    pub generation: Generation,
    /// Its leader, in a classic group.
    pub leader: Option<MemberId>,
    /// The node that coordinates it.
    pub coordinator: Option<NodeId>,
    /// How many rebalances it has completed.
    pub rebalances: u64,
    /// How many of them in the hour before the last stamp.
    pub rebalances_last_hour: u64,
    /// Sorted by name.
    pub members: Vec<DescribedMember>,
    /// Every partition that has a commit or belongs to a subscribed topic; sorted.
    pub offsets: Vec<DescribedOffset>,
}

/// What was done, or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done; there is nothing more to say.
    Done,
    /// Records were appended.
    Appended {
        /// Where.
        partition: PartitionId,
        /// The first one's offset.
        offset: Offset,
    },
    /// Messages of Maelstrom's logs; logs without any are left out.
    LogMessages(Vec<(LogKey, Vec<StoredBatch>)>),
    /// Committed positions of Maelstrom's logs; logs without one are left out.
    LogCommitted(Vec<(LogKey, Offset)>),
    /// All topics with their number of partitions, sorted.
    Topics(Vec<(TopicName, u32)>),
    /// Records of one partition.
    Fetched {
        /// From the offset asked for.
        batches: Vec<StoredBatch>,
        /// The partition's next offset.
        high_watermark: Offset,
    },
    /// A committed offset, 0 where there is none.
    Committed {
        /// The offset.
        offset: Offset,
        /// The committer's note.
        metadata: Option<Arc<str>>,
    },
    /// A register's value, as it was sent.
    Register(Arc<str>),
    /// A declared group's assignment.
    Declared {
        /// The whole target, sorted by consumer.
        assignments: Vec<(MemberId, Vec<PartitionId>)>,
        /// Under `cooperative-sticky`: what each consumer that stays must give up first.
        revoked: Option<Vec<(MemberId, Vec<PartitionId>)>>,
    },
    /// To a thin consumer that subscribed or sent a heartbeat.
    Polling(PollingView),
    /// To a thin consumer that polled.
    Polled {
        /// What it is told of the group.
        view: PollingView,
        /// What it was handed.
        spans: Vec<Span>,
        /// The records of the spans, in their order; filled in only where the reply is sent from.
        records: Vec<(TopicPartition, Vec<StoredBatch>)>,
    },
    /// A query can't tell: the thin consumer's heartbeat has to be proposed as a command.
    NeedsCommand,
    /// The request is registered and waits for the group; the answer comes with an event.
    Delayed {
        /// The member that waits, with its new id if it had none.
        member: MemberId,
    },
    /// A classic member's join is over.
    Joined {
        /// The new generation.
        generation: Generation,
        /// The elected protocol.
        protocol: ProtocolName,
        /// The group's leader.
        leader: MemberId,
        /// The member that joined.
        member_id: MemberId,
        /// Everyone, for the leader; empty for the others.
        members: Vec<JoinedMember>,
    },
    /// A classic member's assignment.
    Synced {
        /// What it reads.
        assignment: TopicPartitions,
    },
    /// All groups, sorted.
    Groups(Vec<(GroupId, GroupKind, GroupState)>),
    /// Everything about a group.
    Described(Box<Description>),
}

/// Why a command or query was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Rejection {
    /// No such topic.
    #[error("topic `{0}` does not exist")]
    UnknownTopic(TopicName),
    /// No such partition.
    #[error("topic `{topic}` has partitions 0 to {}, not {partition}", .partitions - 1)]
    UnknownPartition {
        /// The topic.
        topic: TopicName,
        /// The partition asked for.
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
        /// The topic.
        topic: TopicName,
        /// How many it has.
        current: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// No such register.
    #[error("key {0} does not exist")]
    KeyNotFound(Arc<str>),
    /// A compare-and-set found another value.
    #[error("key {key}: expected {expected}, found {found}")]
    PreconditionFailed {
        /// The key.
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
    UnknownMember {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A commit without member and generation on a group whose members commit.
    #[error("group `{0}` has members: a commit has to name its member_id and generation")]
    MemberNotNamed(GroupId),
    /// A stale generation, or one that never was.
    #[error("group `{group}`: generation {given} was sent, {current} is expected")]
    IllegalGeneration {
        /// The group.
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
    NotAssigned {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// The partition.
        partition: TopicPartition,
    },
    /// Another member has the static identity.
    #[error("group `{group}`: instance `{instance_id}` is now another member than `{member}`")]
    FencedInstance {
        /// The group.
        group: GroupId,
        /// The static identity.
        instance_id: InstanceId,
        /// The member that claimed it.
        member: MemberId,
    },
    /// The group has members of another kind or strategy.
    #[error("group `{group}` is a {kind} group with strategy {strategy}: {problem}")]
    InconsistentProtocol {
        /// The group.
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
    GroupFull {
        /// The group.
        group: GroupId,
        /// The limit.
        limit: u32,
    },
    /// The group has members.
    #[error("group `{0}` still has members")]
    NonEmptyGroup(GroupId),
    /// A member reads the topic.
    #[error("group `{group}` reads topic `{topic}`")]
    GroupSubscribedToTopic {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
    },
    /// A commit beyond the end of the log.
    #[error("offset {offset} is beyond the end of {partition}, which is {end}")]
    OffsetBeyondEnd {
        /// The partition.
        partition: TopicPartition,
        /// As sent.
        offset: Offset,
        /// The next offset of the log.
        end: Offset,
    },
    /// No assignor of that name.
    #[error("unknown strategy `{0}`; expected range, roundrobin, sticky or cooperative-sticky")]
    UnsupportedAssignor(ProtocolName),
    /// The leader's assignment does not fit the group.
    #[error("group `{group}`: the assignment {problem}")]
    InvalidAssignment {
        /// The group.
        group: GroupId,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The assignor failed.
    #[error("group `{group}`: {problem}")]
    AssignorFailed {
        /// The group.
        group: GroupId,
        /// What it said.
        problem: Arc<str>,
    },
    /// The request was given up by the node that took it in, before it came here.
    #[error("the request is over")]
    RequestOver,
}
