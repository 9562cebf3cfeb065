//! **commit-reassign-gap** (G18): a new owner of a partition began to read below what was committed
//! when it took over.
//!
//! Holds for thin groups, where the coordinator places the reader: the first records that a
//! consumer gets of a partition newly assigned to it begin at an offset that the group's committed
//! offset can have had by then. In a classic group the client places itself by `fetch_offset`,
//! whose answers `offset-goes-back` and `spurious-offset` judge. A reader that begins too high is
//! `poll-skip`.

use crate::checkers::clock::span;
use crate::checkers::logs::Logs;
use crate::checkers::logs::positions::thin_reads;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// Work done again for no reason.
#[derive(Debug)]
pub struct CommitReassignGap;

impl Checker for CommitReassignGap {
    fn name(&self) -> &'static str {
        "commit-reassign-gap"
    }

    fn check(&self, history: &History) -> Verdict {
        let logs = Logs::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for read in thin_reads(history, &logs).into_iter().filter(|read| !read.seated) {
            let (Some(first), None) = (read.first, read.expected) else { continue };
            judged += 1;
            let Some((lowest, writers)) = read.committed.values.iter().next() else { continue };
            if first < *lowest {
                violations.push(Violation::new(
                    format!(
                        "group {}: consumer {} began to read {} at {first} in {}, though {lowest} was committed",
                        read.group,
                        read.consumer,
                        read.log,
                        span(read.op)
                    ),
                    writers.iter().copied().chain([read.op.id]),
                ));
            }
        }
        Verdict::of(
            judged,
            violations,
            "no thin consumer read records of a newly assigned partition",
        )
    }
}
