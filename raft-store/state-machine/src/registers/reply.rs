//! What is answered about registers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What was read of a register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegisterReply {
    /// Its value, as it was sent.
    Value(Arc<str>),
}
