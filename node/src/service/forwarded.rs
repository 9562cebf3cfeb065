//! What followers pass on to this node while it leads: each request executed once a try, and those
//! of one client in their order, although messages overtake each other and get lost.
//!
//! A read that comes again gets the answer of the first time, as far as that is remembered: its
//! client may have written since. Commands are remembered by the state.
//!
//! Pure. A request names the one of the same client that comes before it; it is held back until
//! that one has been replies on or is over. Holding back by client, and not by node, a lost message
//! stops nobody but the clients that it concerns.

use std::collections::{BTreeMap, VecDeque};

use state_machine::command::Lane;
use state_machine::reply::Outcome;

use crate::peers::message::{AcknowledgedBelow, Forward, ForwardItem};
use crate::service::api::{Request, RequestNumber};
use crate::{flaws, limits};

/// How far a request that came has got.
#[derive(Debug)]
enum Execution {
    /// It waits in the queue or in a round.
    Running,
    /// It was executed. If its answer was lost it comes again, with a higher attempt.
    Executed,
    /// The same, and this was found. Takes so many bytes.
    Read(Outcome, usize),
}

/// A request that came.
#[derive(Debug)]
struct Item {
    attempt: u32,
    is_read: bool,
    execution: Execution,
}

/// What is to be done with a message.
#[derive(Debug, Default)]
pub struct Received {
    /// Requests that may be executed now, in order.
    pub ready: Vec<ForwardItem>,
    /// What reads found that come again.
    pub known: Vec<(RequestNumber, Outcome)>,
}

/// One peer's requests, as the leader sees them.
#[derive(Debug, Default)]
pub struct ForwardedRequests {
    acknowledged: AcknowledgedBelow,
    items: BTreeMap<RequestNumber, Item>,
    /// What remembered answers take, in bytes.
    remembered: usize,
    /// Held back, by what they wait for.
    blocked: BTreeMap<RequestNumber, BTreeMap<RequestNumber, ForwardItem>>,
    /// What each of those waits for.
    waits_for: BTreeMap<RequestNumber, RequestNumber>,
}

impl ForwardedRequests {
    /// Takes a message in.
    pub fn receive(&mut self, forward: Forward) -> Received {
        self.acknowledged = self.acknowledged.max(forward.acknowledged);
        let ready = Vec::with_capacity(forward.items.len());
        let mut received = Received { ready, known: Vec::new() };
        self.forget(&mut received.ready);
        for item in forward.items {
            if self.acknowledged.closed(item.id) {
                continue;
            }
            let again = match self.items.get_mut(&item.id) {
                // A copy, or a retry of what is under way: its answer will come.
                Some(Item { execution: Execution::Running, .. }) => continue,
                Some(known) if item.attempt <= known.attempt => continue,
                Some(Item { attempt, execution: Execution::Read(outcome, _), .. }) => {
                    *attempt = item.attempt;
                    received.known.push((item.id, outcome.clone()));
                    continue;
                }
                Some(_) => true,
                None => false,
            };
            self.unblock(item.id);
            match item.after.filter(|_| !again).filter(|before| !self.was_run(*before)) {
                Some(before) => {
                    self.waits_for.insert(item.id, before);
                    self.blocked.entry(before).or_default().insert(item.id, item);
                }
                None => self.run(item, &mut received.ready),
            }
        }
        received
    }

    /// A request has been executed, and its answer is sent. That of a read is remembered while
    /// there is room; `outcome` takes so many `bytes`. It is `None` where the request waits for its
    /// group, and where it was a read that a later command of its client has overtaken.
    pub fn executed(&mut self, id: RequestNumber, outcome: Option<&Outcome>, bytes: usize) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let room = flaws::remembered_reads(limits::REMEMBERED_READS);
        item.execution = match outcome {
            Some(outcome) if item.is_read && self.remembered + bytes <= room => {
                self.remembered += bytes;
                Execution::Read(outcome.clone(), bytes)
            }
            _ => Execution::Executed,
        };
    }

    /// The peer's acknowledged.
    pub fn acknowledged(&self) -> AcknowledgedBelow {
        self.acknowledged
    }

    fn was_run(&self, id: RequestNumber) -> bool {
        self.acknowledged.closed(id) || self.items.contains_key(&id)
    }

    /// Hands on a request, and those that waited for it.
    fn run(&mut self, item: ForwardItem, ready: &mut Vec<ForwardItem>) {
        // Seldom does anything wait, and an empty queue costs no allocation.
        let mut freed = VecDeque::new();
        let mut next = Some(item);
        while let Some(item) = next {
            for (id, delayed) in self.blocked.remove(&item.id).into_iter().flatten() {
                self.waits_for.remove(&id);
                freed.push_back(delayed);
            }
            let is_read = matches!(item.request, Request::Query(_));
            let execution = Execution::Running;
            self.items.insert(item.id, Item { attempt: item.attempt, is_read, execution });
            ready.push(item);
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
    fn forget(&mut self, ready: &mut Vec<ForwardItem>) {
        for lane in [Lane::Immediate, Lane::Delayed] {
            let over = RequestNumber { lane, seq: 0 }..RequestNumber {
                lane,
                seq: self.acknowledged.of(lane),
            };
            let done: Vec<_> = self.items.range(over.clone()).map(|(id, _)| *id).collect();
            for id in done {
                if let Some(Item { execution: Execution::Read(_, bytes), .. }) =
                    self.items.remove(&id)
                {
                    self.remembered -= bytes;
                }
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
    use state_machine::reply::Reply;
    use state_machine::topics::command::TopicQuery;

    use super::ForwardedRequests;
    use crate::limits;
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
            overtaken_by: None,
            request: Request::Query(TopicQuery::List.into()),
        };
        let acknowledged = AcknowledgedBelow { immediate: floor, delayed: 1 };
        let received =
            forwarded.receive(Forward { acknowledged, items: items.iter().map(item).collect() });
        received.ready.into_iter().map(|item| item.id.seq).collect::<Vec<u64>>()
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
        forwarded.executed(id(1), None, 0);
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
            forwarded.executed(id(seq), Some(&Ok(Reply::Done)), 1_000);
        }
        assert!(
            forwarded.items.len() <= 2
                && forwarded.blocked.is_empty()
                && forwarded.waits_for.is_empty()
        );
        assert!(forwarded.remembered <= 2_000);
    }

    #[test]
    fn a_read_that_comes_again_gets_the_answer_of_the_first_time_while_that_is_remembered() {
        let mut forwarded = ForwardedRequests::default();
        assert_eq!(receive(&mut forwarded, 1, &[(1, None, 0), (2, Some(1), 0)]), [1, 2]);
        forwarded.executed(id(1), Some(&Ok(Reply::Done)), limits::REMEMBERED_READS);
        forwarded.executed(id(2), Some(&Ok(Reply::Done)), 1);
        let again = |seq| Forward {
            acknowledged: AcknowledgedBelow { immediate: 1, delayed: 1 },
            items: vec![ForwardItem {
                id: id(seq),
                after: None,
                attempt: 1,
                overtaken_by: None,
                request: Request::Query(TopicQuery::List.into()),
            }],
        };
        let received = forwarded.receive(again(1));
        assert!(received.ready.is_empty());
        assert_eq!(received.known, [(id(1), Ok(Reply::Done))]);
        assert!(forwarded.receive(again(1)).known.is_empty(), "a copy of the network's");
        assert_eq!(forwarded.receive(again(2)).ready.len(), 1, "there was no room for that one");
    }
}
