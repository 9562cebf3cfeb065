//! What events make of topics. Decides nothing.

use super::event::TopicEvent;
use super::partitions::PartitionLog;
use super::topic::{Topic, Topics};

impl Topics {
    /// Makes a fact true.
    pub(crate) fn evolve(&mut self, event: &TopicEvent) {
        match event {
            TopicEvent::Created { topic, partitions } => {
                let partitions = vec![PartitionLog::default(); *partitions as usize];
                self.0.insert(topic.clone(), Topic { partitions, next: 0 });
            }
            TopicEvent::Grown { topic, partitions } => {
                let topic = self.0.get_mut(topic).expect("a topic that grows exists");
                topic.partitions.resize_with(*partitions as usize, PartitionLog::default);
            }
            TopicEvent::Deleted { topic } => {
                self.0.remove(topic);
            }
            TopicEvent::Appended { topic, partition, records, offset, timestamp, next } => {
                let topic = self.0.get_mut(topic).expect("records go to a topic that exists");
                let log = &mut topic.partitions[*partition as usize];
                debug_assert_eq!(log.end_offset(), *offset, "offsets are dense");
                log.append(records, *timestamp);
                if *next {
                    topic.next = (*partition + 1) % topic.partition_count();
                }
            }
        }
    }
}
