//! From Kafka's error codes to those of the JSON protocol, which say whether a request certainly
//! took no effect ([`crate::dialects::json::definite`]).
//!
//! Names that the JSON protocol has keep their codes (`docs/protocol.md`). The others are placed by
//! what they mean: 10 not understood, 11 not now, 12 a request that is wrong in itself, 20 there is
//! no such thing, 21 there is one already, 22 the state forbids it.
//!
//! One rule comes first, for what changes anything. Kafka's brokers answer most refusals before
//! they append. Others come to a request that was appended and waits for its replicas, when the
//! leadership moves or the topic goes meanwhile ([`AFTER_APPEND`]). Another reader may see what was
//! appended, and it may stay. So these are indefinite:
//!
//! - a partition's leader completes a waiting Produce with NOT_LEADER_OR_FOLLOWER,
//!   UNKNOWN_TOPIC_OR_PARTITION or KAFKA_STORAGE_ERROR;
//! - a group's coordinator appends joins, assignments and commits to a log as well. It tells what
//!   fails there as COORDINATOR_NOT_AVAILABLE or NOT_COORDINATOR, and to a SyncGroup also as
//!   REBALANCE_IN_PROGRESS;
//! - a controller that is deposed completes what it appended with NOT_CONTROLLER.
//!
//! For requests that only read the same names are as definite as any other.

use serde_json::{Map, Value};
use wire::errors;

use crate::dialects::Answer;

/// What only reads, and heartbeats, which no log holds.
const READS: [&str; 6] =
    ["fetch", "list_offsets", "fetch_offset", "describe_group", "list_topics", "heartbeat"];

/// Answers that may come after the request was appended, whichever it is.
const AFTER_APPEND: [i16; 10] = [
    errors::REQUEST_TIMED_OUT,
    errors::NETWORK_EXCEPTION,
    errors::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    // It was appended before, by another request: at an offset that nobody tells.
    errors::DUPLICATE_SEQUENCE_NUMBER,
    errors::NOT_LEADER_OR_FOLLOWER,
    errors::NOT_COORDINATOR,
    errors::COORDINATOR_NOT_AVAILABLE,
    errors::NOT_CONTROLLER,
    errors::KAFKA_STORAGE_ERROR,
    errors::NEW_LEADER_ELECTED,
];

/// An answer without fields of its own.
pub(super) fn done(f: &str, code: i16) -> Answer {
    answer(f, code, Map::new)
}

/// The answer that an error code makes; where it is none, with these fields.
pub(super) fn answer(f: &str, code: i16, fields: impl FnOnce() -> Map<String, Value>) -> Answer {
    if code == errors::NONE {
        return Answer::Ok(Value::Object(fields()));
    }
    Answer::Error { code: meaning(f, code), error: errors::name(code).map(str::to_owned) }
}

/// The JSON protocol's code for one of Kafka's.
fn meaning(f: &str, code: i16) -> u32 {
    let only_reads = READS.contains(&f);
    let after_append = AFTER_APPEND.contains(&code)
        || f == "send" && code == errors::UNKNOWN_TOPIC_OR_PARTITION
        || f == "sync_group" && code == errors::REBALANCE_IN_PROGRESS;
    if after_append && !only_reads {
        return 0;
    }
    match code {
        errors::UNKNOWN_SERVER_ERROR => 13,
        errors::REQUEST_TIMED_OUT
        | errors::NETWORK_EXCEPTION
        | errors::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | errors::DUPLICATE_SEQUENCE_NUMBER => 0,
        errors::UNSUPPORTED_VERSION
        | errors::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | errors::UNSUPPORTED_COMPRESSION_TYPE => 10,
        _ if is_not_now(code) => 11,
        errors::UNKNOWN_TOPIC_OR_PARTITION
        | errors::UNKNOWN_TOPIC_ID
        | errors::GROUP_ID_NOT_FOUND
        | errors::RESOURCE_NOT_FOUND
        | errors::TRANSACTIONAL_ID_NOT_FOUND => 20,
        errors::TOPIC_ALREADY_EXISTS | errors::DUPLICATE_RESOURCE => 21,
        _ if is_forbidden_by_state(code) => 22,
        // Everything else that Kafka 4.0 knows is a request that is wrong in itself. What nobody
        // knows may mean anything.
        _ => errors::name(code).map_or(0, |_| 12),
    }
}

/// Whether an error says that the same request may be taken later, or elsewhere.
fn is_not_now(code: i16) -> bool {
    matches!(
        code,
        errors::LEADER_NOT_AVAILABLE
            | errors::NOT_LEADER_OR_FOLLOWER
            | errors::BROKER_NOT_AVAILABLE
            | errors::REPLICA_NOT_AVAILABLE
            | errors::COORDINATOR_LOAD_IN_PROGRESS
            | errors::COORDINATOR_NOT_AVAILABLE
            | errors::NOT_COORDINATOR
            | errors::NOT_CONTROLLER
            | errors::NOT_ENOUGH_REPLICAS
            | errors::KAFKA_STORAGE_ERROR
            | errors::CONCURRENT_TRANSACTIONS
            | errors::FETCH_SESSION_ID_NOT_FOUND
            | errors::INVALID_FETCH_SESSION_EPOCH
            | errors::FETCH_SESSION_TOPIC_ID_ERROR
            | errors::FENCED_LEADER_EPOCH
            | errors::UNKNOWN_LEADER_EPOCH
            | errors::OFFSET_NOT_AVAILABLE
            | errors::UNSTABLE_OFFSET_COMMIT
            | errors::THROTTLING_QUOTA_EXCEEDED
            | errors::NEW_LEADER_ELECTED
    )
}

/// Whether an error says that the state forbids it.
fn is_forbidden_by_state(code: i16) -> bool {
    matches!(
        code,
        errors::UNKNOWN_MEMBER_ID
            | errors::ILLEGAL_GENERATION
            | errors::REBALANCE_IN_PROGRESS
            | errors::FENCED_INSTANCE_ID
            | errors::INCONSISTENT_GROUP_PROTOCOL
            | errors::MEMBER_ID_REQUIRED
            | errors::GROUP_MAX_SIZE_REACHED
            | errors::NON_EMPTY_GROUP
            | errors::GROUP_SUBSCRIBED_TO_TOPIC
            | errors::OUT_OF_ORDER_SEQUENCE_NUMBER
            | errors::INVALID_PRODUCER_EPOCH
            | errors::INVALID_PRODUCER_ID_MAPPING
            | errors::UNKNOWN_PRODUCER_ID
            | errors::PRODUCER_FENCED
            | errors::INVALID_TXN_STATE
            | errors::TRANSACTION_COORDINATOR_FENCED
            | errors::TRANSACTION_ABORTABLE
            | errors::FENCED_MEMBER_EPOCH
            | errors::STALE_MEMBER_EPOCH
            | errors::UNRELEASED_INSTANCE_ID
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::json::definite;

    #[test]
    fn names_of_the_json_protocol_keep_their_codes() {
        // docs/protocol.md, but for what may come after an append.
        for (name, code) in [
            ("REQUEST_TIMED_OUT", 0),
            ("UNSUPPORTED_VERSION", 10),
            ("INVALID_REQUEST", 12),
            ("INVALID_GROUP_ID", 12),
            ("UNSUPPORTED_ASSIGNOR", 12),
            ("INVALID_SESSION_TIMEOUT", 12),
            ("OFFSET_METADATA_TOO_LARGE", 12),
            ("MESSAGE_TOO_LARGE", 12),
            ("INVALID_CONFIG", 12),
            ("INVALID_TIMESTAMP", 12),
            ("OFFSET_OUT_OF_RANGE", 12),
            ("UNKNOWN_SERVER_ERROR", 13),
            ("UNKNOWN_TOPIC_OR_PARTITION", 20),
            ("GROUP_ID_NOT_FOUND", 20),
            ("TOPIC_ALREADY_EXISTS", 21),
            ("INVALID_PRODUCER_EPOCH", 22),
            ("OUT_OF_ORDER_SEQUENCE_NUMBER", 22),
            ("UNKNOWN_MEMBER_ID", 22),
            ("ILLEGAL_GENERATION", 22),
            ("REBALANCE_IN_PROGRESS", 22),
            ("FENCED_INSTANCE_ID", 22),
            ("INCONSISTENT_GROUP_PROTOCOL", 22),
            ("GROUP_MAX_SIZE_REACHED", 22),
            ("NON_EMPTY_GROUP", 22),
            ("GROUP_SUBSCRIBED_TO_TOPIC", 22),
        ] {
            let kafka = errors::by_name(name).expect("a name of Kafka's");
            assert_eq!(meaning("commit_offset", kafka), code, "{name}");
        }
        assert_eq!(meaning("fetch_offset", errors::COORDINATOR_NOT_AVAILABLE), 11);
    }

    #[test]
    fn what_may_come_after_an_append_is_definite_for_reads_alone() {
        for code in AFTER_APPEND {
            assert!(!definite(meaning("send", code)), "{code}");
            assert!(!definite(meaning("commit_offset", code)), "{code}");
        }
        for code in [errors::NOT_COORDINATOR, errors::NOT_LEADER_OR_FOLLOWER] {
            assert!(definite(meaning("heartbeat", code)));
            assert!(definite(meaning("fetch", code)));
        }
        assert!(!definite(meaning("send", errors::UNKNOWN_TOPIC_OR_PARTITION)));
        assert!(!definite(meaning("sync_group", errors::REBALANCE_IN_PROGRESS)));
        assert!(definite(meaning("heartbeat", errors::REBALANCE_IN_PROGRESS)));
        assert!(definite(meaning("join_group", errors::COORDINATOR_LOAD_IN_PROGRESS)));
    }

    #[test]
    fn a_code_that_nobody_knows_says_nothing() {
        assert_eq!(
            done("send", 9_999),
            Answer::Error { code: 0, error: None },
            "it may have taken effect"
        );
        assert_eq!(done("send", 0), Answer::Ok(serde_json::json!({})));
    }
}
