//! At most once: which requests have been applied, and what was answered.
//!
//! A node that does not hear the outcome of a request sends it again, to the same or the next leader, under
//! the same [`Origin`]. The second time it is not applied but answered from here. Each node says from time
//! to time below which number its requests are over ([`Floor`]); their answers are forgotten, and a copy of
//! such a request that comes late is refused. So the memory is as large as the requests under way, not as
//! the history.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::command::{Floor, Lane, Origin};
use crate::ids::NodeId;
use crate::reply::Outcome;

/// What is known of one numbering of one life of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Session {
    /// Requests below it are over.
    floor: u64,
    /// Answers by number, ascending.
    answered: VecDeque<(u64, Outcome)>,
}

/// All requests that may still be retried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sessions {
    sessions: BTreeMap<(NodeId, u64, Lane), Session>,
}

/// What is known of a request before it is applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Never applied.
    New,
    /// Applied, with this answer.
    Answered(&'a Outcome),
    /// Given up by the node that took it in: it must not be applied any more.
    Over,
}

impl Sessions {
    /// Looks a request up.
    pub fn seen(&self, origin: &Origin) -> Seen<'_> {
        let Some(session) = self.sessions.get(&(origin.node, origin.incarnation, origin.lane)) else {
            return Seen::New;
        };
        if origin.seq < session.floor {
            return Seen::Over;
        }
        match session.answered.binary_search_by_key(&origin.seq, |(seq, _)| *seq) {
            Ok(i) => Seen::Answered(&session.answered[i].1),
            Err(_) => Seen::New,
        }
    }

    /// How many answers are remembered.
    pub fn len(&self) -> usize {
        self.sessions.values().map(|s| s.answered.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What does not hold that should: numbers ascend, and nothing is remembered below a floor.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for ((node, incarnation, lane), session) in &self.sessions {
            let name = format!("requests of node {node}.{incarnation:x} {lane:?}");
            if !session.answered.iter().map(|(seq, _)| seq).is_sorted_by(|a, b| a < b) {
                found.push(format!("{name} are out of order"));
            }
            if session.answered.front().is_some_and(|(seq, _)| *seq < session.floor) {
                found.push(format!("{name} are remembered below {}", session.floor));
            }
        }
        found
    }

    pub(crate) fn remember(&mut self, origin: &Origin, outcome: Outcome) {
        let session = self.sessions.entry((origin.node, origin.incarnation, origin.lane)).or_default();
        match session.answered.back() {
            // Nearly always: numbers are applied in about the order in which they were given.
            Some((last, _)) if *last >= origin.seq => {
                let at = session.answered.partition_point(|(seq, _)| *seq < origin.seq);
                session.answered.insert(at, (origin.seq, outcome));
            }
            _ => session.answered.push_back((origin.seq, outcome)),
        }
    }

    /// A request that waited has its final answer. Nothing is remembered of a request that is over.
    pub(crate) fn replace(&mut self, origin: &Origin, outcome: &Outcome) {
        let Some(session) = self.sessions.get_mut(&(origin.node, origin.incarnation, origin.lane)) else {
            return;
        };
        if let Ok(i) = session.answered.binary_search_by_key(&origin.seq, |(seq, _)| *seq) {
            session.answered[i].1 = outcome.clone();
        }
    }

    pub(crate) fn forget_below(&mut self, floor: &Floor) {
        let session = self.sessions.entry((floor.node, floor.incarnation, floor.lane)).or_default();
        session.floor = session.floor.max(floor.below);
        let over = session.answered.partition_point(|(seq, _)| *seq < session.floor);
        session.answered.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, Sessions};
    use crate::command::{Floor, Lane, Origin};
    use crate::reply::Reply;

    fn origin(lane: Lane, seq: u64) -> Origin {
        Origin { node: 1, incarnation: 7, lane, seq }
    }

    #[test]
    fn an_answer_is_remembered_until_its_node_is_done_with_it() {
        let mut sessions = Sessions::default();
        for seq in [3, 1, 2] {
            sessions.remember(&origin(Lane::Prompt, seq), Ok(Reply::Appended { partition: 0, offset: seq }));
        }
        assert_eq!(
            sessions.seen(&origin(Lane::Prompt, 2)),
            Seen::Answered(&Ok(Reply::Appended { partition: 0, offset: 2 }))
        );
        assert_eq!(sessions.seen(&origin(Lane::Prompt, 4)), Seen::New);
        assert_eq!(sessions.seen(&origin(Lane::Waiting, 2)), Seen::New, "lanes are numbered apart");
        sessions.forget_below(&Floor { node: 1, incarnation: 7, lane: Lane::Prompt, below: 3 });
        assert_eq!(sessions.seen(&origin(Lane::Prompt, 2)), Seen::Over, "never applied again");
        assert_eq!(sessions.len(), 1);
        sessions.forget_below(&Floor { node: 1, incarnation: 7, lane: Lane::Prompt, below: 1 });
        assert_eq!(sessions.seen(&origin(Lane::Prompt, 2)), Seen::Over, "a floor never falls");
    }
}
