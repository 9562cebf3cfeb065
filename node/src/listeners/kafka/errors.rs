//! From what went wrong to Kafka's error codes.

use state_machine::rejection::Rejection;
use wire::errors;

use crate::service::api::{Failure, ServiceError};

/// Whom an answer is about: where a node does not lead, clients look for another one by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Partitions: their leader is looked for.
    Partition,
    /// A group: its coordinator is looked for.
    Group,
}

impl About {
    /// The code of a node that does not lead.
    pub(super) fn wrong_node(self) -> i16 {
        match self {
            Self::Partition => errors::NOT_LEADER_OR_FOLLOWER,
            Self::Group => errors::NOT_COORDINATOR,
        }
    }

    /// The code of what failed.
    pub(super) fn code(self, failure: &Failure) -> i16 {
        match failure {
            Failure::Rejected(rejection) => of_rejection(rejection),
            Failure::Service(error) => self.of_service_error(error),
        }
    }

    fn of_service_error(self, error: &ServiceError) -> i16 {
        match (error, self) {
            (
                ServiceError::NotAvailable { .. } | ServiceError::Closed | ServiceError::NotLeading,
                _,
            ) => self.wrong_node(),
            (ServiceError::TooLarge { .. }, _) => errors::MESSAGE_TOO_LARGE,
            (ServiceError::DiskFull { .. }, _) => errors::KAFKA_STORAGE_ERROR,
            (
                ServiceError::Overtaken
                | ServiceError::Overloaded { .. }
                | ServiceError::TimedOut { .. },
                Self::Partition,
            ) => errors::REQUEST_TIMED_OUT,
            (
                ServiceError::Overtaken
                | ServiceError::Overloaded { .. }
                | ServiceError::TimedOut { .. },
                Self::Group,
            ) => errors::COORDINATOR_NOT_AVAILABLE,
        }
    }
}

/// The code of a refusal.
pub(super) fn of_rejection(rejection: &Rejection) -> i16 {
    match rejection {
        Rejection::UnknownTopic(_) | Rejection::UnknownPartition { .. } => {
            errors::UNKNOWN_TOPIC_OR_PARTITION
        }
        Rejection::TopicAlreadyExists(_) => errors::TOPIC_ALREADY_EXISTS,
        Rejection::TopicCannotShrink { .. } => errors::INVALID_PARTITIONS,
        Rejection::UnknownConfig(_) | Rejection::InvalidConfig { .. } => errors::INVALID_CONFIG,
        Rejection::BatchTooLarge { .. } => errors::MESSAGE_TOO_LARGE,
        Rejection::KeyMissing(_) => errors::INVALID_RECORD,
        Rejection::TimestampAhead { .. } => errors::INVALID_TIMESTAMP,
        Rejection::OffsetBeyondEnd { .. } | Rejection::OffsetOutOfRange { .. } => {
            errors::OFFSET_OUT_OF_RANGE
        }
        Rejection::ProducerFenced { .. } => errors::INVALID_PRODUCER_EPOCH,
        Rejection::OutOfSequence { .. } => errors::OUT_OF_ORDER_SEQUENCE_NUMBER,
        Rejection::GroupNotFound(_) => errors::GROUP_ID_NOT_FOUND,
        Rejection::UnknownMember { .. } | Rejection::MemberNotNamed(_) => errors::UNKNOWN_MEMBER_ID,
        Rejection::IllegalGeneration { .. } => errors::ILLEGAL_GENERATION,
        Rejection::RebalanceInProgress(_) | Rejection::NotAssigned { .. } => {
            errors::REBALANCE_IN_PROGRESS
        }
        Rejection::FencedInstance { .. } => errors::FENCED_INSTANCE_ID,
        Rejection::InconsistentProtocol { .. } => errors::INCONSISTENT_GROUP_PROTOCOL,
        Rejection::GroupFull { .. } | Rejection::GroupTooLarge { .. } => {
            errors::GROUP_MAX_SIZE_REACHED
        }
        Rejection::NonEmptyGroup(_) => errors::NON_EMPTY_GROUP,
        Rejection::GroupWaitsForNothing(_) => errors::INVALID_REQUEST,
        Rejection::GroupSubscribedToTopic { .. } => errors::GROUP_SUBSCRIBED_TO_TOPIC,
        Rejection::RequestOver => errors::REQUEST_TIMED_OUT,
        Rejection::KeyNotFound(_)
        | Rejection::PreconditionFailed { .. }
        | Rejection::InvalidAssignment { .. }
        | Rejection::UnsupportedAssignor(_)
        | Rejection::AssignorFailed { .. } => errors::UNKNOWN_SERVER_ERROR,
    }
}
