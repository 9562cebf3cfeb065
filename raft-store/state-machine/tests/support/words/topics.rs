//! Words about topics.

use state_machine::ids::TopicPartition;
use state_machine::topics::command::{Retention, TopicCommand, TopicQuery};
use state_machine::topics::config::{Change, TopicConfig};
use state_machine::topics::placement::{Placement, murmur2};

use super::{Ask, Words, command, partition, query, records, time};

/// `set:NAME=VALUE`, `unset:NAME`, `add:NAME=VALUE`, `remove:NAME=VALUE`.
fn config_changes(w: &Words<'_>) -> Vec<(std::sync::Arc<str>, Change)> {
    let unset = w.plain.iter().filter_map(|word| word.strip_prefix("unset:"));
    let named = w.named.iter().filter_map(|(word, value)| {
        let change = match word.split_once(':')? {
            ("set", name) => (name.into(), Change::Set((*value).into())),
            ("add", name) => (name.into(), Change::Add((*value).into())),
            ("remove", name) => (name.into(), Change::Remove((*value).into())),
            _ => return None,
        };
        Some(change)
    });
    unset.map(|name| (name.into(), Change::Unset)).chain(named).collect()
}

/// What is asked of topics; `None`: another verb.
pub(super) fn of_topics(w: &Words<'_>) -> Option<Ask> {
    Some(match w.plain(0) {
        "topic" => {
            let mut config = TopicConfig::default();
            for (name, change) in config_changes(w) {
                config.change(&name, &change).expect("a good value");
            }
            let (topic, partitions) = (w.plain(1).into(), w.number("partitions").unwrap_or(1));
            command(TopicCommand::Create { topic, partitions, config })
        }
        "configure" => command(TopicCommand::Configure {
            topic: w.plain(1).into(),
            changes: config_changes(w),
            replace: w.plain.contains(&"replace"),
        }),
        "grow" => command(TopicCommand::Grow {
            topic: w.plain(1).into(),
            partitions: w.number("partitions").expect("partitions="),
        }),
        "delete-topic" => command(TopicCommand::Delete { topic: w.plain(1).into() }),
        "trim" => {
            let TopicPartition { topic, partition } = partition(w.plain(1));
            command(TopicCommand::Trim {
                topic,
                partition,
                before: w.number("before").expect("before="),
            })
        }
        "retain" => command(TopicCommand::Retain(Retention {
            ms: w.named.get("age").map(|age| time(age)),
            bytes: w.number("bytes"),
        })),
        "topics" => query(TopicQuery::List),
        "send" => command(TopicCommand::Produce {
            topic: w.plain(1).into(),
            placement: match (w.number("partition"), w.text("key")) {
                (Some(partition), _) => Placement::Partition(partition),
                (None, Some(key)) => Placement::Key(murmur2(key.as_bytes())),
                (None, None) => Placement::Next,
            },
            new_topic_partitions: w.number("new_topic_partitions").unwrap_or(6),
            records: records(w.plain(2), w.number("count").unwrap_or(1)),
        }),
        "fetch" => {
            let TopicPartition { topic, partition } = partition(w.plain(1));
            let (offset, max_messages) =
                (w.number("from").unwrap_or(0), w.number("max").unwrap_or(10));
            query(TopicQuery::Fetch { topic, partition, offset, max_messages })
        }
        _ => return None,
    })
}
