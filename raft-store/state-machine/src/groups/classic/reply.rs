//! What is answered to classic members.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::groups::reply::GroupReply;
use crate::ids::{Generation, InstanceId, MemberId, ProtocolName, TopicName};
use crate::reply::Reply;
use crate::values::TopicPartitions;

/// What a classic member is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ClassicReply {
    /// Its join is over.
    Joined {
        /// The new one.
        generation: Generation,
        /// The elected one.
        protocol: ProtocolName,
        /// The group's leader.
        leader: MemberId,
        /// The member that joined.
        member_id: MemberId,
        /// Everyone, for the leader; empty for the others.
        members: Vec<JoinedMember>,
        /// The member whose seat it took, where nobody joins anew for that: assignments are as they
        /// were, and the leader has nothing to share (KIP-814).
        replaced: Option<MemberId>,
    },
    /// It has an id now, and joins with it in its next request.
    IdGiven { member_id: MemberId },
    /// Its assignment is there.
    Synced {
        assignment: TopicPartitions,
        /// As its leader brought it, where that was bytes.
        given: Bytes,
    },
}

/// A member as the leader of its group sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub struct JoinedMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// What it subscribes to under the elected protocol.
    pub topics: Vec<TopicName>,
    /// What it owned when it joined.
    pub owned: TopicPartitions,
    /// The generation in which it owned that.
    pub generation: Option<Generation>,
    /// What it says to the leader, byte for byte.
    pub metadata: Bytes,
}

impl From<ClassicReply> for Reply {
    fn from(reply: ClassicReply) -> Self {
        Self::Group(GroupReply::Classic(reply))
    }
}
