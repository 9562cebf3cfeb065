//! The one table from what went wrong to Maelstrom's code and Kafka's name.
//!
//! Codes: 0, 13 mean that the request may have taken effect; all others that it certainly did not.

use thiserror::Error;

use crate::service::api::{Failure, Rejection, ServiceError};

/// A request that cannot be understood or is out of bounds, found before anything was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRequest {
    /// No such request.
    #[error("unknown request type {0}")]
    UnknownType(String),
    /// A missing field, a wrong type, a number out of range, fields of two forms at once.
    #[error("{0}")]
    Invalid(String),
    /// A group's name that is empty or too long.
    #[error("{0}")]
    InvalidGroupId(String),
    /// A strategy that does not exist.
    #[error("{0}")]
    UnsupportedAssignor(String),
    /// A time-out out of bounds.
    #[error("{0}")]
    InvalidTimeout(String),
    /// A commit's metadata over its limit.
    #[error("{0}")]
    MetadataTooLarge(String),
    /// A message over its limit.
    #[error("{0}")]
    MessageTooLarge(String),
    /// A request that came before `init`.
    #[error("the node has not been initialised: send `init` first")]
    NotInitialised,
    /// An `init` that differs from the first.
    #[error("the node is `{0}` already, of a cluster that was given with its first `init`")]
    InitialisedAlready(String),
    /// A reply that does not fit a line.
    #[error("the reply takes {size} bytes, and a line may have {limit}")]
    ReplyTooLarge {
        /// What it takes.
        size: usize,
        /// What it may take.
        limit: usize,
    },
    /// A record in the log that cannot be told as JSON.
    #[error("{0}")]
    Corrupt(String),
}

/// Maelstrom's code and Kafka's name.
pub type Code = (u32, &'static str);

const INVALID_REQUEST: Code = (12, "INVALID_REQUEST");
const UNKNOWN_SERVER_ERROR: Code = (13, "UNKNOWN_SERVER_ERROR");
const UNKNOWN_TOPIC_OR_PARTITION: Code = (20, "UNKNOWN_TOPIC_OR_PARTITION");
const COORDINATOR_NOT_AVAILABLE: Code = (11, "COORDINATOR_NOT_AVAILABLE");
const UNKNOWN_MEMBER_ID: Code = (22, "UNKNOWN_MEMBER_ID");
const REBALANCE_IN_PROGRESS: Code = (22, "REBALANCE_IN_PROGRESS");

/// The code of a request that was not understood.
pub fn of_bad_request(error: &BadRequest) -> Code {
    match error {
        BadRequest::UnknownType(_) => (10, "UNSUPPORTED_VERSION"),
        BadRequest::Invalid(_) => INVALID_REQUEST,
        BadRequest::InvalidGroupId(_) => (12, "INVALID_GROUP_ID"),
        BadRequest::UnsupportedAssignor(_) => (12, "UNSUPPORTED_ASSIGNOR"),
        BadRequest::InvalidTimeout(_) => (12, "INVALID_SESSION_TIMEOUT"),
        BadRequest::MetadataTooLarge(_) => (12, "OFFSET_METADATA_TOO_LARGE"),
        BadRequest::MessageTooLarge(_) => (12, "MESSAGE_TOO_LARGE"),
        BadRequest::NotInitialised => COORDINATOR_NOT_AVAILABLE,
        BadRequest::InitialisedAlready(_) => (22, "INVALID_REQUEST"),
        BadRequest::ReplyTooLarge { .. } | BadRequest::Corrupt(_) => UNKNOWN_SERVER_ERROR,
    }
}

/// The code of a request that failed.
pub fn of_failure(failure: &Failure) -> Code {
    match failure {
        Failure::Rejected(rejection) => of_rejection(rejection),
        Failure::Service(error) => of_service_error(error),
    }
}

fn of_service_error(error: &ServiceError) -> Code {
    match error {
        ServiceError::NotAvailable { .. }
        | ServiceError::Overtaken
        | ServiceError::Overloaded { .. }
        | ServiceError::DiskFull { .. } => COORDINATOR_NOT_AVAILABLE,
        ServiceError::TooLarge { .. } => (12, "MESSAGE_TOO_LARGE"),
        ServiceError::TimedOut { .. } => (0, "REQUEST_TIMED_OUT"),
        ServiceError::Closed | ServiceError::NotLeading => REBALANCE_IN_PROGRESS,
    }
}

fn of_rejection(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::UnknownTopic(_) | Rejection::UnknownPartition { .. } => {
            UNKNOWN_TOPIC_OR_PARTITION
        }
        Rejection::TopicAlreadyExists(_) => (21, "TOPIC_ALREADY_EXISTS"),
        Rejection::TopicCannotShrink { .. }
        | Rejection::OffsetBeyondEnd { .. }
        | Rejection::GroupWaitsForNothing(_)
        | Rejection::InvalidAssignment { .. } => INVALID_REQUEST,
        Rejection::UnknownConfig(_) | Rejection::InvalidConfig { .. } => (12, "INVALID_CONFIG"),
        Rejection::BatchTooLarge { .. } => (12, "MESSAGE_TOO_LARGE"),
        Rejection::KeyMissing(_) => (12, "INVALID_RECORD"),
        Rejection::TimestampAhead { .. } => (12, "INVALID_TIMESTAMP"),
        Rejection::OffsetOutOfRange { .. } => (12, "OFFSET_OUT_OF_RANGE"),
        Rejection::ProducerFenced { .. } => (22, "INVALID_PRODUCER_EPOCH"),
        Rejection::OutOfSequence { .. } => (22, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
        Rejection::KeyNotFound(_) => (20, "KEY_NOT_FOUND"),
        Rejection::PreconditionFailed { .. } => (22, "PRECONDITION_FAILED"),
        Rejection::GroupNotFound(_) => (20, "GROUP_ID_NOT_FOUND"),
        Rejection::UnknownMember { .. } | Rejection::MemberNotNamed(_) => UNKNOWN_MEMBER_ID,
        Rejection::IllegalGeneration { .. } => (22, "ILLEGAL_GENERATION"),
        Rejection::RebalanceInProgress(_) | Rejection::NotAssigned { .. } => REBALANCE_IN_PROGRESS,
        Rejection::FencedInstance { .. } => (22, "FENCED_INSTANCE_ID"),
        Rejection::InconsistentProtocol { .. } => (22, "INCONSISTENT_GROUP_PROTOCOL"),
        Rejection::GroupFull { .. } | Rejection::GroupTooLarge { .. } => {
            (22, "GROUP_MAX_SIZE_REACHED")
        }
        Rejection::NonEmptyGroup(_) => (22, "NON_EMPTY_GROUP"),
        Rejection::GroupSubscribedToTopic { .. } => (22, "GROUP_SUBSCRIBED_TO_TOPIC"),
        Rejection::UnsupportedAssignor(_) => (12, "UNSUPPORTED_ASSIGNOR"),
        Rejection::AssignorFailed { .. } => UNKNOWN_SERVER_ERROR,
        // Only a late copy of a request that was answered already meets this.
        Rejection::RequestOver => (0, "REQUEST_TIMED_OUT"),
    }
}
