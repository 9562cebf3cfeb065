//! What listeners wait for: that somebody leads, that records come, that groups change.
//!
//! A listener that answers a read later, such as Kafka's Fetch, waits here and reads again. Waiting
//! is soft: who is woken for nothing finds so by reading.

use std::collections::BTreeMap;
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
    waiting: Mutex<BTreeMap<TopicPartition, Vec<Arc<Notify>>>>,
    groups: watch::Sender<()>,
}

impl Watching {
    /// Somebody leads, or nobody. Who waits for records looks again.
    pub(super) fn set_leadership(&self, leadership: Leadership) {
        self.leadership.send_replace(leadership);
        self.waiting().values().flatten().for_each(|waiter| waiter.notify_one());
    }

    pub(super) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Told of every change of a group while this node leads.
    pub(super) fn groups(&self) -> watch::Receiver<()> {
        self.groups.subscribe()
    }

    /// Something happened while this node leads.
    pub(super) fn observe(&self, event: &Event) {
        if matches!(event, Event::Group { .. }) {
            self.groups.send_replace(());
        }
        let waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        let wake = |at: &TopicPartition| {
            waiting.get(at).into_iter().flatten().for_each(|waiter| waiter.notify_one());
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

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for records of partitions.
    pub(super) fn wait_for(&self, partitions: Vec<TopicPartition>) -> Arc<Notify> {
        let waiter = Arc::<Notify>::default();
        let mut waiting = self.waiting();
        for at in partitions {
            waiting.entry(at).or_default().push(waiter.clone());
        }
        waiter
    }

    /// Ends it.
    pub(super) fn give_up(&self, partitions: &[TopicPartition], waiter: &Arc<Notify>) {
        let mut waiting = self.waiting();
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
