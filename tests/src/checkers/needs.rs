//! What a checker needs of a history beyond its operations, and when a history lacks it.
//!
//! A history of a watch ([`crate::watch`]) tells what went past, and says in its header what may
//! not have. A checker that would take that for an anomaly names the [`Need`], and is not asked
//! about such a history.

use serde_json::Value;

use super::wire::is_wire;
use crate::history::History;

/// Something that a property rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// All who send, commit and administer, from an empty cluster on. The header's `partial` says
    /// that there may be others.
    EveryClient,
    /// That committed offsets are set by commits alone. The header's `transactions` says that
    /// transactions may have set them.
    NoTransactions,
    /// All faults. Nobody tells a watch when a broker is stopped.
    EveryFault,
    /// That logs keep what was sent. The header's `records_go` says that records are deleted, or not
    /// kept for ever.
    KeptRecords,
    /// A promise that cohort makes and Kafka does not. The header's `linearizable` says that a
    /// broker of the stage `wire` makes it.
    OwnPromise,
}

impl Need {
    /// Why a history lacks it, if it does.
    #[must_use]
    pub fn lacking(self, history: &History) -> Option<&'static str> {
        let says = |field| history.header.config.get(field) == Some(&Value::Bool(true));
        match self {
            Self::EveryClient => says("partial")
                .then_some("others may have been at work beside the watch (`partial`)"),
            Self::NoTransactions => says("transactions")
                .then_some("transactions may have set committed offsets (`transactions`)"),
            Self::EveryFault => (history.header.stage == "watch")
                .then_some("a watch does not know when brokers were stopped"),
            Self::KeptRecords => says("records_go")
                .then_some("records were deleted, or not kept for ever (`records_go`)"),
            Self::OwnPromise => (is_wire(history) && !says("linearizable"))
                .then_some("the broker need not promise that (`linearizable`)"),
        }
    }
}
