//! What is answered about keyed logs.

use serde::{Deserialize, Serialize};

use crate::ids::{LogKey, Offset};
use crate::values::Found;

/// What was done with keyed logs, or read of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyedLogReply {
    /// Records were appended.
    Appended {
        /// The first one's.
        offset: Offset,
    },
    /// Messages; logs without any are left out.
    Messages(Vec<(LogKey, Found)>),
    /// Committed positions; logs without one are left out.
    Committed(Vec<(LogKey, Offset)>),
}
