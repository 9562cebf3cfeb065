//! The planted bugs: which there are, which a node has, and those of the storage and the replica.
//!
//! A simulated machine carries at most one [`Flaw`]. Bugs of the service are in the node's own
//! hooks.
//!
//! Bugs of the state machine are made without touching it. It is given another batch than the log
//! says, or more writes after the batch. So the bug is in what is decided, and the pure crate stays
//! free of hooks.

use std::any::Any;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use runtime::Host;
use state_machine::State;
use state_machine::command::{Acknowledged, Batch, Command, Lane, RequestId, Stamp, Write};
use state_machine::dedup::Seen;
use state_machine::groups::classic::command::ClassicCommand;
use state_machine::groups::classic::members::ClassicMember;
use state_machine::groups::command::{Expiring, GroupCommand};
use state_machine::groups::group::{Group, GroupState, Membership};
use state_machine::groups::polling::command::PollingCommand;
use state_machine::ids::TopicPartition;
use state_machine::offsets::command::{Fence, OffsetCommand};
use state_machine::topics::command::TopicCommand;

use super::{planted_offsets as offsets, planted_records as records};
use crate::raft::applier::StateMachine;
use crate::raft::replica::Replica;
use crate::raft::types::{Applied, Proposal, RoundId};
use crate::wal::format::Record;

/// A fault of the kind that a distributed log or a group coordinator can have. `docs/arena.md` has
/// the table of what finds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// The leader answers writes when it has proposed them, without waiting for a quorum.
    AcknowledgedBeforeCommit,
    /// A request that is sent again is applied again: its request id is not looked up.
    RetryAppliedTwice,
    /// A leader reads without asking a quorum whether it still leads.
    StaleRead,
    /// A commit is accepted whoever makes it, in whichever generation, if anybody may make it.
    GenerationNotChecked,
    /// In an eager rebalance nobody is waited for: what members hold is given away at once.
    EarlyHandover,
    /// A node that leads again goes on with the deadlines of its last leadership.
    DeposedClock,
    /// Answers of requests are forgotten while their retries may still come.
    RequestsForgotten,
    /// A snapshot that is installed lacks one group.
    SnapshotWithoutGroup,
    /// A new leader does not give everyone a full session.
    NoFullSession,
    /// `apply` reads the clock of its own node.
    ClockInApply,
    /// A join is applied twice, and makes two members.
    JoinedTwice,
    /// In the first rounds that a node leads, polls begin one message too late.
    PollSkips,
    /// A read that comes again is executed again, although its client has written since.
    ReadAgain,
    /// A reply is not cut by what characters take as text.
    EscapesNotCounted,
    /// A disk says that it has synced what it holds in a cache, and a crash loses that.
    AcknowledgedBeforeSync,
    /// A node that comes back has forgotten whom it voted for.
    VoteForgotten,
    /// Names of files are not synced.
    NamesNotSynced,
    /// A sync that failed is tried again, and the second one succeeds.
    SyncRetried,
    /// A group of the write-ahead log vouches for itself.
    SyncedTooHigh,
    /// The contents of a checkpoint are not synced before it takes its name.
    CheckpointNotSynced,
    /// A checkpoint gets its name before the segments of records that it names are synced.
    SegmentsNotSynced,
    /// What stands in a segment behind the length that the state gives it is taken for records.
    LongerSegmentsBelieved,
    /// That entries of another leader were cut off is not written.
    TruncationForgotten,
    /// What a checkpoint covers is dropped from the log before the checkpoint is durable.
    PurgedTooEarly,
    /// A leader that no quorum answers goes on sending, and keeps its followers from electing another.
    DeafLeader,
    /// Sequence numbers of idempotent producers are not looked at.
    SequencesNotChecked,
    /// In every other rebalance of a classic group, members that have not joined again are not
    /// waited for.
    JoinsNotWaitedFor,
    /// Some commits are acknowledged, and nothing is committed.
    CommitsLost,
    /// With a new leader groups have again what they had committed before their last commits.
    OldOffsets,
    /// A new leader knows no idempotent producer: any number is taken for the first.
    ProducersForgotten,
    /// A record of a producer's epoch that is over is taken for the next of the newest epoch.
    EpochsNotChecked,
    /// Some deletions of records are acknowledged, and nothing is deleted.
    RecordDeletionsLost,
    /// A deletion of records takes one more than was asked for.
    DeletedTooFar,
    /// Records are kept for half as long, and half as many of them.
    RetainedTooShort,
    /// With the records before an offset goes the segment that the offset is in.
    SegmentTooMany,
    /// A partition whose records are all deleted begins at offset 0 again.
    EmptiedBeginsAnew,
    /// A deleted topic is made again at once.
    TopicComesBack,
    /// What groups committed of a topic stays when the topic is deleted.
    OffsetsOutliveTopic,
    /// Some records of idempotent producers are taken for ones that came long ago, and are nowhere.
    TakenForKnown,
    /// With a new leader all partitions are empty, and begin at offset 0 again.
    LogsBeginAnew,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::AcknowledgedBeforeCommit,
        Self::RetryAppliedTwice,
        Self::StaleRead,
        Self::GenerationNotChecked,
        Self::EarlyHandover,
        Self::DeposedClock,
        Self::RequestsForgotten,
        Self::SnapshotWithoutGroup,
        Self::NoFullSession,
        Self::ClockInApply,
        Self::JoinedTwice,
        Self::PollSkips,
        Self::ReadAgain,
        Self::EscapesNotCounted,
        Self::AcknowledgedBeforeSync,
        Self::VoteForgotten,
        Self::NamesNotSynced,
        Self::SyncRetried,
        Self::SyncedTooHigh,
        Self::CheckpointNotSynced,
        Self::SegmentsNotSynced,
        Self::LongerSegmentsBelieved,
        Self::TruncationForgotten,
        Self::PurgedTooEarly,
        Self::DeafLeader,
        Self::SequencesNotChecked,
        Self::JoinsNotWaitedFor,
        Self::CommitsLost,
        Self::OldOffsets,
        Self::ProducersForgotten,
        Self::EpochsNotChecked,
        Self::RecordDeletionsLost,
        Self::DeletedTooFar,
        Self::RetainedTooShort,
        Self::SegmentTooMany,
        Self::EmptiedBeginsAnew,
        Self::TopicComesBack,
        Self::OffsetsOutliveTopic,
        Self::TakenForKnown,
        Self::LogsBeginAnew,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgedBeforeCommit => "acknowledged-before-commit",
            Self::RetryAppliedTwice => "retry-applied-twice",
            Self::StaleRead => "stale-read",
            Self::GenerationNotChecked => "generation-not-checked",
            Self::EarlyHandover => "early-handover",
            Self::DeposedClock => "deposed-clock",
            Self::RequestsForgotten => "origins-forgotten",
            Self::SnapshotWithoutGroup => "snapshot-without-group",
            Self::NoFullSession => "no-full-session",
            Self::ClockInApply => "clock-in-apply",
            Self::JoinedTwice => "joined-twice",
            Self::PollSkips => "poll-skips",
            Self::ReadAgain => "read-again",
            Self::EscapesNotCounted => "escapes-not-counted",
            Self::AcknowledgedBeforeSync => "acknowledged-before-sync",
            Self::VoteForgotten => "vote-forgotten",
            Self::NamesNotSynced => "names-not-synced",
            Self::SyncRetried => "sync-retried",
            Self::SyncedTooHigh => "synced-too-high",
            Self::CheckpointNotSynced => "checkpoint-not-synced",
            Self::SegmentsNotSynced => "segments-not-synced",
            Self::LongerSegmentsBelieved => "longer-segments-believed",
            Self::TruncationForgotten => "truncation-forgotten",
            Self::PurgedTooEarly => "purged-too-early",
            Self::DeafLeader => "deaf-leader",
            Self::SequencesNotChecked => "sequences-not-checked",
            Self::JoinsNotWaitedFor => "joins-not-waited-for",
            Self::CommitsLost => "commits-lost",
            Self::OldOffsets => "old-offsets",
            Self::ProducersForgotten => "producers-forgotten",
            Self::EpochsNotChecked => "epochs-not-checked",
            Self::RecordDeletionsLost => "record-deletions-lost",
            Self::DeletedTooFar => "deleted-too-far",
            Self::RetainedTooShort => "retained-too-short",
            Self::SegmentTooMany => "segment-too-many",
            Self::EmptiedBeginsAnew => "emptied-begins-anew",
            Self::TopicComesBack => "topic-comes-back",
            Self::OffsetsOutliveTopic => "offsets-outlive-topic",
            Self::TakenForKnown => "taken-for-known",
            Self::LogsBeginAnew => "logs-begin-anew",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|flaw| flaw.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|flaw| flaw.name()).collect();
            format!("no flaw `{name}`; there are {}", known.join(", "))
        })
    }
}

/// What is attached to a machine whose node has a flaw.
struct Planted {
    flaw: Flaw,
    memory: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The same machine with a flaw in the node that will run on it. It takes the place of an earlier
/// one.
#[must_use]
pub fn attach(host: Host, flaw: Flaw) -> Host {
    host.with_attachment(Planted { flaw, memory: Mutex::default() })
}

/// Whether the current node has this flaw.
pub fn has(flaw: Flaw) -> bool {
    runtime::attachment::<Planted>().is_some_and(|planted| planted.flaw == flaw)
}

/// Whether the current node does not write this.
pub(super) fn forgets(record: &Record) -> bool {
    match record {
        Record::Vote(_) => has(Flaw::VoteForgotten),
        Record::TruncateFrom(_) => has(Flaw::TruncationForgotten),
        _ => false,
    }
}

/// Lets the current node's flaw remember a value, instead of what it remembered before.
pub fn remember<T: Any + Send>(value: T) {
    if let Some(planted) = runtime::attachment::<Planted>() {
        *planted.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(value));
    }
}

/// Takes what the current node's flaw remembers, if that is of this type.
pub fn recall<T: Any + Send>() -> Option<T> {
    let planted = runtime::attachment::<Planted>()?;
    let mut memory = planted.memory.lock().unwrap_or_else(PoisonError::into_inner);
    let value = memory.take_if(|value| value.is::<T>())?;
    value.downcast().ok().map(|value| *value)
}

/// What a proposal of this node would give if it were applied next. The reads that are batched with
/// the proposal are answered, and nothing else changes.
///
/// # Errors
/// Where records cannot be read.
pub fn preview(machine: &StateMachine, proposal: &Proposal) -> io::Result<Applied> {
    let mut replica = machine.lock();
    let batched_reads = replica.batched_reads.remove_entry(&proposal.round()).into_iter().collect();
    let mut copy = Replica::default();
    (copy.state, copy.batched_reads) = (replica.state.clone(), batched_reads);
    let frozen = replica.records.freeze();
    copy.records.replace(&replica.state, &frozen)?;
    copy.apply_batch(proposal.round(), &proposal.batch(), true)
}

/// Applies another batch than a proposal's, or more writes after it, where a flaw says so.
///
/// The flaw remembers the [`Batch`] that was applied instead, until the observer of this node has
/// heard of the entry and [recalls](recall) it. A replay of the log needs it.
pub(super) fn apply_another_batch(
    replica: &mut Replica,
    proposal: &Proposal,
    answer: bool,
) -> io::Result<Option<Applied>> {
    let (round, proposed) = (proposal.round(), proposal.batch());
    let batch = &*proposed;
    if has(Flaw::OldOffsets) {
        let instead = offsets::with_old_offsets(&replica.state, batch);
        return replica.apply_batch(round, &instead, answer).map(Some);
    }
    if let Some(instead) = batch_instead(&replica.state, batch, round) {
        let applied = replica.apply_batch(round, &instead, answer)?;
        remember(instead);
        return Ok(Some(applied));
    }
    let flaws = [Flaw::EarlyHandover, Flaw::JoinedTwice, Flaw::JoinsNotWaitedFor];
    if has(Flaw::SegmentTooMany) {
        let before = replica.state.clone();
        let applied = replica.apply_batch(round, batch, answer)?;
        records::one_segment_more(replica, &before);
        return Ok(Some(applied));
    }
    if !flaws.into_iter().any(has) && !records::applies_more() {
        return Ok(None);
    }
    let before = replica.state.clone();
    let mut applied = replica.apply_batch(round, batch, answer)?;
    let mut more = writes_after(&replica.state, batch);
    more.extend(records::writes_after(&before, &replica.state, batch));
    if !more.is_empty() {
        let mut instead = batch.clone();
        for write in more {
            let mut events = Vec::new();
            applied.outcomes.push(replica.apply(&write, &mut events)?);
            applied.events.extend(events.into_iter().filter(|_| answer));
            instead.writes.push(write);
        }
        remember(instead);
    }
    Ok(Some(applied))
}

/// The batch that takes the place of one, where a flaw says so.
fn batch_instead(state: &State, batch: &Batch, round: RoundId) -> Option<Batch> {
    if has(Flaw::CommitsLost) {
        return offsets::without_commits(state, batch, round.number);
    }
    if has(Flaw::RetryAppliedTwice) {
        // Delayed requests are left alone: without a request id nobody could answer them.
        let forget = |write: &Write| Write {
            request_id: write.request_id.filter(|request_id| request_id.lane == Lane::Delayed),
            command: write.command.clone(),
        };
        return Some(Batch { writes: batch.writes.iter().map(forget).collect(), ..batch.clone() });
    }
    if has(Flaw::RequestsForgotten) {
        return Some(forgetful(state, batch));
    }
    if has(Flaw::ClockInApply) {
        return Some(Batch {
            stamp: Stamp { now_ms: runtime::wall_ms(), ..batch.stamp },
            ..batch.clone()
        });
    }
    if has(Flaw::EscapesNotCounted) {
        let mut batch = batch.clone();
        batch.writes.iter_mut().for_each(|write| without_escapes(&mut write.command));
        return Some(batch);
    }
    if has(Flaw::SequencesNotChecked) {
        let mut batch = batch.clone();
        batch.writes.iter_mut().for_each(|write| without_sequence(&mut write.command));
        return Some(batch);
    }
    if has(Flaw::GenerationNotChecked) {
        let mut batch = batch.clone();
        batch.writes.iter_mut().for_each(|write| legitimate(state, &mut write.command));
        return Some(batch);
    }
    records::instead(state, batch, round.number)
}

/// Requests older than the newest few of their node are forgotten, and hence new when they come
/// again.
fn forgetful(state: &State, batch: &Batch) -> Batch {
    /// So many of a node's requests are remembered.
    const NEWEST: u64 = 4;
    let mut batch = batch.clone();
    for write in &mut batch.writes {
        let Some(request_id) =
            write.request_id.filter(|request_id| request_id.lane == Lane::Immediate)
        else {
            continue;
        };
        let RequestId { node, incarnation, lane, seq } = request_id;
        batch.acknowledged.push(Acknowledged {
            node,
            incarnation,
            lane,
            below: seq.saturating_sub(NEWEST),
        });
        let over = |known: &Acknowledged| {
            (known.node, known.incarnation, known.lane) == (node, incarnation, lane)
                && seq < known.below
        };
        if batch.acknowledged.iter().any(over) || state.dedup().seen(&request_id) == Seen::Over {
            write.request_id = None;
        }
    }
    batch
}

/// Takes a record for one whose text is as long as its bytes.
fn without_escapes(command: &mut Command) {
    if let Command::Topic(TopicCommand::Produce { records, .. }) = command {
        records.escapes = 0;
    }
}

/// Takes a record of an idempotent producer for one of a plain one.
fn without_sequence(command: &mut Command) {
    if let Command::Topic(TopicCommand::Append { sequence, .. }) = command {
        *sequence = None;
    }
}

/// Makes a member's commit one of who may make it, in the generation that is.
fn legitimate(state: &State, command: &mut Command) {
    if let Command::Offset(OffsetCommand::CommitAll { group, member: Some(committer), .. }) =
        command
    {
        let Some(found) = state.group(group) else { return };
        let Some(classic) = found.membership.classic() else { return };
        if !classic.members.contains_key(&committer.member_id) {
            let Some(any) = classic.members.keys().next() else { return };
            (committer.member_id, committer.instance_id) = (any.clone(), None);
        }
        committer.generation = found.generation;
        return;
    }
    let (commit, member, generation) = match command {
        Command::Offset(
            OffsetCommand::Commit {
                commit,
                fence: Some(Fence { member_id: Some(member), generation }),
            }
            | OffsetCommand::PollingCommit { commit, member, generation },
        ) => (commit, member, generation),
        _ => return,
    };
    let Some(group) = state.group(&commit.group) else { return };
    let partition = TopicPartition { topic: commit.topic.clone(), partition: commit.partition };
    let owner = match &group.membership {
        Membership::Simple | Membership::Declared(_) => None,
        Membership::Polling(polling) => polling.owners.get(&partition),
        Membership::Classic(classic) => classic.owners.get(&partition),
    };
    if let Some(owner) = owner {
        *member = owner.clone();
        *generation = group.membership.classic().map(|_| group.generation);
    }
}

/// What is applied after a batch, where a flaw says so.
fn writes_after(state: &State, batch: &Batch) -> Vec<Write> {
    if has(Flaw::EarlyHandover) {
        let mut polls = Vec::new();
        for (id, group) in state.groups() {
            let holding = group.membership.polling().and_then(|polling| polling.rebalance.as_ref());
            for member in holding.into_iter().flat_map(|rebalance| &rebalance.holding) {
                let (group, member) = (id.clone(), member.clone());
                let command = PollingCommand::Poll { group, member, max_messages: 0 }.into();
                polls.push(Write { request_id: None, command });
            }
        }
        return polls;
    }
    if has(Flaw::JoinsNotWaitedFor) {
        let over = |(id, group): (&_, &Group)| {
            let waits =
                group.state() == GroupState::PreparingRebalance && group.generation.0 % 2 == 1;
            let (group, what) = (Clone::clone(id), Expiring::Rebalance);
            let command = GroupCommand::ExpireNow { group, what }.into();
            waits.then_some(Write { request_id: None, command })
        };
        return state.groups().filter_map(over).collect();
    }
    if has(Flaw::JoinedTwice) {
        let again = |write: &Write| {
            let Command::Group(GroupCommand::Classic(ClassicCommand::Join {
                member: None, ..
            })) = &write.command
            else {
                return None;
            };
            let mut request_id = write.request_id?;
            request_id.seq |= 1 << 60;
            Some(Write { request_id: Some(request_id), command: write.command.clone() })
        };
        return batch.writes.iter().filter_map(again).collect();
    }
    Vec::new()
}

/// What is installed instead of a snapshot, where a flaw says so.
pub(super) fn without_a_group(state: &State) -> Option<State> {
    if !has(Flaw::SnapshotWithoutGroup) {
        return None;
    }
    let mut state = state.clone();
    let (id, group) = state.groups().next().map(|(id, group)| (id.clone(), group.clone()))?;
    let leave = |command| Write { request_id: None, command };
    let mut writes: Vec<Write> = match &group.membership {
        Membership::Simple | Membership::Declared(_) => Vec::new(),
        Membership::Polling(polling) => {
            let unsubscribe = |member: &_| {
                let (group, member) = (id.clone(), Clone::clone(member));
                leave(PollingCommand::Unsubscribe { group, member, permanent: true }.into())
            };
            polling.members.keys().map(unsubscribe).collect()
        }
        Membership::Classic(classic) => {
            let leave_group = |(member, found): (&_, &ClassicMember)| {
                let (group, member) = (id.clone(), Clone::clone(member));
                let instance_id = found.instance_id.clone();
                leave(ClassicCommand::Leave { group, member, instance_id, permanent: true }.into())
            };
            classic.members.iter().map(leave_group).collect()
        }
    };
    writes.push(leave(GroupCommand::Delete { group: id }.into()));
    for write in &writes {
        // What is refused leaves the group where it is, and the flaw without effect.
        let _outcome = state.apply(write, None);
    }
    Some(state)
}
