//! Records are appended to a partition. The topic is made if it does not exist.

use super::append;
use super::config::TopicConfig;
use super::create::create;
use super::placement::{Placement, partition_of};
use super::reply::TopicReply;
use super::topic::Topic;
use crate::ids::TopicName;
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::transition::Transition;
use crate::values::Records;

pub(super) fn produce(
    tx: &mut Transition<'_>,
    topic: &TopicName,
    placement: Placement,
    new_topic_partitions: u32,
    records: &Records,
) -> Outcome {
    let found = tx.state().topic(topic);
    let count = found.map_or(new_topic_partitions, Topic::partition_count);
    let partition = match placement {
        Placement::Key(hash) => partition_of(hash, count),
        Placement::Next => found.map_or(0, |t| t.next),
        Placement::Partition(partition) if partition < count => partition,
        Placement::Partition(partition) => {
            return Err(Rejection::UnknownPartition {
                topic: topic.clone(),
                partition,
                partitions: count,
            });
        }
    };
    if found.is_none() {
        create(tx, topic, count, &TopicConfig::default())?;
    }
    let next = placement == Placement::Next;
    let offset = append::write(tx, topic, partition, records, next, None);
    Ok(TopicReply::Appended { partition, offset }.into())
}
