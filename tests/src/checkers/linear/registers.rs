//! **linearizable-register**: each key of `lin-kv` behaves like one register.
//!
//! Source: Maelstrom's `lin-kv` workload, which Knossos judges. Refusals of `cas` and `read` are
//! answers about the state (20: there is no value; 22: there is one, and it is not `from`),
//! whatever outcome the recorder gave them; a refused `cas` that a checker ignores can hide a stale
//! read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Effect, Operation, Subject, judge};
use crate::checkers::canonical::canonical;
use crate::checkers::{Checker, Verdict};
use crate::history::{History, Op, Outcome};

/// The registers of `lin-kv`.
#[derive(Debug)]
pub struct LinearizableRegisters;

/// The state of a key without a value.
const ABSENT: u32 = 0;

impl Checker for LinearizableRegisters {
    fn name(&self) -> &'static str {
        "linearizable-register"
    }

    fn check(&self, history: &History) -> Verdict {
        let mut keys: BTreeMap<String, Key<'_>> = BTreeMap::new();
        for op in &history.ops {
            if let ("read" | "write" | "cas", Some(key)) = (op.f.as_str(), op.args.get("key")) {
                keys.entry(canonical(key)).or_default().operation(op);
            }
        }
        let subjects = keys.into_iter().map(|(name, key)| Subject {
            name: format!("key {name}"),
            initial: ABSENT,
            operations: key.operations,
            ops: key.ops,
            texts: [vec!["no value".to_owned()], key.texts].concat(),
        });
        judge(subjects, "no operations on registers")
    }
}

#[derive(Default)]
struct Key<'h> {
    operations: Vec<Operation>,
    ops: Vec<&'h Op>,
    states: BTreeMap<String, u32>,
    /// The values by their states, from state 1 on.
    texts: Vec<String>,
}

impl<'h> Key<'h> {
    fn state(&mut self, value: &Value) -> u32 {
        let text = canonical(value);
        let next = u32::try_from(self.texts.len() + 1).expect("fewer than 2^32 values");
        let state = *self.states.entry(text.clone()).or_insert(next);
        if state == next {
            self.texts.push(text);
        }
        state
    }

    fn operation(&mut self, op: &'h Op) {
        let Some(effect) = self.effect(op) else { return };
        let complete = op.complete_us.filter(|_| op.outcome != Outcome::Info);
        self.operations.push(Operation { invoke: op.invoke_us, complete, effect });
        self.ops.push(op);
    }

    /// What an operation did or showed; `None` where it tells nothing.
    fn effect(&mut self, op: &Op) -> Option<Effect> {
        let mut state = |field: &str| op.args.get(field).map(|value| self.state(value));
        if op.outcome == Outcome::Fail {
            // A refusal that is about the state shows the state.
            return match (op.f.as_str(), op.code) {
                ("read" | "cas", Some(20)) => Some(Effect::Saw(ABSENT)),
                ("cas", Some(22)) => Some(Effect::SawNeither(ABSENT, state("from")?)),
                _ => None,
            };
        }
        match op.f.as_str() {
            "write" => Some(Effect::Set(state("value")?)),
            "cas" => {
                let (from, to) = (state("from")?, state("to")?);
                let create =
                    op.args.get("create_if_not_exists").and_then(Value::as_bool).unwrap_or(false);
                Some(if create {
                    Effect::SwapEither(ABSENT, from, to)
                } else {
                    Effect::Swap(from, to)
                })
            }
            _ => Some(Effect::Saw(self.state(op.result.as_ref()?.get("value")?))),
        }
    }
}
