//! The protocol's form, as the arena saw it while it recorded: lines that are no messages, replies
//! that come late, twice, out of order or to nobody, nodes that die or do not end.
//!
//! Such breaches are operations of the process `door` in a history. This checker makes them count.

use crate::checkers::wire::is_wire;
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::History;

/// Judges breaches of form.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProtocolForm;

impl Checker for ProtocolForm {
    fn name(&self) -> &'static str {
        "door"
    }

    fn check(&self, history: &History) -> Verdict {
        let breaches = history.ops.iter().filter(|op| op.f == "door");
        let violations: Vec<Violation> = breaches
            .map(|op| {
                let say = |key: &str| op.args[key].as_str().unwrap_or("?").to_owned();
                let (at, kind, account) = (op.invoke_us as f64 / 1e6, say("kind"), say("account"));
                Violation {
                    account: format!("{kind} by {} at {at:.3} s: {account}", op.node),
                    ops: vec![op.id],
                }
            })
            .collect();
        if is_wire(history) && violations.is_empty() {
            Verdict::NotJudged("it is about lines of the JSON protocol".to_owned())
        } else if violations.is_empty() {
            Verdict::Valid { judged: history.ops.len() }
        } else {
            Verdict::Violated(violations)
        }
    }
}
