//! Properties that a run must have, one a file.
//!
//! This module owns what a checker is and the list of all of them. The checkers are grouped by what
//! they look at: [`logs`] (records and their offsets), [`linear`] (registers), [`groups`] (members,
//! generations, ownership, committed offsets), [`producers`] (the sequences of idempotent ones),
//! [`apps`] (what applications say themselves), and [`state`] (what only a simulator can see). A
//! checker reads a finished history and knows nothing of workloads or the nodes' code. Of stages it
//! knows whether a history is of Kafka's wire ([`wire`]), where some answers prove less.
//!
//! Two rules hold for every one of them. It is **sound**: what it reports cannot have happened in
//! any lawful run, whatever became of requests without an answer; where the history leaves room for
//! doubt, the doubt is in the node's favour. And it **says what it did not judge**: a history
//! without the facts that a property needs gives [`Verdict::NotJudged`] with the reason, never a
//! silent [`Verdict::Valid`].
//!
//! `docs/checkers.md` has the table of all checkers with their sources and limits.

pub mod apps;
pub mod canonical;
pub mod clock;
pub mod groups;
pub mod judge;
pub mod linear;
pub mod lives;
pub mod logs;
pub mod needs;
pub mod node_fault;
pub mod offsets;
pub mod producers;
pub mod protocol_form;
pub mod state;
pub mod wire;

pub use judge::{Judgement, judge};
pub use needs::Need;

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

impl Verdict {
    /// How many violations a verdict keeps: a broken log breaks thousands of times in the same way.
    pub const KEPT: usize = 50;

    /// The verdict on `judged` facts: [`Verdict::Violated`] if there are violations,
    /// [`Verdict::NotJudged`] with the given reason if there was nothing to judge, else
    /// [`Verdict::Valid`].
    #[must_use]
    pub fn of(judged: usize, mut violations: Vec<Violation>, nothing: &str) -> Self {
        if !violations.is_empty() {
            violations.sort_by(|a, b| a.shortness().cmp(&b.shortness()));
            violations.dedup();
            violations.truncate(Self::KEPT);
            Self::Violated(violations)
        } else if judged == 0 {
            Self::NotJudged(nothing.to_owned())
        } else {
            Self::Valid { judged }
        }
    }

    /// The same verdict, or [`Verdict::NotJudged`] with a better reason if there was nothing of
    /// that kind at all.
    fn unless_empty(self, empty: bool, reason: &str) -> Self {
        match self {
            Self::NotJudged(_) if empty => Self::NotJudged(reason.to_owned()),
            verdict => verdict,
        }
    }

    /// Whether the property was found broken.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        matches!(self, Self::Violated(_))
    }

    /// Whether the property was found to hold.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }
}

/// One breach of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What went wrong, in a sentence that names keys, values, members and times.
    pub account: String,
    /// The operations that show it, by their `id`.
    pub ops: Vec<u64>,
}

impl Violation {
    /// A violation shown by `ops`, each named once and in the order of invocation.
    #[must_use]
    pub fn new(account: String, ops: impl IntoIterator<Item = u64>) -> Self {
        let mut ops: Vec<u64> = ops.into_iter().collect();
        ops.sort_unstable();
        ops.dedup();
        Self { account, ops }
    }

    /// Orders violations so that the easiest to read comes first, and equally easy ones by their
    /// time.
    fn shortness(&self) -> (usize, Option<&u64>, &str) {
        (self.ops.len(), self.ops.first(), &self.account)
    }
}

/// A property that a history can be checked for.
pub trait Checker: Sync {
    /// A short name in kebab-case: `lost-write`, `double-ownership`.
    fn name(&self) -> &'static str;
    /// Judges a history in which every life of a topic and of a group has its own name
    /// ([`lives::split`]).
    fn check(&self, history: &History) -> Verdict;
    /// What it needs of a history beyond its operations. It is not asked about one that lacks it.
    fn needs(&self) -> &'static [Need] {
        &[]
    }
    /// Whether it judges the history as it is instead: which answers came counts, not what they
    /// say.
    fn is_of_all_lives(&self) -> bool {
        false
    }
}

/// Every checker of histories, in the order in which verdicts are told: answers, logs, producers,
/// registers, groups, applications.
#[must_use]
pub fn all() -> Vec<&'static dyn Checker> {
    let mut all: Vec<&'static dyn Checker> = vec![&node_fault::NodeFault];
    all.extend(logs::all());
    all.extend(producers::all());
    all.extend(linear::all());
    all.extend(groups::all());
    all.extend(apps::all());
    all
}

/// Judges a history by every checker.
#[must_use]
pub fn check_all(history: &History) -> Vec<(&'static str, Verdict)> {
    let told = wire::soften(history);
    let lives = lives::split(&told);
    all()
        .into_iter()
        .map(|checker| (checker.name(), check_split(checker, history, &lives)))
        .collect()
}

/// Judges a history by one checker.
#[must_use]
pub fn check_one(checker: &dyn Checker, history: &History) -> Verdict {
    check_split(checker, history, &lives::split(&wire::soften(history)))
}

fn check_split(checker: &dyn Checker, history: &History, lives: &History) -> Verdict {
    if let Some(why) = checker.needs().iter().find_map(|need| need.lacking(history)) {
        return Verdict::NotJudged(why.to_owned());
    }
    checker.check(if checker.is_of_all_lives() { history } else { lives })
}
