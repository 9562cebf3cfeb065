//! What a request asks for more than once is answered once.
//!
//! An answer is then as large as what there is to tell, and not as large as somebody makes it by
//! naming the same group thousands of times.

use std::collections::BTreeSet;

use wire::kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};

/// Keeps the first of those that have the same key.
pub(super) fn by_key<T, K: Ord>(asked: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    asked.retain(|one| seen.insert(key(one)));
}

/// Keeps each partition where it is named first, and no topic of which none is left.
pub(super) fn partitions(asked: &mut Vec<OffsetFetchRequestTopic>) {
    let mut seen = BTreeSet::new();
    asked.retain_mut(|topic| {
        let name = &topic.name;
        is_left(&mut topic.partition_indexes, |index| seen.insert((name.clone(), *index)))
    });
}

/// The same of groups: keeps each group where all of it is asked for first, and each partition
/// where it is named first.
pub(super) fn groups(asked: &mut Vec<OffsetFetchRequestGroup>) {
    let (mut whole, mut named, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    asked.retain_mut(|group| {
        let id = &group.group_id;
        let Some(topics) = &mut group.topics else { return whole.insert(id.clone()) };
        topics.retain_mut(|topic| {
            let name = &topic.name;
            let is_new = |index: &i32| seen.insert((id.clone(), name.clone(), *index));
            is_left(&mut topic.partition_indexes, is_new)
        });
        named.insert(id.clone()) || !topics.is_empty()
    });
}

/// Keeps new partitions of a topic. Whether the topic stays: it has some, or never named any.
fn is_left(indexes: &mut Vec<i32>, is_new: impl FnMut(&i32) -> bool) -> bool {
    let begun = indexes.len();
    indexes.retain(is_new);
    begun == 0 || !indexes.is_empty()
}

/// Keeps the first of those that ask for the same of the same thing.
pub(super) fn configs(asked: &mut Vec<DescribeConfigsResource>) {
    by_key(asked, |one| {
        let keys: BTreeSet<_> = one.configuration_keys.iter().flatten().cloned().collect();
        (one.resource_type, one.resource_name.clone(), keys)
    });
}
