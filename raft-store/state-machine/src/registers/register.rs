//! The registers as they are kept.
//!
//! A value is JSON text, but nobody here reads JSON. The listener brings a second, canonical text,
//! by which values are compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::RegisterEvent;

/// Text of a JSON value, as sent and in the canonical form by which values are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterValue {
    /// As it was sent.
    pub text: Arc<str>,
    /// Object keys sorted, numbers in one form.
    pub canonical: Arc<str>,
}

/// All registers, by the canonical text of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registers(BTreeMap<Arc<str>, RegisterValue>);

impl Registers {
    /// A register's value.
    pub fn get(&self, key: &str) -> Option<&RegisterValue> {
        self.0.get(key)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes a fact true.
    pub(crate) fn evolve(&mut self, event: &RegisterEvent) {
        match event {
            RegisterEvent::Written { key, value } => {
                self.0.insert(key.clone(), value.clone());
            }
        }
    }
}
