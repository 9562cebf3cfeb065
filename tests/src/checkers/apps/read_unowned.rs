//! **read-unowned** (A2): an instance was given a record of a partition that it had been told it
//! does not hold.
//!
//! By the order of its own lines alone: it was never assigned the partition, or had it revoked or
//! lost since. Whoever has the partition next may read the same record.

use super::{NONE, Stories, name, offset, place};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// A record without an owner.
#[derive(Debug)]
pub struct ReadUnowned;

impl Checker for ReadUnowned {
    fn name(&self) -> &'static str {
        "read-unowned"
    }

    fn check(&self, history: &History) -> Verdict {
        let stories = Stories::of(history);
        let violations = stories.strays.iter().filter_map(|(read, gone)| {
            let what = format!("{}@{}", name(place(&read.args)?), offset(read)?);
            let since = gone.map_or_else(
                || "which was never assigned to it".to_owned(),
                |gone| format!("after its line {} had taken that from it", gone.args["line"]),
            );
            let account =
                format!("{} read {what} in line {}, {since}", read.process, read.args["line"]);
            Some(Violation::new(account, gone.iter().map(|gone| gone.id).chain([read.id])))
        });
        Verdict::of(stories.reads().count(), violations.collect(), NONE)
    }

    fn is_of_all_lives(&self) -> bool {
        true
    }
}
