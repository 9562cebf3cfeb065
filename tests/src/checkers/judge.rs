//! What `arena check` does: every checker on one history, and one verdict of all.

use std::fmt;

use super::{Verdict, check_all};
use crate::history::History;

/// The verdicts of all checkers on one history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Checker and verdict, in the order of [`super::all`].
    pub verdicts: Vec<(&'static str, Verdict)>,
}

/// Judges a history by every checker.
#[must_use]
pub fn judge(history: &History) -> Judgement {
    Judgement { verdicts: check_all(history) }
}

impl Judgement {
    /// The checkers that found their property broken, with the number of violations kept.
    pub fn anomalies(&self) -> impl Iterator<Item = (&'static str, &[super::Violation])> {
        self.verdicts.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::Violated(violations) => Some((*name, violations.as_slice())),
            Verdict::Valid { .. } | Verdict::NotJudged(_) => None,
        })
    }

    /// The checkers that could not judge, each with its reason.
    pub fn not_judged(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.verdicts.iter().filter_map(|(name, verdict)| match verdict {
            Verdict::NotJudged(reason) => Some((*name, reason.as_str())),
            Verdict::Valid { .. } | Verdict::Violated(_) => None,
        })
    }

    /// How many checkers found their property to hold.
    #[must_use]
    pub fn valid(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| verdict.is_valid()).count()
    }

    /// 1 if an anomaly was found, 2 if no checker could judge anything, else 0: the exit status of
    /// `arena check`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.anomalies().next().is_some() {
            1
        } else if self.valid() == 0 {
            2
        } else {
            0
        }
    }

    /// The verdict in one line: the last line on standard output.
    #[must_use]
    pub fn summary(&self) -> String {
        let anomalies: Vec<&str> = self.anomalies().map(|(name, _)| name).collect();
        let (valid, unjudged) = (self.valid(), self.not_judged().count());
        match self.exit_code() {
            1 => {
                format!(
                    "anomaly: {} ({valid} properties hold, {unjudged} not judged)",
                    anomalies.join(", ")
                )
            }
            2 => "not judged: no checker found anything to judge in this history".to_owned(),
            _ => format!("valid: {valid} properties hold, {unjudged} not judged"),
        }
    }
}

/// All verdicts for people, anomalies first, the summary last.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More accounts than this of one anomaly tell nothing new.
        const SHOWN: usize = 3;
        for (name, violations) in self.anomalies() {
            writeln!(f, "ANOMALY     {name} ({} found)", violations.len())?;
            for violation in violations.iter().take(SHOWN) {
                let ops: Vec<String> = violation.ops.iter().map(u64::to_string).collect();
                writeln!(f, "            {} [operations {}]", violation.account, ops.join(", "))?;
            }
        }
        for (name, verdict) in &self.verdicts {
            if let Verdict::Valid { judged } = verdict {
                writeln!(f, "valid       {name} ({judged} judged)")?;
            }
        }
        for (name, reason) in self.not_judged() {
            writeln!(f, "not judged  {name}: {reason}")?;
        }
        write!(f, "{}", self.summary())
    }
}
