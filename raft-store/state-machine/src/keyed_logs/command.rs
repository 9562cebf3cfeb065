//! What can be asked of keyed logs.

use serde::{Deserialize, Serialize};

use crate::ids::{LogKey, Offset};
use crate::values::Records;

/// A change of keyed logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum KeyedLogCommand {
    /// Append to a log.
    Send { key: LogKey, records: Records },
    /// Commit positions. A position never moves back.
    Commit {
        /// Log and the highest offset that was processed.
        offsets: Vec<(LogKey, Offset)>,
    },
}

/// A read of keyed logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum KeyedLogQuery {
    /// Messages.
    Poll {
        /// Log and first offset.
        offsets: Vec<(LogKey, Offset)>,
    },
    /// Committed positions.
    Committed { keys: Vec<LogKey> },
}
