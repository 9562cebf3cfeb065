//! Properties that a run must have, one a file. This module owns what a checker is and the list of all.

use crate::history::History;

/// What a checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The property holds in this history; with how many facts it was judged on.
    Valid {
        /// How many operations (or pairs, keys, intervals) were judged.
        judged: usize,
    },
    /// It does not hold. The shortest account first.
    Violated(Vec<Violation>),
    /// It could not be judged: why (another workload, data that the history does not have, …).
    NotJudged(String),
}

/// One breach of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What went wrong, in a sentence that names keys, values, members and times.
    pub account: String,
    /// The operations that show it, by their `id`.
    pub ops: Vec<u64>,
}

/// A property that a history can be checked for.
pub trait Checker: Sync {
    /// A short name in kebab-case: `lost-write`, `double-ownership`.
    fn name(&self) -> &'static str;
    /// Judges a history.
    fn check(&self, history: &History) -> Verdict;
}
