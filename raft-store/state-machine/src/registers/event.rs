//! What can happen to registers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::register::RegisterValue;

/// One fact about a register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum RegisterEvent {
    /// It has a new value.
    Written {
        /// Canonical text.
        key: Arc<str>,
        value: RegisterValue,
    },
}
