//! What a sequence of records amounts to.
//!
//! A folder's first segment may begin anywhere in the node's life: what came before is not needed
//! any more. So a replay takes the first entry that it sees as it is, and only at the end looks
//! whether the entries follow on what was purged.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use super::format::{LogId, Payload, Record, Vote};

/// The values that are not entries. Each segment begins with them, so that older segments can go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scalars {
    /// The last vote.
    pub(crate) vote: Option<Vote>,
    /// How far the log is known to be raft-committed.
    pub(crate) committed: Option<LogId>,
    /// The last entry that was dropped from the front.
    pub(crate) purged: Option<LogId>,
    /// The last incarnation that wrote here.
    pub(crate) incarnation: Option<u64>,
    /// The last incarnation of each peer that was heard.
    pub(crate) heard: BTreeMap<u64, u64>,
}

impl Scalars {
    /// Takes note of a record that is not about entries alone.
    pub(crate) fn take(&mut self, record: &Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(*vote),
            // A checkpoint's may come behind that of a later entry.
            Record::Committed(id) => self.committed = self.committed.max(Some(*id)),
            Record::Purged(id) => self.purged = self.purged.max(Some(*id)),
            Record::Incarnation(incarnation) => self.incarnation = Some(*incarnation),
            Record::Heard { node, incarnation } => {
                self.heard.insert(*node, *incarnation);
            }
            Record::Entry(..) | Record::TruncateFrom(_) => {}
        }
    }

    /// The records that say all of it.
    pub(crate) fn records(&self) -> Vec<Record> {
        let heard =
            self.heard.iter().map(|(&node, &incarnation)| Record::Heard { node, incarnation });
        let alone = [
            self.incarnation.map(Record::Incarnation),
            self.vote.map(Record::Vote),
            self.purged.map(Record::Purged),
            self.committed.map(Record::Committed),
        ];
        alone.into_iter().flatten().chain(heard).collect()
    }
}

/// What was remembered, as far as records were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    /// What is not entries.
    pub(crate) scalars: Scalars,
    /// Entries without gaps.
    pub(crate) entries: VecDeque<(LogId, Payload)>,
}

/// Records that do not follow on each other. A writer never writes such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Gap {
    /// Between two entries.
    #[error("entry {found} follows entry {last}")]
    Entries {
        /// The index of the last entry before it.
        last: u64,
        /// The index of the entry that does not follow.
        found: u64,
    },
    /// Between what was purged and the first entry.
    #[error("the log begins with entry {first}, and entries up to {purged:?} were dropped")]
    Front {
        /// The index of the first entry that is there.
        first: u64,
        /// The index of the last that was purged.
        purged: Option<u64>,
    },
}

impl Replay {
    /// Takes the next record.
    ///
    /// # Errors
    /// Where an entry does not follow on the one before.
    pub(crate) fn take(&mut self, record: Record) -> Result<(), Gap> {
        self.scalars.take(&record);
        match record {
            Record::Entry(id, payload) => {
                if let Some((last, _)) = self.entries.back()
                    && id.index != last.index + 1
                {
                    return Err(Gap::Entries { last: last.index, found: id.index });
                }
                self.entries.push_back((id, payload));
            }
            Record::TruncateFrom(index) => {
                while self.entries.back().is_some_and(|(id, _)| id.index >= index) {
                    self.entries.pop_back();
                }
            }
            Record::Purged(upto) => {
                while self.entries.front().is_some_and(|(id, _)| id.index <= upto.index) {
                    self.entries.pop_front();
                }
            }
            Record::Vote(_)
            | Record::Committed(_)
            | Record::Incarnation(_)
            | Record::Heard { .. } => {}
        }
        Ok(())
    }

    /// All records have been taken.
    ///
    /// # Errors
    /// Where entries are missing between what was purged and the first one.
    pub(crate) fn finish(mut self) -> Result<Self, Gap> {
        let purged = self.scalars.purged.map(|id| id.index);
        // A segment may repeat entries that were purged later.
        while self.entries.front().is_some_and(|(id, _)| Some(id.index) <= purged) {
            self.entries.pop_front();
        }
        match self.entries.front() {
            Some((first, _)) if first.index != purged.map_or(0, |index| index + 1) => {
                Err(Gap::Front { first: first.index, purged })
            }
            _ => Ok(self),
        }
    }

    /// Whether the log has this very entry, or had it and was purged.
    pub(crate) fn has(&self, id: LogId) -> bool {
        let purged = self.scalars.purged.is_some_and(|purged| id.index <= purged.index);
        let here = self.entries.front().and_then(|(first, _)| {
            let place = usize::try_from(id.index.checked_sub(first.index)?).ok()?;
            self.entries.get(place).filter(|(found, _)| *found == id)
        });
        purged || here.is_some()
    }

    /// The last entry, or the last that was purged.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.entries.back().map(|(id, _)| *id).or(self.scalars.purged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId { term, index }
    }

    fn entry(term: u64, index: u64) -> Record {
        Record::Entry(id(term, index), Payload::Blank)
    }

    fn replay(records: impl IntoIterator<Item = Record>) -> Result<Replay, Gap> {
        let mut replay = Replay::default();
        records.into_iter().try_for_each(|record| replay.take(record))?;
        replay.finish()
    }

    fn indexes(replay: &Replay) -> Vec<(u64, u64)> {
        replay.entries.iter().map(|(id, _)| (id.term, id.index)).collect()
    }

    #[test]
    fn another_leaders_entries_take_the_place_of_truncated_ones() {
        let records = [entry(1, 0), entry(1, 1), entry(1, 2), Record::TruncateFrom(1), entry(2, 1)];
        let replay = replay(records).expect("they follow");
        assert_eq!(indexes(&replay), [(1, 0), (2, 1)]);
    }

    #[test]
    fn a_snapshot_of_a_leader_may_jump_over_entries() {
        let records = [entry(1, 0), entry(1, 1), Record::Purged(id(2, 9)), entry(2, 10)];
        let replay = replay(records).expect("they follow");
        assert_eq!((indexes(&replay), replay.last()), (vec![(2, 10)], Some(id(2, 10))));
    }

    #[test]
    fn the_first_segment_may_begin_in_the_middle_of_the_log() {
        // When it was begun nothing was purged yet. The purge that let its predecessors go came
        // later.
        let begun = [entry(1, 5), entry(1, 6), Record::Purged(id(1, 4))];
        assert_eq!(indexes(&replay(begun).expect("they follow")), [(1, 5), (1, 6)]);
        let lost = [entry(1, 5), Record::Purged(id(1, 3))];
        assert_eq!(replay(lost), Err(Gap::Front { first: 5, purged: Some(3) }));
        assert_eq!(replay([entry(1, 1)]), Err(Gap::Front { first: 1, purged: None }));
    }

    #[test]
    fn a_gap_between_entries_is_an_error() {
        assert_eq!(replay([entry(1, 0), entry(1, 2)]), Err(Gap::Entries { last: 0, found: 2 }));
    }

    #[test]
    fn scalars_are_said_again_at_the_beginning_of_a_segment() {
        let records = [
            Record::Vote(Vote { term: 4, node: 1, committed: false }),
            Record::Committed(id(4, 3)),
            Record::Purged(id(3, 2)),
            Record::Incarnation(8),
            Record::Heard { node: 2, incarnation: 5 },
            Record::Heard { node: 2, incarnation: 6 },
        ];
        let mut scalars = Scalars::default();
        records.iter().for_each(|record| scalars.take(record));
        let mut again = Scalars::default();
        scalars.records().iter().for_each(|record| again.take(record));
        assert_eq!(again, scalars);
        assert_eq!(scalars.heard[&2], 6);
    }
}
