//! What a request asks for more than once is answered once.
//!
//! An answer is then as large as what there is to tell, and not as large as somebody makes it by
//! naming the same group thousands of times.

use std::collections::BTreeSet;

use wire::kafka_protocol::messages::TopicName;
use wire::kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;

/// Keeps the first of those that have the same key.
pub(super) fn by_key<T, K: Ord>(asked: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    asked.retain(|one| seen.insert(key(one)));
}

/// Keeps each partition where it is named first.
pub(super) fn partitions<'a>(asked: impl Iterator<Item = (&'a TopicName, &'a mut Vec<i32>)>) {
    let mut seen = BTreeSet::new();
    for (topic, indexes) in asked {
        indexes.retain(|index| seen.insert((topic, *index)));
    }
}

/// Keeps the first of those that ask for the same of the same thing.
pub(super) fn configs(asked: &mut Vec<DescribeConfigsResource>) {
    by_key(asked, |one| {
        let keys: BTreeSet<_> = one.configuration_keys.iter().flatten().cloned().collect();
        (one.resource_type, one.resource_name.clone(), keys)
    });
}
