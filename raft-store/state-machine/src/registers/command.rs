//! What can be asked of registers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::register::RegisterValue;

/// A change of a register. Keys are canonical text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum RegisterCommand {
    /// Write a register.
    Write { key: Arc<str>, value: RegisterValue },
    /// Write a register if it has the expected value.
    Cas {
        key: Arc<str>,
        /// Canonical text of the value it must have.
        from: Arc<str>,
        to: RegisterValue,
        /// Write `to` also where the register does not exist.
        create_if_not_exists: bool,
    },
}

/// A read of a register. Keys are canonical text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum RegisterQuery {
    /// A register's value.
    Read { key: Arc<str> },
}
