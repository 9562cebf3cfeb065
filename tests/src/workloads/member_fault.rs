//! What the arena's own members do wrong on purpose. No broker makes a member do that, so this is
//! how the predicates on it are shown to find it.

use clap::ValueEnum;

/// A fault of every member of the workload `classic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MemberFault {
    /// It begins to read at offset 0, whatever it was told of the committed offset.
    StartsOver,
    /// It never reads the first of several partitions that it has.
    LeavesUnread,
}

impl MemberFault {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartsOver => "starts-over",
            Self::LeavesUnread => "leaves-unread",
        }
    }
}
