//! Kafka's error codes.
//!
//! All of them up to Kafka 4.0, by number; which request answers which code is the listener's
//! decision. [`name`] is for logs.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: i16 = $code;)*

        /// Kafka's name of a code.
        pub fn name(code: i16) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// The code with Kafka's name.
        pub fn by_name(name: &str) -> Option<i16> {
            match name {
                $(stringify!($name) => Some($code),)*
                _ => None,
            }
        }
    };
}

codes! {
    /// The broker failed in a way that no other code tells.
    UNKNOWN_SERVER_ERROR = -1;
    /// Success.
    NONE = 0;
    /// The offset lies outside what the partition holds.
    OFFSET_OUT_OF_RANGE = 1;
    /// The batch is damaged: its checksum or its length is wrong. Java tries again.
    CORRUPT_MESSAGE = 2;
    /// The topic or the partition does not exist here.
    UNKNOWN_TOPIC_OR_PARTITION = 3;
    /// The fetch size is invalid.
    INVALID_FETCH_SIZE = 4;
    /// The partition has no leader now.
    LEADER_NOT_AVAILABLE = 5;
    /// This broker does not lead the partition: ask for metadata.
    NOT_LEADER_OR_FOLLOWER = 6;
    /// The time that the request allowed is over; it may still happen.
    REQUEST_TIMED_OUT = 7;
    /// The broker is not available.
    BROKER_NOT_AVAILABLE = 8;
    /// The replica is not available on this broker.
    REPLICA_NOT_AVAILABLE = 9;
    /// The batch is larger than the broker takes.
    MESSAGE_TOO_LARGE = 10;
    /// The controller has moved to another broker.
    STALE_CONTROLLER_EPOCH = 11;
    /// The text beside a committed offset is too long.
    OFFSET_METADATA_TOO_LARGE = 12;
    /// The connection broke before the reply. Clients use it among themselves.
    NETWORK_EXCEPTION = 13;
    /// The coordinator is still reading its state: try again.
    COORDINATOR_LOAD_IN_PROGRESS = 14;
    /// There is no coordinator now: try again.
    COORDINATOR_NOT_AVAILABLE = 15;
    /// This broker does not coordinate the group: look for the coordinator.
    NOT_COORDINATOR = 16;
    /// The topic's name is not allowed, or its topic is internal.
    INVALID_TOPIC_EXCEPTION = 17;
    /// The batch is larger than a segment.
    RECORD_LIST_TOO_LARGE = 18;
    /// Too few replicas are in sync; nothing was appended.
    NOT_ENOUGH_REPLICAS = 19;
    /// Too few replicas are in sync; the batch was appended.
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20;
    /// The number of acknowledgements is none of -1, 0 and 1.
    INVALID_REQUIRED_ACKS = 21;
    /// The generation is not the group's current one.
    ILLEGAL_GENERATION = 22;
    /// The member has no protocol that all others know.
    INCONSISTENT_GROUP_PROTOCOL = 23;
    /// The group's id is not allowed.
    INVALID_GROUP_ID = 24;
    /// The group has no such member.
    UNKNOWN_MEMBER_ID = 25;
    /// The session timeout is outside the broker's limits.
    INVALID_SESSION_TIMEOUT = 26;
    /// The group rebalances: join again.
    REBALANCE_IN_PROGRESS = 27;
    /// The offsets to commit are too large for a batch.
    INVALID_COMMIT_OFFSET_SIZE = 28;
    /// The principal may not do that with the topic.
    TOPIC_AUTHORIZATION_FAILED = 29;
    /// The principal may not do that with the group.
    GROUP_AUTHORIZATION_FAILED = 30;
    /// The principal may not do that with the cluster.
    CLUSTER_AUTHORIZATION_FAILED = 31;
    /// A record's timestamp is outside the topic's limits.
    INVALID_TIMESTAMP = 32;
    /// The broker does not know the SASL mechanism.
    UNSUPPORTED_SASL_MECHANISM = 33;
    /// The request does not fit the state of the SASL handshake.
    ILLEGAL_SASL_STATE = 34;
    /// The version of the request is not understood.
    UNSUPPORTED_VERSION = 35;
    /// A topic of that name exists.
    TOPIC_ALREADY_EXISTS = 36;
    /// The number of partitions is not allowed.
    INVALID_PARTITIONS = 37;
    /// The replication factor is not allowed.
    INVALID_REPLICATION_FACTOR = 38;
    /// The assignment of replicas is not allowed.
    INVALID_REPLICA_ASSIGNMENT = 39;
    /// A setting is unknown, or its value is not allowed.
    INVALID_CONFIG = 40;
    /// This broker is not the controller: ask for metadata.
    NOT_CONTROLLER = 41;
    /// The request contradicts itself, or the version's rules.
    INVALID_REQUEST = 42;
    /// The stored batches are of a format that cannot do that.
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43;
    /// A policy of the broker forbids it.
    POLICY_VIOLATION = 44;
    /// The batch does not follow the producer's last one.
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
    /// The batch repeats an old one. Clients use it among themselves.
    DUPLICATE_SEQUENCE_NUMBER = 46;
    /// The producer's epoch is older than the newest one seen.
    INVALID_PRODUCER_EPOCH = 47;
    /// The request does not fit the transaction's state.
    INVALID_TXN_STATE = 48;
    /// The transactional id belongs to another producer id.
    INVALID_PRODUCER_ID_MAPPING = 49;
    /// The transaction timeout is longer than allowed.
    INVALID_TRANSACTION_TIMEOUT = 50;
    /// The last transaction still ends: try again.
    CONCURRENT_TRANSACTIONS = 51;
    /// The transaction coordinator was replaced.
    TRANSACTION_COORDINATOR_FENCED = 52;
    /// The principal may not use the transactional id.
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53;
    /// The broker has no access rules.
    SECURITY_DISABLED = 54;
    /// Another part of the request failed, so this was not tried.
    OPERATION_NOT_ATTEMPTED = 55;
    /// The disk failed.
    KAFKA_STORAGE_ERROR = 56;
    /// The folder of the log does not exist.
    LOG_DIR_NOT_FOUND = 57;
    /// The credentials are wrong.
    SASL_AUTHENTICATION_FAILED = 58;
    /// The partition knows nothing of the producer.
    UNKNOWN_PRODUCER_ID = 59;
    /// The partition moves between brokers.
    REASSIGNMENT_IN_PROGRESS = 60;
    /// The broker has no delegation tokens.
    DELEGATION_TOKEN_AUTH_DISABLED = 61;
    /// The delegation token does not exist.
    DELEGATION_TOKEN_NOT_FOUND = 62;
    /// The delegation token belongs to another principal.
    DELEGATION_TOKEN_OWNER_MISMATCH = 63;
    /// Delegation tokens are not allowed on this connection.
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64;
    /// The principal may not use the delegation token.
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65;
    /// The delegation token is too old.
    DELEGATION_TOKEN_EXPIRED = 66;
    /// The kind of principal is not supported.
    INVALID_PRINCIPAL_TYPE = 67;
    /// The group has members.
    NON_EMPTY_GROUP = 68;
    /// There is no such group.
    GROUP_ID_NOT_FOUND = 69;
    /// The broker does not know the fetch session: fetch in full.
    FETCH_SESSION_ID_NOT_FOUND = 70;
    /// The fetch session is at another epoch: fetch in full.
    INVALID_FETCH_SESSION_EPOCH = 71;
    /// The leader has no endpoint for this listener.
    LISTENER_NOT_FOUND = 72;
    /// Topics cannot be deleted.
    TOPIC_DELETION_DISABLED = 73;
    /// The client's leader epoch is older than the broker's.
    FENCED_LEADER_EPOCH = 74;
    /// The client's leader epoch is newer than the broker's.
    UNKNOWN_LEADER_EPOCH = 75;
    /// The compression is not allowed in this version of Produce.
    UNSUPPORTED_COMPRESSION_TYPE = 76;
    /// The broker's epoch has changed.
    STALE_BROKER_EPOCH = 77;
    /// A new leader does not know the high watermark yet: try again.
    OFFSET_NOT_AVAILABLE = 78;
    /// The member has to join again with the id it was just given.
    MEMBER_ID_REQUIRED = 79;
    /// The preferred leader is not available.
    PREFERRED_LEADER_NOT_AVAILABLE = 80;
    /// The group has as many members as it may have.
    GROUP_MAX_SIZE_REACHED = 81;
    /// Another member took over the static instance id.
    FENCED_INSTANCE_ID = 82;
    /// No replica may become leader.
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83;
    /// The partition has the leader that it should have.
    ELECTION_NOT_NEEDED = 84;
    /// The partition does not move.
    NO_REASSIGNMENT_IN_PROGRESS = 85;
    /// A member of the group reads the topic.
    GROUP_SUBSCRIBED_TO_TOPIC = 86;
    /// The batch or one of its records breaks a rule. Clients do not try again.
    INVALID_RECORD = 87;
    /// Offsets of an open transaction are not settled: try again.
    UNSTABLE_OFFSET_COMMIT = 88;
    /// A quota is used up.
    THROTTLING_QUOTA_EXCEEDED = 89;
    /// A newer producer uses the transactional id.
    PRODUCER_FENCED = 90;
    /// The named thing does not exist.
    RESOURCE_NOT_FOUND = 91;
    /// The named thing exists already, or is named twice.
    DUPLICATE_RESOURCE = 92;
    /// The credential does not meet the rules.
    UNACCEPTABLE_CREDENTIAL = 93;
    /// The voters differ from those that are known.
    INCONSISTENT_VOTER_SET = 94;
    /// The version to update to is not allowed.
    INVALID_UPDATE_VERSION = 95;
    /// The feature could not be updated.
    FEATURE_UPDATE_FAILED = 96;
    /// A forwarded principal cannot be read.
    PRINCIPAL_DESERIALIZATION_FAILURE = 97;
    /// The snapshot does not exist.
    SNAPSHOT_NOT_FOUND = 98;
    /// The position lies outside the snapshot.
    POSITION_OUT_OF_RANGE = 99;
    /// No topic has this id.
    UNKNOWN_TOPIC_ID = 100;
    /// The broker is registered already.
    DUPLICATE_BROKER_REGISTRATION = 101;
    /// The broker is not registered.
    BROKER_ID_NOT_REGISTERED = 102;
    /// The topic's id differs from the one in the log.
    INCONSISTENT_TOPIC_ID = 103;
    /// The cluster id is another.
    INCONSISTENT_CLUSTER_ID = 104;
    /// The transactional id is not known.
    TRANSACTIONAL_ID_NOT_FOUND = 105;
    /// The fetch session mixes topic names and ids: fetch in full.
    FETCH_SESSION_TOPIC_ID_ERROR = 106;
    /// The replica may not be in sync.
    INELIGIBLE_REPLICA = 107;
    /// The leadership changed meanwhile.
    NEW_LEADER_ELECTED = 108;
    /// The offset lies in remote storage.
    OFFSET_MOVED_TO_TIERED_STORAGE = 109;
    /// The member's epoch is not the one that the coordinator knows.
    FENCED_MEMBER_EPOCH = 110;
    /// Another member still has the static instance id.
    UNRELEASED_INSTANCE_ID = 111;
    /// The group has no such assignor.
    UNSUPPORTED_ASSIGNOR = 112;
    /// The member's epoch is older: heartbeat, then try again.
    STALE_MEMBER_EPOCH = 113;
    /// The request went to an endpoint of another type.
    MISMATCHED_ENDPOINT_TYPE = 114;
    /// The type of endpoint is not known.
    UNSUPPORTED_ENDPOINT_TYPE = 115;
    /// The controller's id is not known.
    UNKNOWN_CONTROLLER_ID = 116;
    /// The telemetry subscription has another id.
    UNKNOWN_SUBSCRIPTION_ID = 117;
    /// The telemetry is larger than the broker takes.
    TELEMETRY_TOO_LARGE = 118;
    /// The broker's registration is not valid.
    INVALID_REGISTRATION = 119;
    /// The transaction failed and has to be aborted.
    TRANSACTION_ABORTABLE = 120;
    /// The record's share state does not allow it.
    INVALID_RECORD_STATE = 121;
    /// The broker does not know the share session.
    SHARE_SESSION_NOT_FOUND = 122;
    /// The share session is at another epoch.
    INVALID_SHARE_SESSION_EPOCH = 123;
    /// The share state's epoch is another.
    FENCED_STATE_EPOCH = 124;
    /// The voter's key is another.
    INVALID_VOTER_KEY = 125;
    /// The voter is one already.
    DUPLICATE_VOTER = 126;
    /// The voter is not one.
    VOTER_NOT_FOUND = 127;
    /// The regular expression cannot be read.
    INVALID_REGULAR_EXPRESSION = 128;
    /// The client has to begin again from its first addresses.
    REBOOTSTRAP_REQUIRED = 129;
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_from_minus_1_to_129_has_a_name() {
        let named: Vec<i16> = (-300..300).filter(|code| super::name(*code).is_some()).collect();
        assert_eq!(named, (-1..=129).collect::<Vec<i16>>());
        assert_eq!(super::name(super::FENCED_INSTANCE_ID), Some("FENCED_INSTANCE_ID"));
        assert_eq!(super::INVALID_RECORD, 87);
    }
}
