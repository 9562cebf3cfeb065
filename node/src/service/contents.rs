//! What goes with one round: as much of the leader's queue as is carried, applied and answered in a
//! moment.

use std::collections::VecDeque;

use state_machine::State;
use state_machine::command::{Query, RequestId, Write};
use state_machine::dedup::Seen;
use state_machine::effort::Effort;

use super::api::Request;
use super::requests::Requests;
use super::round::{Queued, ReplyTo};
use crate::{flaws, limits};

/// See the [module](self).
#[derive(Default)]
pub(super) struct Contents {
    /// The writes, in order.
    pub(super) batch: Vec<Write>,
    /// Whose each write is.
    pub(super) writes: Vec<ReplyTo>,
    /// The reads, and whose each is.
    pub(super) reads: Vec<(ReplyTo, Query, Option<RequestId>)>,
    /// How many of the writes come before each read.
    pub(super) positions: Vec<usize>,
    /// Whose reads are not executed any more, because a later command of their client was.
    pub(super) overtaken: Vec<ReplyTo>,
}

impl Contents {
    /// Takes from the front of a queue: at least one request, if there is one, and no more than a
    /// round carries. `state` is what the round will find, `rounds` how many were before it.
    /// `caught_up`: the state has all that other leaders had proposed and that counts. Before that
    /// nobody knows whether a read was overtaken.
    pub(super) fn take(
        queue: &mut VecDeque<Queued>,
        state: &State,
        requests: &mut Requests,
        rounds: u64,
        caught_up: bool,
    ) -> Self {
        let most = queue.len().min(limits::ROUND_REQUESTS);
        let (writes, batch) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut contents = Self { writes, batch, ..Self::default() };
        let (mut bytes, mut looks, mut effort) = (0, 0, Effort::new(state));
        while let Some(queued) = queue.front() {
            if queued.overtaken_by.is_some() && !caught_up {
                break;
            }
            bytes += queued.request.approximate_bytes();
            looks += match &queued.request {
                Request::Command(command) => effort.of_command(command),
                Request::Query(query) => effort.of_query(query),
            };
            let count = contents.len();
            let is_full = bytes > limits::ROUND
                || looks > limits::ROUND_LOOKS
                || count >= limits::ROUND_REQUESTS;
            if count > 0 && is_full {
                break;
            }
            let Some(queued) = queue.pop_front() else { break };
            let was_applied = |later: RequestId| state.dedup().seen(&later) != Seen::New;
            if queued.overtaken_by.is_some_and(was_applied) {
                contents.overtaken.push(queued.reply_to);
            } else {
                contents.push(queued, requests, rounds);
            }
        }
        contents
    }

    fn len(&self) -> usize {
        self.writes.len() + self.reads.len()
    }

    fn push(&mut self, queued: Queued, requests: &mut Requests, rounds: u64) {
        let Queued { reply_to, request_id, request, .. } = queued;
        match request {
            Request::Command(command) => {
                if let ReplyTo::Own(id) = reply_to {
                    // Given up meanwhile: nobody was told that it might still happen.
                    if requests.in_flight.get(id).is_none() {
                        return;
                    }
                    requests.in_flight.expose(id);
                }
                self.writes.push(reply_to);
                self.batch.push(Write { request_id, command });
            }
            Request::Query(query) => {
                let query = flaws::read_position(query, rounds);
                self.positions.push(self.writes.len());
                self.reads.push((reply_to, query, request_id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use state_machine::State;
    use state_machine::command::{Batch, Write};
    use state_machine::groups::polling::command::{PollingCommand, Subscription};
    use state_machine::ids::TopicName;

    use super::Contents;
    use crate::config::Config;
    use crate::limits;
    use crate::service::requests::Requests;
    use crate::service::round::Queued;

    fn subscribe(member: u64, topics: &[&str]) -> Queued {
        let subscription = Subscription {
            topics: topics.iter().map(|topic| TopicName::from(*topic)).collect(),
            strategy: "cooperative-sticky".into(),
            instance_id: None,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
        };
        let member = format!("c{member}").into();
        let command = PollingCommand::Subscribe { group: "g".into(), member, subscription };
        Queued::internal(command.into())
    }

    /// How many requests of a queue go with each round, where each is applied before the next.
    fn rounds(mut queue: VecDeque<Queued>) -> Vec<usize> {
        let config = Config::parse_from(["cohort"]).expect("no flags");
        let mut requests = Requests::new(Arc::new(config), true);
        let (mut state, mut sizes) = (State::default(), Vec::new());
        while !queue.is_empty() {
            let contents = Contents::take(&mut queue, &state, &mut requests, 0, true);
            sizes.push(contents.len());
            state.begin(&Batch::default());
            for Write { command, .. } in contents.batch {
                state.apply(&Write { request_id: None, command }, None).expect("done");
            }
        }
        sizes
    }

    #[test]
    fn regression_a_round_of_dear_joins_ends_before_anybody_waits_for_it_too_long() {
        let all = |topics: fn(u64) -> &'static [&'static str]| {
            (0..3_000).map(|member| subscribe(member, topics(member))).collect()
        };
        let dear = rounds(all(|member| if member % 2 == 0 { &["t"] } else { &["u"] }));
        assert_eq!(dear.iter().sum::<usize>(), 3_000);
        let last = limits::ROUND_LOOKS / 3_000;
        assert!(dear[0] > 200 && dear[dear.len() - 2] as u64 <= last + 1, "{dear:?}");
        let cheap = rounds(all(|_| &["t"]));
        assert_eq!(cheap, [3_000], "what finds all that changes goes at once");
    }
}
