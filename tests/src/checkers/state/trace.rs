//! The facts that a simulator tells of the states that its nodes went through.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::history::Micros;

/// What a simulator saw of its nodes' states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateTrace {
    /// Every entry that every node applied, in the order of time.
    pub applied: Vec<Applied>,
    /// Who became leader, in the order of time.
    pub leaders: Vec<Leader>,
    /// Requests that changed the state, in the order of the log.
    pub effects: Vec<Effect>,
    /// Breaches of the state machine's invariants, in the order of the log.
    pub breaches: Vec<Breach>,
    /// After how many entries the invariants were looked at.
    pub checked: usize,
    /// Hashes of states that came from applying the log anew to a fresh state machine.
    pub replayed: Vec<Replayed>,
    /// Groups after each entry that changed them, in the order of the log.
    pub groups: Vec<GroupState>,
    /// Members that came and went, in the order of the log.
    pub members: Vec<MemberChange>,
    /// Topics that were made, grown or deleted, in the order of the log.
    #[serde(default)]
    pub topics: Vec<TopicChange>,
    /// Batches that were appended to partitions, in the order of the log.
    #[serde(default)]
    pub appends: Vec<Append>,
    /// Where partitions begin, and end, after each entry that made them or moved their beginning.
    #[serde(default)]
    pub spans: Vec<Span>,
    /// What moved the beginnings of partitions, in the order of the log.
    #[serde(default)]
    pub raises: Vec<Raise>,
    /// Deletions of records that were accepted, in the order of the log.
    #[serde(default)]
    pub record_deletions: Vec<RecordDeletion>,
    /// When silent producers were to be forgotten, in the order of the log.
    #[serde(default)]
    pub forgettings: Vec<Forgetting>,
    /// Topics whose deletion was asked for and accepted, or that were made, in the order of the log.
    #[serde(default)]
    pub topic_ends: Vec<TopicEnd>,
    /// What nodes have of partitions whose beginning has moved, in the order of time.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Commits of offsets that were accepted, in the order of the log.
    pub commits: Vec<Commit>,
    /// Requests by which members showed the coordinator that they live, in the order of time.
    pub lives: Vec<Heartbeat>,
    /// Requests of members that were accepted in rounds of reads alone.
    pub served: Vec<Served>,
    /// Answers with the term of the leader that decided them.
    pub answers: Vec<Answer>,
    /// When the trace ended.
    pub end_us: Micros,
}

/// One node applied one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The node.
    pub node: String,
    /// Which incarnation of the node it was, from 0; a restart begins the next.
    pub incarnation: u32,
    /// The entry's index.
    pub index: u64,
    /// The term in which it was proposed.
    pub term: u64,
    /// A hash of its payload.
    pub entry: u64,
    /// A hash of the state after it and of its records, where one was taken.
    pub state: Option<u64>,
}

/// A request changed the state. A retry that is recognised as one does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The entry's index.
    pub index: u64,
    /// Where the request came from: the same for all its retries.
    pub origin: String,
}

/// An invariant of the state machine did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// The index of the entry after which it did not.
    pub index: u64,
    /// Which, and of what.
    pub account: String,
}

/// A node became leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The node.
    pub node: String,
    /// Its term.
    pub term: u64,
    /// When, on the simulator's clock.
    pub at_us: Micros,
    /// When, on the node's own clock.
    pub clock_us: Micros,
}

/// The state after an index, from a replay of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The index.
    pub index: u64,
    /// A hash of the state and of its records.
    pub state: u64,
}

/// A group after an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupState {
    /// The entry's index.
    pub index: u64,
    /// The group.
    pub group: String,
    /// `Empty`, `PreparingRebalance`, …
    pub state: String,
    /// Its generation.
    pub generation: i64,
    /// Whether partitions move cooperatively.
    pub cooperative: bool,
    /// Whether being stable means that everything is handed out (not where a client computes the
    /// assignment).
    pub hands_out_all: bool,
    /// Its members by id.
    pub members: BTreeMap<String, MemberState>,
    /// How many partitions the subscribed topics have.
    pub topics: BTreeMap<String, i64>,
}

/// A member of a group after an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// What it subscribes to.
    pub topics: BTreeSet<String>,
    /// What it owns.
    pub assignment: BTreeSet<(String, i64)>,
    /// Its session time-out; 0 if it has none.
    pub session_us: Micros,
}

/// Why a member came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It joined.
    Joined,
    /// It left by its own request.
    Left,
    /// Its session ran out.
    SessionExpired,
    /// It did not take part in a rebalance in time, or did not poll.
    TimedOut,
    /// Another one took its static seat.
    Replaced,
}

/// A member came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// The entry's index.
    pub index: u64,
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// What happened.
    pub change: Change,
    /// The request's origin.
    pub origin: Option<String>,
    /// The leader that proposed the entry.
    pub leader: String,
    /// When it was proposed, on that leader's own clock.
    pub clock_us: Micros,
    /// The member's session time-out.
    pub session_us: Micros,
}

/// A topic was made, grown or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicChange {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
}

/// A batch was appended to a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The partition's log, which no other partition ever has, also none of the same name.
    pub log: u64,
    /// The first record's offset.
    pub offset: u64,
    /// How many records.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The newest time of its records, in ms.
    pub newest_ms: u64,
    /// The state's time, in ms.
    pub now_ms: u64,
    /// What the request said of its producer, if that is an idempotent one.
    pub numbers: Option<Numbers>,
}

/// The sequence of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// The producer's id.
    pub producer: u64,
    /// Its epoch.
    pub epoch: u16,
    /// The first record's number.
    pub first: u32,
    /// The last record's number.
    pub last: u32,
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The first offset that is left.
    pub start: u64,
    /// The next offset.
    pub end: u64,
}

/// The beginning of a partition moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// Its log.
    pub log: u64,
    /// Where it began.
    pub from: u64,
    /// Where it begins.
    pub to: u64,
    /// The state's time, in ms.
    pub now_ms: u64,
    /// What the log says that was to be done.
    pub why: Why,
}

/// Why records may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Somebody asked for the deletion of all before an offset.
    Asked(u64),
    /// Whole segments that are too old or too much.
    Retention {
        /// How old a record may become.
        ms: Option<u64>,
        /// How many bytes are kept.
        bytes: Option<u64>,
    },
    /// No reason is known.
    None,
}

/// A deletion of records was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDeletion {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The first offset that was to be left.
    pub before: u64,
    /// The first offset that was left then.
    pub start: u64,
}

/// Producers that have been silent for so long were to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgetting {
    /// The entry's index.
    pub index: u64,
    /// For how long, in ms.
    pub silent_ms: u64,
    /// The state's time, in ms.
    pub now_ms: u64,
}

/// What is there of a topic's earlier life after an entry that ended the topic, or made it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicEnd {
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// Whether somebody asked for its deletion by the entry.
    pub asked: bool,
    /// Whether that was the end of it, as nobody asked to make it again.
    pub ended: bool,
    /// Whether there is a topic of that name.
    pub exists: bool,
    /// Groups with a committed offset of it to which nobody has committed since its last deletion.
    pub committed: Vec<String>,
    /// Groups with an owner of a partition of it, where the coordinator assigns; if it ended.
    pub owned: Vec<String>,
}

/// What a node has of a partition's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The node.
    pub node: String,
    /// Its incarnation.
    pub incarnation: u32,
    /// The entry's index.
    pub index: u64,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The first offset that is left by the state.
    pub start: u64,
    /// The next offset by the state.
    pub end: u64,
    /// The first offset that the node can read from there on.
    pub first: Option<u64>,
}

/// An accepted commit of an offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The entry's index.
    pub index: u64,
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
    /// The log's end when it was applied; `None` if the partition does not exist.
    pub log_end: Option<i64>,
    /// The member that committed; `None` for an administrator.
    pub member: Option<String>,
    /// The generation that the request named.
    pub named: Option<i64>,
    /// The member's generation when it was applied; `None` if it was no member.
    pub generation: Option<i64>,
    /// Whether the coordinator checks such commits against the log (those of thin consumers).
    pub bounded: bool,
}

/// A member showed the coordinator that it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// The leader that took it in.
    pub leader: String,
    /// When, on the simulator's clock.
    pub at_us: Micros,
    /// When, on that leader's own clock.
    pub clock_us: Micros,
}

/// A member's request was accepted by what a node had applied, in a round of reads alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// The node that decided it.
    pub node: String,
    /// The last index applied there then.
    pub applied: u64,
}

/// An answer to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The node that decided it.
    pub node: String,
    /// Its term.
    pub term: u64,
    /// When the request was sent.
    pub invoke_us: Micros,
    /// When the answer came.
    pub complete_us: Micros,
}
