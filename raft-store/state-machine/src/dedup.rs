//! At most once: which requests have been applied, and what was decided.
//!
//! A node that does not hear the outcome of a request sends it again, to the same or the next
//! leader, under the same [`RequestId`]. The second time it is not applied: this dedup table says
//! what was decided. For a delayed request that is first that it waits, and its answer once the
//! group has given it.
//!
//! Each node says from time to time below which number its requests are over ([`Acknowledged`]).
//! What was decided of them is forgotten, and a copy of such a request that comes late is refused.
//! So the table is as large as the requests under way, not as the history.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::command::{Acknowledged, Lane, RequestId};
use crate::ids::NodeId;
use crate::reply::{Decided, Decision, Outcome};

/// What is known of one lane of one incarnation of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Numbering {
    /// Requests below it are over.
    acknowledged: u64,
    /// What was decided, by number, ascending.
    decided: VecDeque<(u64, Decided)>,
}

/// All requests that may still be retried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dedup {
    numberings: BTreeMap<(NodeId, u64, Lane), Numbering>,
}

/// What is known of a request before it is applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Never applied.
    New,
    /// Applied, and this was decided.
    Decided(&'a Decided),
    /// Given up by the node that took it in: it must not be applied any more.
    Over,
}

impl Dedup {
    /// Looks a request up.
    pub fn seen(&self, request_id: &RequestId) -> Seen<'_> {
        let Some(numbering) =
            self.numberings.get(&(request_id.node, request_id.incarnation, request_id.lane))
        else {
            return Seen::New;
        };
        if request_id.seq < numbering.acknowledged {
            return Seen::Over;
        }
        // Nearly always: numbers are applied in about the order in which they were given.
        if numbering.decided.back().is_none_or(|(last, _)| *last < request_id.seq) {
            return Seen::New;
        }
        match numbering.decided.binary_search_by_key(&request_id.seq, |(seq, _)| *seq) {
            Ok(i) => Seen::Decided(&numbering.decided[i].1),
            Err(_) => Seen::New,
        }
    }

    /// How many decisions are remembered.
    pub fn len(&self) -> usize {
        self.numberings.values().map(|s| s.decided.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What does not hold that should: numbers ascend, and nothing is remembered that is
    /// acknowledged.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for ((node, incarnation, lane), numbering) in &self.numberings {
            let name = format!("requests of node {node}.{incarnation:x} {lane:?}");
            if !numbering.decided.iter().map(|(seq, _)| seq).is_sorted_by(|a, b| a < b) {
                found.push(format!("{name} are out of order"));
            }
            if numbering.decided.front().is_some_and(|(seq, _)| *seq < numbering.acknowledged) {
                found.push(format!("{name} are remembered below {}", numbering.acknowledged));
            }
        }
        found
    }

    pub(crate) fn remember(&mut self, request_id: &RequestId, decided: Decided) {
        let numbering = self
            .numberings
            .entry((request_id.node, request_id.incarnation, request_id.lane))
            .or_default();
        match numbering.decided.back() {
            // Nearly always: numbers are applied in about the order in which they were given.
            Some((last, _)) if *last >= request_id.seq => {
                let at = numbering.decided.partition_point(|(seq, _)| *seq < request_id.seq);
                numbering.decided.insert(at, (request_id.seq, decided));
            }
            _ => numbering.decided.push_back((request_id.seq, decided)),
        }
    }

    /// A delayed request has its answer. Nothing is remembered of a request that is over.
    pub(crate) fn answered(&mut self, request_id: &RequestId, outcome: &Outcome) {
        let Some(numbering) =
            self.numberings.get_mut(&(request_id.node, request_id.incarnation, request_id.lane))
        else {
            return;
        };
        if let Ok(i) = numbering.decided.binary_search_by_key(&request_id.seq, |(seq, _)| *seq) {
            numbering.decided[i].1 = outcome.clone().map(Decision::Reply);
        }
    }

    pub(crate) fn forget_below(&mut self, acknowledged: &Acknowledged) {
        let numbering = self
            .numberings
            .entry((acknowledged.node, acknowledged.incarnation, acknowledged.lane))
            .or_default();
        numbering.acknowledged = numbering.acknowledged.max(acknowledged.below);
        let over = numbering.decided.partition_point(|(seq, _)| *seq < numbering.acknowledged);
        numbering.decided.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::{Dedup, Seen};
    use crate::command::{Acknowledged, Lane, RequestId};
    use crate::keyed_logs::reply::KeyedLogReply;
    use crate::reply::{Decided, Decision};

    fn request_id(lane: Lane, seq: u64) -> RequestId {
        RequestId { node: 1, incarnation: 7, lane, seq }
    }

    fn appended(offset: u64) -> Decided {
        Ok(Decision::Reply(KeyedLogReply::Appended { offset }.into()))
    }

    #[test]
    fn an_answer_is_remembered_until_its_node_is_done_with_it() {
        let mut dedup = Dedup::default();
        for seq in [3, 1, 2] {
            dedup.remember(&request_id(Lane::Immediate, seq), appended(seq));
        }
        assert_eq!(dedup.seen(&request_id(Lane::Immediate, 2)), Seen::Decided(&appended(2)));
        assert_eq!(dedup.seen(&request_id(Lane::Immediate, 4)), Seen::New);
        assert_eq!(
            dedup.seen(&request_id(Lane::Delayed, 2)),
            Seen::New,
            "lanes are numbered apart"
        );
        dedup.forget_below(&Acknowledged {
            node: 1,
            incarnation: 7,
            lane: Lane::Immediate,
            below: 3,
        });
        assert_eq!(dedup.seen(&request_id(Lane::Immediate, 2)), Seen::Over, "never applied again");
        assert_eq!(dedup.len(), 1);
        dedup.forget_below(&Acknowledged {
            node: 1,
            incarnation: 7,
            lane: Lane::Immediate,
            below: 1,
        });
        assert_eq!(
            dedup.seen(&request_id(Lane::Immediate, 2)),
            Seen::Over,
            "what is acknowledged stays so"
        );
    }
}
