//! What can happen to keyed logs.

use serde::{Deserialize, Serialize};

use crate::ids::{LogKey, Millis, Offset};
use crate::values::{Place, Records};

/// One fact about a keyed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum KeyedLogEvent {
    /// Records were appended.
    Appended {
        key: LogKey,
        records: Records,
        /// It makes the log if there is none with this id.
        place: Place,
        /// The first record's.
        offset: Offset,
        timestamp: Millis,
    },
    /// The committed position moved forward.
    Committed {
        key: LogKey,
        /// The highest offset processed.
        offset: Offset,
    },
}
