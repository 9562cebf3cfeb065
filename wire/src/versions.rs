//! Which requests are understood, and in which versions.
//!
//! One table: the newest versions of Kafka 3.9, the oldest of Kafka 4.x. Clients infer a release
//! from what a broker advertises, so the table is one that a release could have. Everything in it
//! decodes; which part of it a node advertises is the listener's decision. A second, short table
//! has what clients here may send to brokers that serve more ([`OF_CLIENTS`]).

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The number in the request's header.
    pub key: i16,
    /// Kafka's name for it.
    pub name: &'static str,
    /// The oldest version to advertise.
    pub min: i16,
    /// The newest version to advertise, and to understand.
    pub max: i16,
}

impl Api {
    /// Whether a request of this version is understood.
    ///
    /// That is what is advertised, but for the oldest versions of Produce
    /// ([`PRODUCE_SERVED_FROM`]).
    pub fn serves(&self, version: i16) -> bool {
        let min = if self.key == PRODUCE { PRODUCE_SERVED_FROM } else { self.min };
        (min..=self.max).contains(&version)
    }
}

/// The oldest version of Produce that is understood. Versions 0 to 2, which carry batches of magic
/// 0 and 1, are advertised all the same, as Kafka does: librdkafka before 2.11.1 turns compression
/// off unless they are, and no client sends them.
pub const PRODUCE_SERVED_FROM: i16 = 3;

/// Appends batches to partitions.
pub const PRODUCE: i16 = 0;
/// Reads batches from partitions.
pub const FETCH: i16 = 1;
/// Offsets by time: first, last, or of a timestamp.
pub const LIST_OFFSETS: i16 = 2;
/// Brokers, topics, partitions and their leaders.
pub const METADATA: i16 = 3;
/// Stores a group's offsets.
pub const OFFSET_COMMIT: i16 = 8;
/// Reads a group's offsets.
pub const OFFSET_FETCH: i16 = 9;
/// Which broker coordinates a group or a transactional id.
pub const FIND_COORDINATOR: i16 = 10;
/// Enters a classic group, or enters it again.
pub const JOIN_GROUP: i16 = 11;
/// A member of a classic group is alive.
pub const HEARTBEAT: i16 = 12;
/// Leaves a classic group.
pub const LEAVE_GROUP: i16 = 13;
/// Hands out a classic group's assignment.
pub const SYNC_GROUP: i16 = 14;
/// State and members of classic groups.
pub const DESCRIBE_GROUPS: i16 = 15;
/// All groups.
pub const LIST_GROUPS: i16 = 16;
/// Which requests a broker understands.
pub const API_VERSIONS: i16 = 18;
/// Creates topics.
pub const CREATE_TOPICS: i16 = 19;
/// Deletes topics.
pub const DELETE_TOPICS: i16 = 20;
/// Deletes the oldest records of partitions.
pub const DELETE_RECORDS: i16 = 21;
/// Asks for a producer id.
pub const INIT_PRODUCER_ID: i16 = 22;
/// Where a leader epoch ended.
pub const OFFSET_FOR_LEADER_EPOCH: i16 = 23;
/// Access rules.
pub const DESCRIBE_ACLS: i16 = 29;
/// Settings of topics and brokers.
pub const DESCRIBE_CONFIGS: i16 = 32;
/// Replaces settings.
pub const ALTER_CONFIGS: i16 = 33;
/// Size of partitions on disk.
pub const DESCRIBE_LOG_DIRS: i16 = 35;
/// Gives a topic more partitions.
pub const CREATE_PARTITIONS: i16 = 37;
/// Deletes groups.
pub const DELETE_GROUPS: i16 = 42;
/// Changes settings one by one.
pub const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
/// Partitions on the move between brokers.
pub const LIST_PARTITION_REASSIGNMENTS: i16 = 46;
/// Deletes a group's offsets.
pub const OFFSET_DELETE: i16 = 47;
/// Brokers and cluster id.
pub const DESCRIBE_CLUSTER: i16 = 60;
/// Everything that a member of a consumer group of KIP-848 says.
pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;

const fn api(key: i16, name: &'static str, min: i16, max: i16) -> Api {
    Api { key, name, min, max }
}

/// Every request that is understood, by ascending key.
pub const ALL: &[Api] = &[
    api(PRODUCE, "Produce", 0, 11),
    api(FETCH, "Fetch", 4, 17),
    api(LIST_OFFSETS, "ListOffsets", 1, 9),
    api(METADATA, "Metadata", 0, 12),
    api(OFFSET_COMMIT, "OffsetCommit", 2, 9),
    api(OFFSET_FETCH, "OffsetFetch", 1, 9),
    api(FIND_COORDINATOR, "FindCoordinator", 0, 6),
    api(JOIN_GROUP, "JoinGroup", 0, 9),
    api(HEARTBEAT, "Heartbeat", 0, 4),
    api(LEAVE_GROUP, "LeaveGroup", 0, 5),
    api(SYNC_GROUP, "SyncGroup", 0, 5),
    api(DESCRIBE_GROUPS, "DescribeGroups", 0, 5),
    api(LIST_GROUPS, "ListGroups", 0, 5),
    api(API_VERSIONS, "ApiVersions", 0, 4),
    api(CREATE_TOPICS, "CreateTopics", 2, 7),
    api(DELETE_TOPICS, "DeleteTopics", 1, 6),
    api(DELETE_RECORDS, "DeleteRecords", 0, 2),
    api(INIT_PRODUCER_ID, "InitProducerId", 0, 5),
    api(OFFSET_FOR_LEADER_EPOCH, "OffsetForLeaderEpoch", 2, 4),
    api(DESCRIBE_ACLS, "DescribeAcls", 1, 3),
    api(DESCRIBE_CONFIGS, "DescribeConfigs", 1, 4),
    api(ALTER_CONFIGS, "AlterConfigs", 0, 2),
    api(DESCRIBE_LOG_DIRS, "DescribeLogDirs", 1, 4),
    api(CREATE_PARTITIONS, "CreatePartitions", 0, 3),
    api(DELETE_GROUPS, "DeleteGroups", 0, 2),
    api(INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs", 0, 1),
    api(LIST_PARTITION_REASSIGNMENTS, "ListPartitionReassignments", 0, 0),
    api(OFFSET_DELETE, "OffsetDelete", 0, 0),
    api(DESCRIBE_CLUSTER, "DescribeCluster", 0, 1),
];

/// Requests that a client here may send, and that a node does not understand: [`ALL`] has none of
/// them. All are flexible in every version.
pub const OF_CLIENTS: &[Api] = &[api(CONSUMER_GROUP_HEARTBEAT, "ConsumerGroupHeartbeat", 0, 1)];

/// The request with this key, if only clients here know it.
pub fn of_clients(key: i16) -> Option<&'static Api> {
    OF_CLIENTS.iter().find(|api| api.key == key)
}

/// The request with this key, if it is understood.
pub fn find(key: i16) -> Option<&'static Api> {
    ALL.binary_search_by_key(&key, |api| api.key).ok().map(|at| &ALL[at])
}

#[cfg(test)]
mod tests {
    use super::{ALL, OF_CLIENTS, PRODUCE, find, of_clients};

    #[test]
    fn keys_ascend_and_are_found() {
        assert!(ALL.windows(2).all(|pair| pair[0].key < pair[1].key));
        for api in ALL {
            assert_eq!(find(api.key), Some(api));
            assert!(0 <= api.min && api.min <= api.max, "{}", api.name);
        }
        for missing in [-1, 4, 17, 36, 61, 999, i16::MAX] {
            assert_eq!(find(missing), None);
        }
    }

    #[test]
    fn what_only_clients_send_no_node_understands() {
        for api in OF_CLIENTS {
            assert_eq!((of_clients(api.key), find(api.key)), (Some(api), None));
        }
        assert_eq!(of_clients(PRODUCE), None);
    }

    #[test]
    fn produce_is_advertised_from_0_and_served_from_3() {
        let produce = find(PRODUCE).expect("in the table");
        let served: Vec<i16> = (-1..=12).filter(|version| produce.serves(*version)).collect();
        assert_eq!((produce.min, served), (0, (3..=11).collect()));
    }
}
