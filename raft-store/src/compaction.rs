//! When the Raft log is cut short.
//!
//! A log that only grows fills the memory. Two steps keep it short. First the node takes a
//! *snapshot*: the state as of the last applied entry. Then it *purges*: it drops entries that the
//! snapshot covers. Some of those stay, because a follower that is a little behind catches up
//! faster from entries than from a snapshot.
//!
//! openraft can do both by the number of entries. Here an entry may hold a MiB, so bytes count too.
//!
//! This module decides and does nothing else. The service asks it from time to time, and passes the
//! decision on to openraft:
//!
//! ```
//! use raft_store::compaction::{Compaction, EntrySize, Policy, Position};
//!
//! let policy = Policy::new(100, 1_000_000);
//! let log = (1..=120).rev().map(|index| EntrySize { index, bytes: 200 });
//! // Entry 120 is applied and there is no snapshot yet, so the log has grown by 120 entries.
//! let position = Position { applied: 120, snapshot: None, asked_at: 0, needs_room: false };
//! let decided = policy.decide(position, 1, log);
//! assert_eq!(decided, Compaction { snapshot: true, purge_up_to: None });
//! ```

use crate::limits::{KEPT_BYTES, KEPT_ENTRIES, KEPT_PART};

/// How long a log may become, and how much of it stays after a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The log makes a snapshot when it has grown by this many entries.
    pub snapshot_entries: u64,
    /// The log makes a snapshot when it has grown by this many bytes.
    pub snapshot_bytes: usize,
    /// At most this many entries stay of what a snapshot covers.
    pub kept_entries: u64,
    /// At most about this many bytes of entries stay of what a snapshot covers.
    pub kept_bytes: usize,
}

/// Where a node stands in the log, as indexes of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The last entry that is applied; 0 where none is.
    pub applied: u64,
    /// The last entry that the snapshot covers, if there is a snapshot.
    pub snapshot: Option<u64>,
    /// The last applied entry when a snapshot was last asked for. That snapshot may be under way.
    /// 0 where none was asked for.
    pub asked_at: u64,
    /// The disk is short of room, and has files that go with the next snapshot. While no records
    /// are taken, the log may not grow up to one.
    pub needs_room: bool,
}

/// How large an entry of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntrySize {
    /// The entry's index in the log.
    pub index: u64,
    /// About how many bytes it takes.
    pub bytes: usize,
}

/// What to do with the log now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compaction {
    /// Whether a snapshot is to be taken.
    pub snapshot: bool,
    /// The index up to which entries are to be dropped, if any are. The log has an entry there.
    pub purge_up_to: Option<u64>,
}

impl Compaction {
    /// Whether there is nothing to do.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl Policy {
    /// The policy of a node that takes a snapshot after this many entries or bytes. The
    /// [`limits`](crate::limits) say what stays.
    pub fn new(snapshot_entries: u64, snapshot_bytes: usize) -> Self {
        let kept_entries = KEPT_ENTRIES.min(snapshot_entries / KEPT_PART);
        Self { snapshot_entries, snapshot_bytes, kept_entries, kept_bytes: KEPT_BYTES }
    }

    /// Decides what to do with a log that begins at the index `first`. `newest_first` gives the
    /// size of each of its entries, from the last one back.
    pub fn decide(
        &self,
        position: Position,
        first: u64,
        newest_first: impl Iterator<Item = EntrySize>,
    ) -> Compaction {
        let Position { applied, snapshot, asked_at, needs_room } = position;
        // What an earlier snapshot covers, or one under way will cover, does not count as growth.
        let since = snapshot.unwrap_or(0).max(asked_at);
        let (mut grown_bytes, mut kept_entries, mut kept_bytes) = (0, 0, 0);
        let mut newest_dropped = None;
        for EntrySize { index, bytes } in newest_first {
            if index > since {
                grown_bytes += bytes;
            }
            if newest_dropped.is_none() {
                kept_entries += 1;
                kept_bytes += bytes;
                let too_much = kept_entries > self.kept_entries || kept_bytes > self.kept_bytes;
                newest_dropped = too_much.then_some(index);
            }
            if index <= since && newest_dropped.is_some() {
                break;
            }
        }
        let grown_entries = applied.saturating_sub(since);
        let covered = snapshot.and_then(|snapshot| Some(newest_dropped?.min(snapshot)));
        let is_grown = grown_entries >= self.snapshot_entries || grown_bytes >= self.snapshot_bytes;
        // One that is under way may be the one that removes them.
        let makes_room = needs_room && grown_entries > 0 && snapshot.unwrap_or(0) >= asked_at;
        Compaction {
            snapshot: is_grown || makes_room,
            purge_up_to: covered.filter(|upto| *upto >= first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compaction, EntrySize, Policy, Position};

    const POLICY: Policy =
        Policy { snapshot_entries: 10, snapshot_bytes: 1_000, kept_entries: 4, kept_bytes: 100 };

    /// The last applied entry, the snapshot's last (0: there is none), and where one was asked for.
    type At = (u64, u64, u64);

    /// Decides over a log of entries from `first` to `last` that have `bytes` each.
    fn decide(position: At, (first, last): (u64, u64), bytes: usize) -> Compaction {
        let (applied, snapshot, asked_at) = position;
        let snapshot = Some(snapshot).filter(|index| *index > 0);
        let entries = (first..=last).rev().map(|index| EntrySize { index, bytes });
        let position = Position { applied, snapshot, asked_at, needs_room: false };
        POLICY.decide(position, first, entries)
    }

    fn snapshot(position: At, log: (u64, u64), bytes: usize) -> bool {
        decide(position, log, bytes).snapshot
    }

    fn purge(position: At, log: (u64, u64), bytes: usize) -> Option<u64> {
        decide(position, log, bytes).purge_up_to
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_applied_entries() {
        assert!(!snapshot((9, 0, 0), (1, 9), 1));
        assert!(snapshot((10, 0, 0), (1, 10), 1));
        assert!(!snapshot((19, 10, 10), (1, 19), 1), "they count from the last snapshot");
        assert!(snapshot((20, 10, 10), (1, 20), 1));
        assert!(
            !snapshot((5, 0, 0), (1, 30), 1),
            "what is not applied makes no snapshot by number"
        );
    }

    #[test]
    fn a_snapshot_is_due_after_so_many_bytes() {
        assert!(!snapshot((3, 0, 0), (1, 3), 333));
        assert!(snapshot((3, 0, 0), (1, 3), 334));
        assert!(!snapshot((6, 3, 3), (1, 6), 333), "they count from the last snapshot");
        assert!(snapshot((6, 3, 3), (1, 6), 334));
    }

    #[test]
    fn a_snapshot_that_is_under_way_is_not_asked_for_again() {
        assert!(!snapshot((15, 0, 10), (1, 15), 1));
        assert!(!snapshot((12, 0, 10), (1, 12), 400), "by bytes neither");
        assert!(snapshot((20, 0, 10), (1, 20), 1), "the next one is asked for when it is due");
    }

    #[test]
    fn a_disk_that_is_short_of_room_does_not_wait_for_the_log_to_grow() {
        let decide = |applied, snapshot, asked_at| {
            let position = Position { applied, snapshot, asked_at, needs_room: true };
            let entries = (1..=applied).rev().map(|index| EntrySize { index, bytes: 1 });
            POLICY.decide(position, 1, entries).snapshot
        };
        assert!(decide(1, None, 0));
        assert!(decide(4, Some(3), 3));
        assert!(!decide(3, Some(3), 3), "another of the same removes nothing");
        assert!(!decide(4, Some(2), 3), "one is under way");
    }

    #[test]
    fn nothing_is_purged_that_no_snapshot_covers() {
        assert_eq!(purge((20, 0, 20), (0, 20), 1), None);
        assert_eq!(purge((20, 7, 20), (1, 20), 1), Some(7));
    }

    #[test]
    fn the_newest_entries_stay_by_number_and_by_bytes() {
        assert_eq!(purge((20, 20, 20), (1, 20), 1), Some(16), "four stay");
        assert_eq!(purge((20, 20, 20), (1, 20), 50), Some(18), "100 bytes stay");
        assert_eq!(purge((20, 20, 20), (1, 20), 101), Some(20), "an entry over the bound goes");
    }

    #[test]
    fn what_is_gone_is_not_purged_again() {
        assert_eq!(purge((20, 20, 20), (17, 20), 1), None, "the log is short already");
        assert_eq!(
            purge((20, 10, 20), (14, 20), 1),
            None,
            "the snapshot ends before the log begins"
        );
        assert_eq!(purge((20, 14, 20), (14, 20), 1), Some(14));
        let empty = POLICY.decide(
            Position { applied: 20, snapshot: Some(20), asked_at: 20, needs_room: false },
            21,
            [].into_iter(),
        );
        assert!(empty.is_nothing());
    }

    #[test]
    fn growth_counts_in_full_where_little_of_the_log_stays() {
        // The entry that is too large to stay comes first; the bytes before it count all the same.
        let entries =
            [(3, 200), (2, 500), (1, 300)].map(|(index, bytes)| EntrySize { index, bytes });
        let position = Position { applied: 3, snapshot: None, asked_at: 0, needs_room: false };
        assert!(POLICY.decide(position, 1, entries.into_iter()).snapshot);
    }

    #[test]
    fn frequent_snapshots_leave_a_short_log() {
        assert_eq!(Policy::new(5_000, 1).kept_entries, 1_000);
        assert_eq!(Policy::new(1_000_000, 1).kept_entries, 1_000);
        assert_eq!(Policy::new(20, 1).kept_entries, 4);
    }
}
