//! What makes an input impossible.

use std::sync::Arc;

/// Why a group cannot be assigned. Each message names the offending value and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// Two members have the same id.
    #[error("member id `{member}` occurs more than once, expected unique member ids")]
    DuplicateMember {
        /// The id.
        member: Arc<str>,
    },
    /// Two members have the same static instance id.
    #[error(
        "instance id `{instance}` is used by members `{first}` and `{second}`, expected one member each"
    )]
    DuplicateInstance {
        /// The instance id.
        instance: Arc<str>,
        /// One of its members, the smaller id.
        first: Arc<str>,
        /// The other member.
        second: Arc<str>,
    },
    /// Two topics have the same name.
    #[error("topic name `{topic}` occurs more than once, expected unique topic names")]
    DuplicateTopic {
        /// The name.
        topic: Arc<str>,
    },
    /// A subscription or an owned partition refers to a topic that is not in the group's list.
    #[error("member `{member}` refers to topic index {topic}, expected an index below {topics}")]
    TopicOutOfRange {
        /// The member.
        member: Arc<str>,
        /// The index it used.
        topic: u32,
        /// How many topics the group has.
        topics: usize,
    },
    /// A subscription is not strictly ascending.
    #[error(
        "member `{member}` subscribes to topic index {next} after {previous}, expected strictly ascending indices"
    )]
    UnsortedSubscription {
        /// The member.
        member: Arc<str>,
        /// The index before the offending one.
        previous: u32,
        /// The offending index.
        next: u32,
    },
    /// A server-side assignor was asked to assign a topic that does not exist.
    #[error("member `{member}` subscribes to topic `{topic}`, expected an existing topic")]
    MissingTopic {
        /// The member with the smallest id among those that subscribe to it.
        member: Arc<str>,
        /// The topic.
        topic: Arc<str>,
    },
    /// Racks are given for some partitions of a topic only.
    #[error("topic `{topic}` has racks for {racks} partitions, expected {partitions}")]
    RackCount {
        /// The topic.
        topic: Arc<str>,
        /// For how many partitions racks are given.
        racks: usize,
        /// How many partitions the topic has.
        partitions: u32,
    },
    /// The topics together have more partitions than can be numbered.
    #[error("the topics have {total} partitions together, expected at most {max}")]
    TooManyPartitions {
        /// Partitions of all topics.
        total: u64,
        /// The limit.
        max: u64,
    },
    /// More members than can be numbered.
    #[error("the group has {members} members, expected at most {max}")]
    TooManyMembers {
        /// Members of the group.
        members: usize,
        /// The limit.
        max: u64,
    },
}
