//! What listeners wait for: that somebody leads, that records come, that groups change.
//!
//! A listener that answers a read later, such as Kafka's Fetch, waits here and reads again. Waiting
//! is soft: who is woken for nothing finds so by reading.
//!
//! Who is woken by a round that was proposed after the wait had begun may read what this node has
//! applied, without asking whether it leads still. That round's commit is the proof: no other
//! leader had been elected when the wait began, so nothing was acknowledged by then that this node
//! has not applied now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state_machine::event::Event;
use state_machine::ids::{NodeId, TopicPartition};
use state_machine::topics::event::TopicEvent;
use tokio::sync::{Notify, watch};

/// Who leads, as this node knows. A node names itself only when it has applied all that was decided
/// before it led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leadership {
    /// Who.
    pub leader: Option<NodeId>,
    /// In which term.
    pub term: u64,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Watching {
    leadership: watch::Sender<Leadership>,
    waiting: Mutex<Waiting>,
    groups: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_partition: BTreeMap<TopicPartition, Vec<Arc<Waiter>>>,
    /// The last round that this node has proposed.
    proposed: u64,
}

/// Who waits for records.
#[derive(Debug)]
pub(super) struct Waiter {
    notify: Notify,
    /// The last round that had been proposed when the wait began.
    since: u64,
    /// A later one has brought records.
    is_current: AtomicBool,
}

impl Waiter {
    /// Waits to be woken; whether what this node has applied is as current as a read needs it.
    /// Cancelling it loses nothing.
    pub(super) async fn woken(&self) -> bool {
        self.notify.notified().await;
        self.is_current.load(Ordering::Relaxed)
    }
}

impl Watching {
    /// Somebody leads, or nobody. Who waits for records looks again.
    pub(super) fn set_leadership(&self, leadership: Leadership) {
        self.leadership.send_replace(leadership);
        let waiting = self.waiting();
        waiting.by_partition.values().flatten().for_each(|waiter| waiter.notify.notify_one());
    }

    pub(super) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Told of every change of a group while this node leads.
    pub(super) fn groups(&self) -> watch::Receiver<()> {
        self.groups.subscribe()
    }

    /// This node proposes a round; they are numbered as they are proposed.
    pub(super) fn proposes(&self, round: u64) {
        self.waiting().proposed = round;
    }

    /// A round of this node's, which leads, has brought this about.
    pub(super) fn observe(&self, round: u64, event: &Event) {
        if matches!(event, Event::Group { .. }) {
            self.groups.send_replace(());
        }
        let waiting = &self.waiting().by_partition;
        if waiting.is_empty() {
            return;
        }
        let wake = |at: &TopicPartition| {
            for waiter in waiting.get(at).into_iter().flatten() {
                waiter.is_current.fetch_or(round > waiter.since, Ordering::Relaxed);
                waiter.notify.notify_one();
            }
        };
        match event {
            Event::Topic(
                TopicEvent::Appended { topic, partition, .. }
                | TopicEvent::Trimmed { topic, partition, .. },
            ) => wake(&TopicPartition { topic: topic.clone(), partition: *partition }),
            Event::Topic(TopicEvent::Deleted { topic, .. }) => {
                waiting.keys().filter(|at| at.topic == *topic).for_each(wake);
            }
            _ => {}
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for records of partitions.
    pub(super) fn wait_for(&self, partitions: Vec<TopicPartition>) -> Arc<Waiter> {
        let mut waiting = self.waiting();
        let (notify, is_current) = (Notify::new(), AtomicBool::new(false));
        let waiter = Arc::new(Waiter { notify, since: waiting.proposed, is_current });
        for at in partitions {
            waiting.by_partition.entry(at).or_default().push(waiter.clone());
        }
        waiter
    }

    /// Ends it.
    pub(super) fn give_up(&self, partitions: &[TopicPartition], waiter: &Arc<Waiter>) {
        let waiting = &mut self.waiting().by_partition;
        for at in partitions {
            if let Some(waiters) = waiting.get_mut(at) {
                waiters.retain(|other| !Arc::ptr_eq(other, waiter));
                if waiters.is_empty() {
                    waiting.remove(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures::FutureExt as _;
    use state_machine::event::Event;
    use state_machine::ids::{LogId, TopicPartition};
    use state_machine::topics::event::TopicEvent;
    use state_machine::values::{Place, Records};

    use super::{Leadership, Waiter, Watching};

    fn at() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 0 }
    }

    /// Records came with a round.
    fn records_came(watching: &Watching, round: u64) {
        let records = Records { count: 1, bytes: Bytes::new(), created: None, escapes: 0 };
        let place = Place { log: LogId(0), segment: 0, position: 0 };
        let TopicPartition { topic, partition } = at();
        let event = TopicEvent::Appended {
            topic,
            partition,
            place,
            records,
            sequence: None,
            next: false,
            offset: 0,
            timestamp: 0,
        };
        watching.observe(round, &Event::Topic(event));
    }

    /// What the wait ended with, if it has ended.
    fn woken(waiter: &Arc<Waiter>) -> Option<bool> {
        waiter.woken().now_or_never()
    }

    #[test]
    fn only_a_round_that_was_proposed_after_the_wait_began_proves_that_this_node_leads_still() {
        let watching = Watching::default();
        watching.proposes(7);
        let waiter = watching.wait_for(vec![at()]);
        assert_eq!(woken(&waiter), None);
        records_came(&watching, 7);
        assert_eq!(woken(&waiter), Some(false), "another may have led when the wait began");
        watching.set_leadership(Leadership { leader: Some(2), term: 3 });
        assert_eq!(woken(&waiter), Some(false), "nothing has proved it");
        watching.proposes(8);
        records_came(&watching, 8);
        assert_eq!(woken(&waiter), Some(true));
        watching.set_leadership(Leadership { leader: Some(3), term: 4 });
        assert_eq!(woken(&waiter), Some(true), "what was so when the wait began stays so");
        watching.give_up(&[at()], &waiter);
        assert!(watching.waiting().by_partition.is_empty());
    }
}
