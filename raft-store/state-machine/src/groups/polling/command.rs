//! What a polling consumer can ask.

use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, InstanceId, MemberId, ProtocolName, TopicName};
use crate::liveness::Heartbeat;

/// A polling consumer's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum PollingCommand {
    /// Join, come back, or change what to read.
    Subscribe { group: GroupId, member: MemberId, subscription: Subscription },
    /// Ask for records, and give up what has to be given up.
    Poll {
        group: GroupId,
        member: MemberId,
        /// At most this many records.
        max_messages: u32,
    },
    /// A heartbeat that has a newer generation to tell.
    Heartbeat { group: GroupId, member: MemberId },
    /// Leave.
    Unsubscribe {
        group: GroupId,
        member: MemberId,
        /// A static member gives up its seat.
        permanent: bool,
    },
}

/// What a polling consumer says of itself when it subscribes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topics it reads; sorted, each once.
    pub topics: Vec<TopicName>,
    /// One of the four strategies.
    pub strategy: ProtocolName,
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance and between polls.
    pub rebalance_timeout_ms: u32,
}

impl PollingCommand {
    /// Whose sign of life it is. `subscribe` begins the poll interval anew, as it begins everything
    /// anew for a consumer that restarts.
    pub(crate) fn heartbeat(&self) -> Heartbeat<'_> {
        match self {
            Self::Subscribe { group, member, .. } | Self::Poll { group, member, .. } => {
                Heartbeat::of_poll(group, member)
            }
            Self::Heartbeat { group, member } | Self::Unsubscribe { group, member, .. } => {
                Heartbeat::of(group, member)
            }
        }
    }
}
