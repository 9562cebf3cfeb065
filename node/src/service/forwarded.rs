//! What followers pass on to this node while it leads: each request executed once a try, and those
//! of one client in their order, although messages overtake each other and get lost.
//!
//! Pure. A request names the one of the same client that comes before it; it is held back until
//! that one has been replies on or is over. Holding back by client, and not by node, a lost message
//! stops nobody but the clients that it concerns.

use std::collections::{BTreeMap, VecDeque};

use state_machine::command::Lane;

use crate::peers::message::{AcknowledgedBelow, Forward, ForwardItem};
use crate::service::api::{Request, RequestNumber};

/// How far a request that came has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Execution {
    /// It waits in the queue or in a round.
    Running,
    /// It was executed. If its answer was lost it comes again, with a higher attempt.
    Executed,
}

/// One peer's requests, as the leader sees them.
#[derive(Debug, Default)]
pub struct ForwardedRequests {
    acknowledged: AcknowledgedBelow,
    items: BTreeMap<RequestNumber, (u32, Execution)>,
    /// Held back, by what they wait for.
    blocked: BTreeMap<RequestNumber, BTreeMap<RequestNumber, ForwardItem>>,
    /// What each of those waits for.
    waits_for: BTreeMap<RequestNumber, RequestNumber>,
}

impl ForwardedRequests {
    /// Takes a message in and gives the requests that may be executed now, in order.
    pub fn receive(&mut self, forward: Forward) -> Vec<(RequestNumber, Request)> {
        self.acknowledged = self.acknowledged.max(forward.acknowledged);
        let mut ready = Vec::with_capacity(forward.items.len());
        self.forget(&mut ready);
        for item in forward.items {
            if self.acknowledged.closed(item.id) {
                continue;
            }
            let again = match self.items.get(&item.id) {
                // A copy, or a retry of what is under way: its answer will come.
                Some((_, Execution::Running)) => continue,
                Some((attempt, Execution::Executed)) if item.attempt <= *attempt => continue,
                Some((_, Execution::Executed)) => true,
                None => false,
            };
            self.unblock(item.id);
            match item.after.filter(|_| !again).filter(|before| !self.was_run(*before)) {
                Some(before) => {
                    self.waits_for.insert(item.id, before);
                    self.blocked.entry(before).or_default().insert(item.id, item);
                }
                None => self.run(item, &mut ready),
            }
        }
        ready
    }

    /// A request has been executed and its answer sent.
    pub fn executed(&mut self, id: RequestNumber) {
        if let Some((_, execution)) = self.items.get_mut(&id) {
            *execution = Execution::Executed;
        }
    }

    /// The peer's acknowledged.
    pub fn acknowledged(&self) -> AcknowledgedBelow {
        self.acknowledged
    }

    fn was_run(&self, id: RequestNumber) -> bool {
        self.acknowledged.closed(id) || self.items.contains_key(&id)
    }

    /// Hands on a request, and those that waited for it.
    fn run(&mut self, item: ForwardItem, ready: &mut Vec<(RequestNumber, Request)>) {
        // Seldom does anything wait, and an empty queue costs no allocation.
        let mut freed = VecDeque::new();
        let mut next = Some(item);
        while let Some(item) = next {
            for (id, delayed) in self.blocked.remove(&item.id).into_iter().flatten() {
                self.waits_for.remove(&id);
                freed.push_back(delayed);
            }
            self.items.insert(item.id, (item.attempt, Execution::Running));
            ready.push((item.id, item.request));
            next = freed.pop_front();
        }
    }

    fn unblock(&mut self, id: RequestNumber) -> Option<ForwardItem> {
        let before = self.waits_for.remove(&id)?;
        let delayed = self.blocked.get_mut(&before)?;
        let item = delayed.remove(&id);
        if delayed.is_empty() {
            self.blocked.remove(&before);
        }
        item
    }

    /// Forgets what is over, and hands on what waited for it.
    fn forget(&mut self, ready: &mut Vec<(RequestNumber, Request)>) {
        for lane in [Lane::Immediate, Lane::Delayed] {
            let over = RequestNumber { lane, seq: 0 }..RequestNumber {
                lane,
                seq: self.acknowledged.of(lane),
            };
            let done: Vec<_> = self.items.range(over.clone()).map(|(id, _)| *id).collect();
            for id in done {
                self.items.remove(&id);
            }
            let given_up: Vec<_> = self.waits_for.range(over.clone()).map(|(id, _)| *id).collect();
            for id in given_up {
                self.unblock(id);
            }
            let passed: Vec<_> =
                self.blocked.range(over).flat_map(|(_, delayed)| delayed.keys().copied()).collect();
            for id in passed {
                if let Some(item) = self.unblock(id) {
                    self.run(item, ready);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use state_machine::command::Lane;
    use state_machine::topics::command::TopicQuery;

    use super::ForwardedRequests;
    use crate::peers::message::{AcknowledgedBelow, Forward, ForwardItem};
    use crate::service::api::{Request, RequestNumber};

    fn id(seq: u64) -> RequestNumber {
        RequestNumber { lane: Lane::Immediate, seq }
    }

    fn receive(
        forwarded: &mut ForwardedRequests,
        floor: u64,
        items: &[(u64, Option<u64>, u32)],
    ) -> Vec<u64> {
        let item = |(seq, after, attempt): &(u64, Option<u64>, u32)| ForwardItem {
            id: id(*seq),
            after: after.map(id),
            attempt: *attempt,
            request: Request::Query(TopicQuery::List.into()),
        };
        let acknowledged = AcknowledgedBelow { immediate: floor, delayed: 1 };
        let ready =
            forwarded.receive(Forward { acknowledged, items: items.iter().map(item).collect() });
        ready.into_iter().map(|(id, _)| id.seq).collect::<Vec<u64>>()
    }

    #[test]
    fn a_clients_requests_wait_for_the_one_before_and_nobody_elses_do() {
        let mut forwarded = ForwardedRequests::default();
        assert_eq!(
            receive(&mut forwarded, 1, &[(2, Some(1), 0), (3, Some(2), 0), (4, None, 0)]),
            [4]
        );
        assert_eq!(receive(&mut forwarded, 1, &[(1, None, 0)]), [1, 2, 3]);
    }

    #[test]
    fn a_request_whose_predecessor_is_over_waits_no_longer() {
        let mut forwarded = ForwardedRequests::default();
        assert_eq!(receive(&mut forwarded, 1, &[(2, Some(1), 0)]), [0_u64; 0]);
        assert_eq!(receive(&mut forwarded, 2, &[]), [2], "the floor passed number 1");
    }

    #[test]
    fn copies_are_ignored_and_retries_are_executed_once_their_original_was() {
        let mut forwarded = ForwardedRequests::default();
        assert_eq!(receive(&mut forwarded, 1, &[(1, None, 0)]), [1]);
        assert_eq!(
            receive(&mut forwarded, 1, &[(1, None, 0), (1, None, 1)]),
            [0_u64; 0],
            "still under way"
        );
        forwarded.executed(id(1));
        assert_eq!(
            receive(&mut forwarded, 1, &[(1, None, 0)]),
            [0_u64; 0],
            "a copy of the network's"
        );
        assert_eq!(receive(&mut forwarded, 1, &[(1, None, 2)]), [1], "its answer was lost");
    }

    #[test]
    fn memory_is_what_is_open() {
        let mut forwarded = ForwardedRequests::default();
        for seq in 1..1_000 {
            assert_eq!(
                receive(&mut forwarded, seq, &[(seq, seq.checked_sub(1).filter(|s| *s > 0), 0)]),
                [seq]
            );
            forwarded.executed(id(seq));
        }
        assert!(
            forwarded.items.len() <= 2
                && forwarded.blocked.is_empty()
                && forwarded.waits_for.is_empty()
        );
    }
}
