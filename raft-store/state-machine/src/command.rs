//! What can be proposed to the replicated state, and what can be asked of it.
//!
//! A [`Command`] changes state and goes through the Raft log; a [`Query`] reads state at one point of that
//! log and leaves no trace. Doors build both; neither knows a clock, a random source, or who leads. What a
//! decision needs of those comes in with [`Stamp`] and [`RequestId`].

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{
    Generation, GroupId, InstanceId, LogKey, MemberId, Millis, NodeId, Offset, PartitionId, ProtocolName,
    TopicName,
};
use crate::reply::TopicPartitions;

/// What the leader knows and apply may not look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The leader's wall clock. State keeps the greatest it has seen, so time never goes back in it.
    pub now_ms: Millis,
    /// The leader's limits for groups. They travel with the batch so that every node decides by the same.
    pub limits: GroupLimits,
}

/// What the leader's flags say of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLimits {
    /// How many members a group may have (Kafka's `group.max.size`).
    pub max_size: u32,
    /// How long the first rebalance of an empty classic group waits for more members, in ms (Kafka's
    /// `group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay_ms: u32,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { max_size: i32::MAX as u32, initial_rebalance_delay_ms: 0 }
    }
}

/// Requests of one node that are answered in two ways have two numberings, so that one that waits for
/// minutes does not hold up the forgetting of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Answered as soon as it is applied.
    Immediate,
    /// `join_group` and `sync_group`: answered when the group is ready.
    Delayed,
}

/// Who took a request in, and which of that node's requests it is: the same in every retry inside the
/// cluster, and never the same for two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The node that took the request in from its client.
    pub node: NodeId,
    /// One life of that node's process: drawn at random when it starts.
    pub incarnation: u64,
    /// Which of the two numberings.
    pub lane: Lane,
    /// The request's number there, from 1.
    pub seq: u64,
}

/// A node's word that its requests below a number are over: answered, or given up for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: u64,
    /// Which of its numberings.
    pub lane: Lane,
    /// The lowest number that may still be retried.
    pub below: u64,
}

/// One command on its way through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// `None` for what the leader proposes on its own account (expiries, its own beginning).
    pub request_id: Option<RequestId>,
    /// What to do.
    pub command: Command,
}

/// What one Raft entry carries: all commands that were waiting when it was proposed, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// The leader's clock when it proposed the batch.
    pub stamp: Stamp,
    /// Applied before the writes.
    pub acknowledged: Vec<Acknowledged>,
    /// Applied one after another.
    pub writes: Vec<Write>,
}

/// Where a record goes within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// By the key: its [`murmur2`](crate::partitions::murmur2) hash.
    Key(i32),
    /// Round-robin.
    Next,
    /// As the producer says.
    Partition(PartitionId),
}

/// Encoded records on their way into a partition. The state machine never looks into the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// How many records the bytes hold; at least 1.
    pub count: u32,
    /// One Kafka record batch (magic 2), whose offsets and append time are not filled in.
    pub bytes: Bytes,
}

/// On whose behalf a member of a group commits (Kafka's `OffsetCommit` fields).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The member, if named.
    pub member_id: Option<MemberId>,
    /// The generation, if named.
    pub generation: Option<Generation>,
}

/// One partition's offset to commit for a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetCommit {
    /// The group.
    pub group: GroupId,
    /// The topic; it need not exist.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// The next offset that the group will read.
    pub offset: Offset,
    /// The committer's own note.
    pub metadata: Option<Arc<str>>,
}

/// Text of a JSON value, as sent and in the canonical form by which values are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterValue {
    /// As it was sent.
    pub text: Arc<str>,
    /// Object keys sorted, numbers in one form.
    pub canonical: Arc<str>,
}

/// What a thin consumer says of itself when it subscribes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topics it reads; sorted, each once.
    pub topics: Vec<TopicName>,
    /// One of the four strategies.
    pub strategy: ProtocolName,
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed, in ms.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance and between polls, in ms.
    pub rebalance_timeout_ms: u32,
}

/// One protocol that a classic member offers (Kafka's JoinGroup).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Its name.
    pub name: ProtocolName,
    /// The topics the member subscribes to under it; sorted, each once.
    pub topics: Vec<TopicName>,
    /// What the member owned when it joined.
    pub owned: TopicPartitions,
    /// The generation in which it owned that.
    pub generation: Option<Generation>,
}

/// A change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Append to a log of Maelstrom's `kafka` workload.
    LogSend {
        /// The log.
        key: LogKey,
        /// What to append.
        records: Records,
    },
    /// Commit positions in such logs; never moves back.
    LogCommit {
        /// Log and the highest offset that was processed.
        offsets: Vec<(LogKey, Offset)>,
    },
    /// Make a topic.
    CreateTopic {
        /// Its name.
        topic: TopicName,
        /// From 1 to 10,000.
        partitions: u32,
    },
    /// Grow a topic.
    CreatePartitions {
        /// Its name.
        topic: TopicName,
        /// The new total.
        partitions: u32,
    },
    /// Remove a topic, its records and its committed offsets.
    DeleteTopic {
        /// Its name.
        topic: TopicName,
    },
    /// Append to a partition of a topic, which is made if it does not exist.
    Produce {
        /// The topic.
        topic: TopicName,
        /// Where in it.
        placement: Placement,
        /// How many partitions the topic gets if it has to be made.
        new_topic_partitions: u32,
        /// What to append.
        records: Records,
    },
    /// Commit an offset, as an administrator or fenced as a member.
    CommitOffset {
        /// What to commit.
        commit: OffsetCommit,
        /// `None`: by whoever administers the group.
        fence: Option<Fence>,
    },
    /// Commit an offset as a thin consumer that owns the partition.
    PollingCommit {
        /// What to commit.
        commit: OffsetCommit,
        /// The consumer.
        member: MemberId,
        /// The generation it names, if it names one.
        generation: Option<Generation>,
    },
    /// One-shot: declare a group's whole membership and compute its assignment.
    DeclareGroup {
        /// The group.
        group: GroupId,
        /// The topic whose partitions these are; it need not exist.
        topic: TopicName,
        /// Sorted, each once.
        consumers: Vec<MemberId>,
        /// Sorted, each once.
        partitions: Vec<PartitionId>,
        /// One of the four strategies.
        strategy: ProtocolName,
    },
    /// Write a register.
    RegisterWrite {
        /// Canonical text of the key.
        key: Arc<str>,
        /// The value.
        value: RegisterValue,
    },
    /// Write a register if it has the expected value.
    RegisterCas {
        /// Canonical text of the key.
        key: Arc<str>,
        /// Canonical text of the value it must have.
        from: Arc<str>,
        /// The new value.
        to: RegisterValue,
        /// Write `to` also where the register does not exist.
        create_if_not_exists: bool,
    },
    /// A node has begun to lead and coordinate: sessions start anew, thin consumers' positions go back to
    /// their committed offsets.
    NewCoordinator {
        /// The node.
        node: NodeId,
    },
    /// A thin consumer joins, comes back, or changes its topics.
    Subscribe {
        /// The group.
        group: GroupId,
        /// The consumer.
        member: MemberId,
        /// What it wants.
        subscription: Subscription,
    },
    /// A thin consumer asks for records, and gives up what it has to.
    Poll {
        /// The group.
        group: GroupId,
        /// The consumer.
        member: MemberId,
        /// At most this many records.
        max_messages: u32,
    },
    /// A thin consumer's heartbeat that has a newer generation to tell.
    PollingHeartbeat {
        /// The group.
        group: GroupId,
        /// The consumer.
        member: MemberId,
    },
    /// A thin consumer leaves.
    Unsubscribe {
        /// The group.
        group: GroupId,
        /// The consumer.
        member: MemberId,
        /// A static member gives up its seat.
        permanent: bool,
    },
    /// A classic member joins or rejoins.
    JoinGroup {
        /// The group.
        group: GroupId,
        /// `None` when it joins for the first time: the request id then makes its id.
        member: Option<MemberId>,
        /// Its static identity, if it has one.
        instance_id: Option<InstanceId>,
        /// Silence after which it is removed, in ms.
        session_timeout_ms: u32,
        /// Time allowed to take part in a rebalance, in ms.
        rebalance_timeout_ms: u32,
        /// In the member's order of preference.
        protocols: Vec<Protocol>,
    },
    /// A classic member asks for its assignment; the group's leader may bring everyone's.
    SyncGroup {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// Its static identity, if it gives one.
        instance_id: Option<InstanceId>,
        /// The generation it joined.
        generation: Generation,
        /// From the group's leader.
        assignments: Option<Vec<(MemberId, TopicPartitions)>>,
    },
    /// A classic member leaves.
    LeaveGroup {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// Its static identity, if it gives one.
        instance_id: Option<InstanceId>,
        /// A static member gives up its seat.
        permanent: bool,
    },
    /// The coordinator's clock says that a member's time is over. Decided again here.
    Expire {
        /// The group.
        group: GroupId,
        /// Which of its times.
        deadline: Deadline,
    },
    /// Remove a group that has no members.
    DeleteGroup {
        /// The group.
        group: GroupId,
    },
    /// Remove committed offsets of a topic.
    DeleteOffsets {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// `None`: all.
        partitions: Option<Vec<PartitionId>>,
    },
    /// Forget offsets of empty groups that were committed longer ago than the retention.
    ExpireOffsets {
        /// How long they are kept, in ms.
        retention_ms: u64,
    },
}

/// What ran out, as the coordinator saw it. Each names what it was armed for, so that one that was overtaken
/// does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Deadline {
    /// A member's session: no sign of life for its session time-out.
    Session {
        /// The member.
        member: MemberId,
    },
    /// A thin consumer's poll interval: no poll for its rebalance time-out.
    PollInterval {
        /// The member.
        member: MemberId,
    },
    /// The join phase of a rebalance, or an eager group's time to give up partitions.
    Rebalance {
        /// The [epoch](crate::groups::Group::epoch) for which it was armed.
        epoch: u64,
    },
    /// The time in which members of a new generation have to sync.
    Sync {
        /// The generation.
        generation: Generation,
    },
    /// A cooperative member's time to give up partitions.
    Revocation {
        /// The member.
        member: MemberId,
        /// The generation in which it was asked to.
        generation: Generation,
    },
    /// The initial rebalance delay of a group that was empty.
    InitialDelay {
        /// The [epoch](crate::groups::Group::epoch) for which it was armed.
        epoch: u64,
    },
}

/// A read of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// Messages of Maelstrom's logs.
    LogPoll {
        /// Log and first offset.
        offsets: Vec<(LogKey, Offset)>,
    },
    /// Committed positions of Maelstrom's logs.
    LogCommitted {
        /// The logs.
        keys: Vec<LogKey>,
    },
    /// All topics.
    ListTopics,
    /// Records of a partition.
    Fetch {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
        /// The first offset.
        offset: Offset,
        /// At most this many records.
        max_messages: u32,
    },
    /// A group's committed offset.
    FetchOffset {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
    },
    /// A register's value.
    RegisterRead {
        /// Canonical text of the key.
        key: Arc<str>,
    },
    /// A thin consumer's sign of life.
    PollingHeartbeat {
        /// The group.
        group: GroupId,
        /// The consumer.
        member: MemberId,
    },
    /// A classic member's sign of life.
    Heartbeat {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// Its static identity, if it gives one.
        instance_id: Option<InstanceId>,
        /// The generation it believes in.
        generation: Generation,
    },
    /// All groups.
    ListGroups,
    /// Everything about a group.
    DescribeGroup {
        /// The group.
        group: GroupId,
    },
}
