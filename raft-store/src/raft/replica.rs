//! The replicated state of one node with the records of its logs, and where in the Raft log it
//! stands.
//!
//! A replica applies one entry after the other and decides nothing: that is [`state_machine`]'s. It
//! puts records where the state's events say, on every node, and reads them for replies. What it
//! adds is *batched reads*. A leader that proposes writes also has reads to answer. They
//! go with the entry but are not in it: they are registered here under the entry's [`RoundId`],
//! and answered when the entry is applied, each between the writes around which it came in. So a
//! read sees what its client wrote before, and no more.

use std::collections::BTreeMap;
use std::io;

use openraft::alias::{LogIdOf, StoredMembershipOf};
use state_machine::State;
use state_machine::command::{Batch, Query, Write};
use state_machine::event::Event;
use state_machine::reply::{Answer, Answered, Decided, Decision};

use crate::checkpoint::Checkpoint;
use crate::flaws;
use crate::observe::{self, AppliedEntry};
use crate::raft::types::{Applied, Proposal, RoundId, Snapshot, TypeConfig};
use crate::records::RecordStore;

/// The reads of a round: how many writes of the round come before each.
pub type BatchedReads = Vec<(usize, Query)>;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// The state after the last applied entry.
    pub(crate) state: State,
    /// The records of its logs.
    pub(crate) records: RecordStore,
    /// The last applied entry.
    pub(super) applied: Option<LogIdOf<TypeConfig>>,
    /// The last applied membership of the Raft group.
    pub(super) membership: StoredMembershipOf<TypeConfig>,
    /// The last snapshot that was taken or installed.
    pub(super) snapshot: Option<Snapshot>,
    /// Reads that wait for the entry of their round.
    pub(crate) batched_reads: BTreeMap<RoundId, BatchedReads>,
}

impl Replica {
    /// Applies an entry of the log; `proposal` is `None` for Raft's own. `answer` says whether this
    /// node proposed it, and somebody here waits for what it leads to.
    pub(super) fn apply_entry(
        &mut self,
        id: LogIdOf<TypeConfig>,
        proposal: Option<&Proposal>,
        answer: bool,
    ) -> io::Result<Applied> {
        let applied = match proposal {
            Some(proposal) => flaws::apply_batch(self, proposal, answer)?,
            None => Applied::default(),
        };
        observe::report(|observer| {
            let (index, term) = (id.index(), id.committed_leader_id().term);
            observer.applied(&AppliedEntry { index, term, proposal }, &self.state, &self.records);
        });
        Ok(applied)
    }

    /// Applies the batch of a round.
    pub(crate) fn apply_batch(
        &mut self,
        round: RoundId,
        batch: &Batch,
        answer: bool,
    ) -> io::Result<Applied> {
        self.state.begin(batch);
        let mut applied = Applied::default();
        let mut events = Vec::new();
        if !answer {
            for write in &batch.writes {
                // Nobody waits here: refusals are the same on the node that answers.
                let _outcome = self.apply(write, &mut events)?;
                events.clear();
            }
            self.records.flush()?;
            return Ok(applied);
        }
        let batched_reads = self.batched_reads.remove(&round).unwrap_or_default();
        let mut batched_reads = batched_reads.into_iter().peekable();
        applied.outcomes.reserve(batch.writes.len());
        for (i, write) in batch.writes.iter().enumerate() {
            while let Some((_, query)) = batched_reads.next_if(|(after, _)| *after <= i) {
                applied.answers.push(self.answer(&query)?);
            }
            let mut decided = self.apply(write, &mut events)?;
            // Groups' and topics' are waited for, and deadlines go by the clock.
            let of_interest = |event: &Event| {
                matches!(event, Event::Group { .. } | Event::Topic(_) | Event::ClockAdvanced { .. })
            };
            applied.events.extend(events.drain(..).filter(of_interest));
            if let Ok(Decision::Reply(reply)) = &mut decided {
                self.records.fill(reply)?;
            }
            applied.outcomes.push(decided);
        }
        for (_, query) in batched_reads {
            applied.answers.push(self.answer(&query)?);
        }
        self.records.flush()?;
        Ok(applied)
    }

    /// Applies one write, and does what its events say of records. The events are pushed to
    /// `events`. The decision says where records lie and has none.
    pub(crate) fn apply(&mut self, write: &Write, events: &mut Vec<Event>) -> io::Result<Decided> {
        let before = events.len();
        let decided = self.state.apply(write, Some(events));
        events[before..].iter().try_for_each(|event| self.records.follow(event))?;
        Ok(decided)
    }

    /// Answers a read.
    pub(crate) fn answer(&self, query: &Query) -> io::Result<Answered> {
        let mut answered = self.state.query(query);
        if let Ok(Answer::Reply(reply)) = &mut answered {
            self.records.fill(reply)?;
        }
        Ok(answered)
    }

    /// The state and its records as they are.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { state: self.state.clone(), records: self.records.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use state_machine::command::{Command, Lane, LogLimits, RequestId, Stamp};
    use state_machine::groups::polling::command::{PollingCommand, Subscription};
    use state_machine::groups::polling::reply::PollingReply;
    use state_machine::groups::reply::GroupReply;
    use state_machine::ids::LogId;
    use state_machine::reply::Reply;
    use state_machine::topics::command::{TopicCommand, TopicQuery};
    use state_machine::topics::placement::Placement;
    use state_machine::topics::reply::TopicReply;
    use state_machine::values::StoredBatch;

    use super::*;
    use crate::records::files::segments_of;
    use crate::records::testing::records;

    const BATCH: usize = 100;

    fn produce(seq: u64) -> Write {
        let produce = TopicCommand::Produce {
            topic: "t".into(),
            placement: Placement::Partition(0),
            new_topic_partitions: 1,
            records: records(1, BATCH),
        };
        write(seq, produce)
    }

    fn write(seq: u64, command: impl Into<Command>) -> Write {
        let request_id = RequestId { node: 1, incarnation: 1, lane: Lane::Immediate, seq };
        Write { request_id: Some(request_id), command: command.into() }
    }

    fn fetch(offset: u64) -> Query {
        TopicQuery::Fetch { topic: "t".into(), partition: 0, offset, max_messages: 100 }.into()
    }

    /// A leader and its follower, where a segment takes three batches.
    #[derive(Default)]
    struct Pair {
        leader: Replica,
        follower: Replica,
        rounds: u64,
    }

    impl Pair {
        fn apply(&mut self, writes: Vec<Write>, reads: BatchedReads) -> Applied {
            self.rounds += 1;
            let round = RoundId { incarnation: 1, number: self.rounds };
            let log_limits = LogLimits { segment_bytes: 3 * BATCH as u32 };
            let stamp = Stamp { now_ms: self.rounds, log_limits, ..Stamp::default() };
            let batch = Batch { stamp, acknowledged: Vec::new(), writes };
            self.leader.batched_reads.insert(round, reads);
            self.follower.apply_batch(round, &batch, false).expect("applied");
            let applied = self.leader.apply_batch(round, &batch, true).expect("applied");
            let encoded = |replica: &Replica| replica.checkpoint().encode().expect("in memory");
            assert_eq!(encoded(&self.follower), encoded(&self.leader), "the same to the byte");
            applied
        }

        /// The log of the only partition.
        fn log(&self) -> LogId {
            self.leader.state.logs().next().expect("a partition").id()
        }
    }

    fn fetched(answered: &Answered) -> &[StoredBatch] {
        match answered {
            Ok(Answer::Reply(Reply::Topic(TopicReply::Fetched { found, .. }))) => &found.batches,
            other => panic!("nothing was fetched: {other:?}"),
        }
    }

    /// How many bytes are kept of a log's first segment.
    fn held(replica: &Replica, log: LogId) -> usize {
        let segments = segments_of(&replica.state);
        segments.filter(|((of, _), _)| *of == log).map(|(_, len)| len as usize).sum()
    }

    fn offsets(batches: &[StoredBatch]) -> Vec<u64> {
        batches.iter().map(|batch| batch.base_offset).collect()
    }

    #[test]
    fn a_read_between_writes_finds_the_records_of_those_before_it() {
        let mut pair = Pair::default();
        let reads = vec![(1, fetch(0)), (3, fetch(0)), (5, fetch(2))];
        let applied = pair.apply((1..=5).map(produce).collect(), reads);
        let found: Vec<_> = applied.answers.iter().map(|a| offsets(fetched(a))).collect();
        assert_eq!(found, [vec![0], vec![0, 1, 2], vec![2, 3, 4]]);
        let later = pair.follower.answer(&fetch(4)).expect("read");
        assert_eq!(offsets(fetched(&later)), [4]);
    }

    #[test]
    fn a_retried_append_writes_nothing() {
        let mut pair = Pair::default();
        let first = pair.apply(vec![produce(1)], Vec::new());
        let again = pair.apply(vec![produce(1), produce(1)], vec![(2, fetch(0))]);
        assert_eq!(again.outcomes, [first.outcomes.clone(), first.outcomes].concat());
        assert_eq!(offsets(fetched(&again.answers[0])), [0]);
        assert_eq!(held(&pair.leader, pair.log()), BATCH);
    }

    #[test]
    fn a_topic_that_is_made_again_has_none_of_its_old_records() {
        let mut pair = Pair::default();
        pair.apply(vec![produce(1), produce(2)], Vec::new());
        let old = pair.log();
        let delete = TopicCommand::Delete { topic: "t".into() };
        let applied = pair.apply(vec![write(3, delete), produce(4)], vec![(2, fetch(0))]);
        assert_eq!(offsets(fetched(&applied.answers[0])), [0]);
        assert_ne!(pair.log(), old);
        assert_eq!((held(&pair.leader, old), held(&pair.follower, old)), (0, 0));
    }

    #[test]
    fn a_poll_that_is_retried_gives_the_same_records_and_none_once_their_topic_is_gone() {
        let mut pair = Pair::default();
        let subscription = Subscription {
            topics: vec!["t".into()],
            strategy: "range".into(),
            instance_id: None,
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
        };
        let (group, member) = ("g".into(), "c".into());
        let subscribe = PollingCommand::Subscribe { group, member, subscription };
        pair.apply((1..=5).map(produce).chain([write(6, subscribe)]).collect(), Vec::new());
        let poll =
            || PollingCommand::Poll { group: "g".into(), member: "c".into(), max_messages: 4 };
        let polled = |applied: &Applied| match &applied.outcomes[..] {
            [
                Ok(Decision::Reply(Reply::Group(GroupReply::Polling(PollingReply::Polled {
                    records,
                    ..
                })))),
            ] => records.iter().flat_map(|(_, found)| offsets(&found.batches)).collect(),
            other => panic!("not a poll's outcome: {other:?}"),
        };
        for _ in 0..2 {
            let applied = pair.apply(vec![write(7, poll())], Vec::new());
            let found: Vec<u64> = polled(&applied);
            assert_eq!(found, [0, 1, 2, 3]);
        }
        pair.apply(vec![write(8, TopicCommand::Delete { topic: "t".into() })], Vec::new());
        pair.apply((9..14).map(produce).collect(), Vec::new());
        let found: Vec<u64> = polled(&pair.apply(vec![write(7, poll())], Vec::new()));
        assert!(found.is_empty(), "not those of the topic that was made again");
    }
}
