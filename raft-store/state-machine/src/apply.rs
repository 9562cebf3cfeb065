//! The one entry point: a batch of commands goes in, outcomes and events come out.
//!
//! Each command is *decided* by a function that reads the state and says what happened, as [`Event`]s; each
//! event is made true by `State::evolve`, the only writer. A [`Transition`] ties the two together, so that
//! a decision of several steps sees the state that its earlier steps made. Decisions check before they emit:
//! a refused command has changed nothing.
//!
//! Nothing here reads a clock, draws a number or does input or output; the same batch on the same state has
//! the same result on every node.

use crate::command::{Batch, Command, Query, RequestId, Write};
use crate::dedup::Seen;
use crate::event::Event;
use crate::ids::TopicPartition;
use crate::partitions::ReadBudget;
use crate::reply::{Outcome, Rejection, Reply};
use crate::state::State;
use crate::{groups, offsets, registers, topics};

/// One command's way from question to fact.
pub struct Transition<'a> {
    state: &'a mut State,
    request_id: Option<RequestId>,
    events: Option<&'a mut Vec<Event>>,
}

impl Transition<'_> {
    /// The state, with what was emitted so far.
    pub(crate) fn state(&self) -> &State {
        self.state
    }

    /// Whose request is being decided.
    pub(crate) fn request_id(&self) -> Option<RequestId> {
        self.request_id
    }

    /// States a fact and makes it true.
    pub(crate) fn emit(&mut self, event: Event) {
        self.state.evolve(&event);
        if let Some(events) = &mut self.events {
            events.push(event);
        }
    }
}

impl State {
    /// Begins a batch: time moves forward, finished requests are forgotten.
    pub fn begin(&mut self, batch: &Batch) {
        self.advance(batch.stamp, &batch.acknowledged);
    }

    /// Applies one write of a batch that has begun. Events are pushed to `events`, if anybody wants them.
    ///
    /// # Errors
    /// [`Rejection`], the same on every node, with nothing changed but the memory of the request.
    pub fn apply(&mut self, write: &Write, events: Option<&mut Vec<Event>>) -> Outcome {
        if let Some(request_id) = &write.request_id {
            match self.dedup().seen(request_id) {
                Seen::New => {}
                Seen::Answered(outcome) => return outcome.clone(),
                Seen::Over => return Err(Rejection::RequestOver),
            }
        }
        let mut tx = Transition { state: self, request_id: write.request_id, events };
        let outcome = decide(&mut tx, &write.command);
        if let Some(request_id) = &write.request_id {
            self.remember(request_id, outcome.clone());
        }
        outcome
    }

    /// Reads the state as it stands.
    ///
    /// # Errors
    /// [`Rejection`] where what is asked for does not exist, or the asker has no right to it.
    pub fn query(&self, query: &Query) -> Outcome {
        match query {
            Query::LogPoll { offsets } => topics::log_poll(self, offsets),
            Query::LogCommitted { keys } => topics::log_committed(self, keys),
            Query::ListTopics => topics::list(self),
            Query::Fetch { topic, partition, offset, max_messages } => {
                topics::fetch(self, topic, *partition, *offset, *max_messages)
            }
            Query::FetchOffset { group, topic, partition } => offsets::fetch(self, group, topic, *partition),
            Query::RegisterRead { key } => registers::read(self, key),
            Query::PollingHeartbeat { .. }
            | Query::Heartbeat { .. }
            | Query::ListGroups
            | Query::DescribeGroup { .. } => groups::query(self, query),
        }
    }

    /// Reads the records of a poll's spans into its reply. The replicated part of a reply has no records in
    /// it, so that remembering it for a retry costs little; whoever sends the reply fills it.
    pub fn fill(&self, outcome: &mut Outcome) {
        if let Ok(Reply::Polled { spans, records, .. }) = outcome {
            *records = spans
                .iter()
                .filter_map(|span| {
                    let TopicPartition { topic, partition } = &span.partition;
                    let log = self.topic(topic)?.partitions.get(*partition as usize)?;
                    let count = u32::try_from(span.to - span.from).unwrap_or(u32::MAX);
                    Some((span.partition.clone(), log.read(span.from, count, &mut ReadBudget::default())))
                })
                .collect();
        }
    }
}

fn decide(tx: &mut Transition<'_>, command: &Command) -> Outcome {
    match command {
        Command::LogSend { key, records } => topics::log_send(tx, key, records),
        Command::LogCommit { offsets } => topics::log_commit(tx, offsets),
        Command::CreateTopic { topic, partitions } => topics::create(tx, topic, *partitions),
        Command::CreatePartitions { topic, partitions } => topics::grow(tx, topic, *partitions),
        Command::DeleteTopic { topic } => topics::delete(tx, topic),
        Command::Produce { topic, placement, new_topic_partitions, records } => {
            topics::produce(tx, topic, *placement, *new_topic_partitions, records)
        }
        Command::CommitOffset { commit, fence } => offsets::commit(tx, commit, fence.as_ref()),
        Command::RegisterWrite { key, value } => registers::write(tx, key, value),
        Command::RegisterCas { key, from, to, create_if_not_exists } => {
            registers::cas(tx, key, from, to, *create_if_not_exists)
        }
        Command::PollingCommit { .. }
        | Command::DeclareGroup { .. }
        | Command::NewCoordinator { .. }
        | Command::Subscribe { .. }
        | Command::Poll { .. }
        | Command::PollingHeartbeat { .. }
        | Command::Unsubscribe { .. }
        | Command::JoinGroup { .. }
        | Command::SyncGroup { .. }
        | Command::LeaveGroup { .. }
        | Command::Expire { .. }
        | Command::DeleteGroup { .. }
        | Command::DeleteOffsets { .. }
        | Command::ExpireOffsets { .. } => groups::decide(tx, command),
    }
}
