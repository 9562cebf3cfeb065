//! The input of an assignor: topics, members, and who owned what.
//!
//! Everything refers to topics and members by index, so that a group of 10,000 members over a
//! million partitions is a few large tables rather than millions of strings. Members that subscribe
//! to the same topics should share one `Arc` of indices: equality is then seen by comparing two
//! pointers.

use std::cmp::Ordering;
use std::sync::Arc;

/// One partition of one topic of a [`Group`]. Orders by topic index, then by partition number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Index into [`Group::topics`].
    pub topic: u32,
    /// Number of the partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// The partition `partition` of the topic at index `topic` of [`Group::topics`].
    pub const fn new(topic: u32, partition: u32) -> Self {
        Self { topic, partition }
    }
}

/// A topic's 128-bit id (KIP-516), in network byte order.
///
/// The order is Kafka's own (`Uuid.compareTo`): the two halves compared as *signed* 64-bit numbers.
/// It decides ties in the server-side `uniform` assignor (KIP-848).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    fn halves(self) -> (i64, i64) {
        let bits = u128::from_be_bytes(self.0);
        ((bits >> 64) as i64, bits as i64)
    }
}

impl Ord for TopicId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.halves().cmp(&other.halves())
    }
}

impl PartialOrd for TopicId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A topic that members may subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name, unique within the group. Most rules order topics by name.
    pub name: Arc<str>,
    /// How many partitions it has, numbered from 0; `None` if there is no such topic (any more).
    /// The client-side assignors pass over such a topic, the server-side ones refuse it.
    pub partitions: Option<u32>,
    /// Breaks ties in the server-side `uniform` assignor. Topics without an id come after those
    /// with one, by name.
    pub id: Option<TopicId>,
    /// Where the server-side `uniform` assignor puts this topic when it deals partitions out to
    /// members with equal subscriptions: ascending, ties by name. Kafka uses the order of a hash
    /// table there. Leave it 0 unless that order has to be reproduced.
    pub rank: u32,
    /// Racks that hold a replica of each partition, by partition number; `None` if unknown
    /// (KIP-881). If given, there is one entry for each partition.
    pub racks: Option<Arc<[Vec<Arc<str>>]>>,
}

impl Topic {
    /// An existing topic with this many partitions, without id or racks.
    pub fn new(name: impl Into<Arc<str>>, partitions: u32) -> Self {
        Self { name: name.into(), partitions: Some(partitions), id: None, rank: 0, racks: None }
    }

    /// A topic that someone subscribes to, but which does not exist.
    pub fn missing(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), partitions: None, id: None, rank: 0, racks: None }
    }
}

/// A member of a group, with what it wants and what it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id, unique within the group.
    pub id: Arc<str>,
    /// Set for a static member (KIP-345), unique within the group. `range` and `roundrobin` put
    /// static members first, by this id, so that a restart under a new member id changes nothing.
    pub instance_id: Option<Arc<str>>,
    /// The rack it runs in, if known (KIP-881). An empty string counts as unknown.
    pub rack: Option<Arc<str>>,
    /// The topics it subscribes to: indices into [`Group::topics`], strictly ascending. May be
    /// empty. Share the `Arc` between members with equal subscriptions.
    pub topics: Arc<[u32]>,
    /// What it owned before, in any order. For the client-side sticky assignors: what the member
    /// claims; for the server-side `uniform`: its part of the previous target. `range` and
    /// `roundrobin` do not look at it. Partitions the topic does not have (any more) are passed
    /// over.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it owned [`owned`](Self::owned) (KIP-792). `None` is unknown and
    /// counts as -1, older than every known generation.
    pub generation: Option<i32>,
}

impl Member {
    /// A dynamic member in no known rack that owned nothing.
    pub fn new(id: impl Into<Arc<str>>, topics: impl Into<Arc<[u32]>>) -> Self {
        Self {
            id: id.into(),
            instance_id: None,
            rack: None,
            topics: topics.into(),
            owned: Vec::new(),
            generation: None,
        }
    }

    /// The same member, having owned `owned` in `generation`.
    #[must_use]
    pub fn with_owned(mut self, owned: Vec<TopicPartition>, generation: Option<i32>) -> Self {
        self.owned = owned;
        self.generation = generation;
        self
    }

    /// The same member under a static instance id.
    #[must_use]
    pub fn with_instance(mut self, instance_id: impl Into<Arc<str>>) -> Self {
        self.instance_id = Some(instance_id.into());
        self
    }

    /// The same member in a rack.
    #[must_use]
    pub fn with_rack(mut self, rack: impl Into<Arc<str>>) -> Self {
        self.rack = Some(rack.into());
        self
    }
}

/// A whole group: the input of [`Assignor::assign`](crate::Assignor::assign).
///
/// The order of `topics` and `members` has no influence on who gets what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The topics, in any order. A topic that nobody subscribes to is not assigned.
    pub topics: Vec<Topic>,
    /// The members, in any order.
    pub members: Vec<Member>,
}

#[cfg(test)]
mod tests {
    use super::TopicId;

    #[test]
    fn topic_ids_compare_as_signed_halves() {
        let id = |high: i64, low: i64| {
            TopicId(((high as u64 as u128) << 64 | low as u64 as u128).to_be_bytes())
        };
        let ascending =
            [id(i64::MIN, 5), id(-1, 0), id(0, i64::MIN), id(0, -1), id(0, 0), id(0, 1), id(1, -7)];
        assert!(ascending.is_sorted());
        assert!(ascending.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
