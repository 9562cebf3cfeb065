//! What can happen to producers.

use serde::{Deserialize, Serialize};

use crate::ids::ProducerId;

/// One fact about a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum ProducerEvent {
    /// It has an id.
    Made { id: ProducerId },
}
