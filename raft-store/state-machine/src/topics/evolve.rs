//! What events make of topics. Decides nothing.

use std::ops::Range;

use super::event::TopicEvent;
use super::partitions::PartitionLog;
use super::topic::{Topic, Topics};
use crate::ids::{LogId, Millis};

impl Topics {
    /// Makes a fact true.
    pub(crate) fn evolve(&mut self, event: &TopicEvent, now_ms: Millis) {
        match event {
            TopicEvent::Created { topic, logs, config, .. } => {
                let (partitions, config) = (new_logs(logs).collect(), config.clone());
                self.0.insert(topic.clone(), Topic { partitions, config, ..Topic::default() });
            }
            TopicEvent::Configured { topic, config } => {
                let topic = self.0.get_mut(topic).expect("a topic that is configured exists");
                topic.config = config.clone();
            }
            TopicEvent::Grown { topic, logs, .. } => {
                let topic = self.0.get_mut(topic).expect("a topic that grows exists");
                topic.partitions.extend(new_logs(logs));
            }
            TopicEvent::Deleted { topic, .. } => {
                self.0.remove(topic);
            }
            TopicEvent::Trimmed { topic, partition, start, .. } => {
                let topic = self.0.get_mut(topic).expect("a topic that is trimmed exists");
                topic.partitions[*partition as usize].trim(*start);
            }
            TopicEvent::ProducersForgotten { topic, partition, producers } => {
                let topic = self.0.get_mut(topic).expect("producers write to a topic that exists");
                if let Some(known) = topic.producers.get_mut(partition) {
                    producers.iter().for_each(|producer| known.forget(*producer));
                    if known.is_empty() {
                        topic.producers.remove(partition);
                    }
                }
            }
            TopicEvent::Appended {
                topic,
                partition,
                records,
                place,
                offset,
                timestamp,
                next,
                sequence,
            } => {
                let topic = self.0.get_mut(topic).expect("records go to a topic that exists");
                let log = &mut topic.partitions[*partition as usize];
                debug_assert_eq!(log.end_offset(), *offset, "offsets are dense");
                log.append(*place, records, *timestamp);
                if let Some(sequence) = sequence {
                    let producers = topic.producers.entry(*partition).or_default();
                    producers.appended(sequence, *offset, now_ms);
                }
                if *next {
                    topic.next = (*partition + 1) % topic.partition_count();
                }
            }
        }
    }
}

fn new_logs(ids: &Range<LogId>) -> impl Iterator<Item = PartitionLog> + use<> {
    (ids.start.0..ids.end.0).map(|id| PartitionLog::new(LogId(id)))
}
