//! Which topic has which id.

use std::collections::HashMap;

use wire::kafka_protocol::messages::ResponseKind;

/// An id as Kafka says it: 16 bytes.
type Id = [u8; 16];

/// Which topic has which id, as answers told: newer versions of Fetch and DeleteTopics name topics
/// by their ids alone.
#[derive(Debug, Default)]
pub struct TopicNames {
    by_id: HashMap<Id, String>,
    /// The id that was told last: a topic that is made anew has another one.
    by_name: HashMap<String, Id>,
    untold: u64,
}

impl TopicNames {
    /// Takes what an answer to Metadata or CreateTopics tells.
    pub fn learn(&mut self, reply: &ResponseKind) {
        match reply {
            ResponseKind::Metadata(reply) => {
                for topic in &reply.topics {
                    if let Some(name) = &topic.name {
                        self.name(topic.topic_id.into_bytes(), name);
                    }
                }
            }
            ResponseKind::CreateTopics(reply) => {
                for topic in &reply.topics {
                    self.name(topic.topic_id.into_bytes(), &topic.name);
                }
            }
            _ => {}
        }
    }

    /// How many partitions of requests could not be told: their topic has an id that no answer had
    /// named, or their batches cannot be read.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold
    }

    fn name(&mut self, id: Id, name: &str) {
        if id != Id::default() && !name.is_empty() {
            self.by_id.insert(id, name.to_owned());
            self.by_name.insert(name.to_owned(), id);
        }
    }

    /// The topic that a request names, or means by that id.
    pub(super) fn resolve(&self, name: &str, id: Id) -> Option<String> {
        if name.is_empty() { self.by_id.get(&id).cloned() } else { Some(name.to_owned()) }
    }

    /// The id of a topic, if an answer told it.
    pub(in crate::dialects::kafka) fn id(&self, name: &str) -> Option<Id> {
        self.by_name.get(name).copied()
    }

    /// Whether the topic with that id has a name.
    #[must_use]
    pub fn knows(&self, id: [u8; 16]) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Whether the id of a topic is known.
    #[must_use]
    pub fn has_id(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// So many could not be told.
    pub(super) fn leave_out(&mut self, count: usize) {
        self.untold += count as u64;
    }
}
