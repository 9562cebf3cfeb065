//! What is answered about producers.

use serde::{Deserialize, Serialize};

use crate::ids::ProducerId;
use crate::reply::Reply;

/// What was done with a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ProducerReply {
    /// It has an id. Its epoch is 0.
    Made { id: ProducerId },
}

impl From<ProducerReply> for Reply {
    fn from(reply: ProducerReply) -> Self {
        Self::Producer(reply)
    }
}
