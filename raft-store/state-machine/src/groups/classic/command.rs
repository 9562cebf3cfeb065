//! What a classic member can ask.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::command::Lane;
use crate::ids::{Generation, GroupId, InstanceId, MemberId, ProtocolName, TopicName};
use crate::liveness::Heartbeat;
use crate::values::TopicPartitions;

/// A classic member's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ClassicCommand {
    /// Join or rejoin.
    Join {
        group: GroupId,
        /// `None` when it joins for the first time: the request id then makes its id.
        member: Option<MemberId>,
        /// Whether a dynamic member that joins for the first time is only given its id, and joins
        /// with it in its next request (KIP-394). A client whose reply is lost then leaves an id
        /// behind, and no member.
        ///
        /// It is part of the command because it depends on what the client understands: on its
        /// listener, and there on the version of its request. The state knows neither, and every
        /// node has to decide the same.
        id_first: bool,
        info: JoinInfo,
    },
    /// Ask for the assignment; the group's leader may bring everyone's.
    Sync {
        group: GroupId,
        member: MemberId,
        /// If the member gives one.
        instance_id: Option<InstanceId>,
        /// The generation it joined.
        generation: Generation,
        /// What it believes that the members agreed on.
        agreed: Agreed,
        /// From the group's leader.
        assignments: Option<Assignments>,
    },
    /// Leave.
    Leave {
        group: GroupId,
        member: MemberId,
        /// If the member gives one.
        instance_id: Option<InstanceId>,
        /// A static member gives up its seat.
        permanent: bool,
    },
}

/// What a member believes that its group agreed on (KIP-559). What it does not say is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agreed {
    /// What kind of members they are.
    pub protocol_type: Option<Arc<str>>,
    /// The elected protocol.
    pub protocol: Option<ProtocolName>,
}

/// What a group's leader brings for its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assignments {
    /// Partitions, which have to fit the group.
    Partitions(Vec<(MemberId, TopicPartitions)>),
    /// Bytes that only members understand. Whoever is not named gets none.
    Opaque(Vec<(MemberId, Bytes)>),
}

/// What a classic member says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinInfo {
    /// Its static identity, if it has one.
    pub instance_id: Option<InstanceId>,
    /// Silence after which it is removed.
    pub session_timeout_ms: u32,
    /// Time allowed to take part in a rebalance.
    pub rebalance_timeout_ms: u32,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The client that it is, where members say more to each other than the state understands.
    /// Members of one group are all such, of one protocol type, or none is.
    pub client: Option<Client>,
}

/// What a member of Kafka's own protocol says of itself besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What kind of members they are, such as `consumer` or `connect`.
    pub protocol_type: Arc<str>,
    /// The client's own name.
    pub client_id: Arc<str>,
    /// Where it connects from.
    pub host: Arc<str>,
}

/// One protocol that a classic member offers (Kafka's JoinGroup).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct Protocol {
    pub name: ProtocolName,
    /// The topics the member subscribes to under it; sorted, each once.
    pub topics: Vec<TopicName>,
    /// What the member owned when it joined.
    pub owned: TopicPartitions,
    /// The generation in which it owned that.
    pub generation: Option<Generation>,
    /// What it says to the member that assigns, byte for byte; empty where that is told in the
    /// other fields.
    pub metadata: Bytes,
}

impl ClassicCommand {
    /// Whose sign of life it is.
    pub(crate) fn heartbeat(&self) -> Heartbeat<'_> {
        match self {
            Self::Join { group, member, .. } => {
                Heartbeat { group, member: member.as_ref(), polled: false }
            }
            Self::Sync { group, member, .. } | Self::Leave { group, member, .. } => {
                Heartbeat::of(group, member)
            }
        }
    }

    /// Whether its request may wait for its group.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Join { .. } | Self::Sync { .. } => Lane::Delayed,
            Self::Leave { .. } => Lane::Immediate,
        }
    }
}
