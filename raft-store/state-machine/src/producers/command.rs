//! What can be asked of producers.

use serde::{Deserialize, Serialize};

/// A change of the producers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProducerCommand {
    /// A new producer (Kafka's InitProducerId without a transactional id).
    Make,
}
