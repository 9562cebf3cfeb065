//! Writes the history of a run down: operations, and breaches of the protocol's form.
//!
//! A breach is recorded as an operation of the process `door` with `f` = `door`, so that a history
//! file carries it and [`crate::checkers::protocol_form`] can judge it later. This module knows
//! nothing of why an operation was made.

use serde_json::{Value, json};

use crate::dialects::Answer;
use crate::dialects::json::definite;
use crate::history::{Micros, Op, Outcome};

/// No run needs more accounts of one kind than this.
const MOST_OF_A_KIND: usize = 20;

/// The operations so far.
#[derive(Debug, Default)]
pub struct Recorder {
    ops: Vec<Op>,
    breaches: usize,
}

impl Recorder {
    /// All operations, in the order of their invocation.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// One of them.
    pub fn op(&self, id: u64) -> Option<&Op> {
        self.ops.get(usize::try_from(id).ok()?)
    }

    /// How many breaches of form there were.
    pub fn breaches(&self) -> usize {
        self.breaches
    }

    /// Hands the operations over.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    /// A request is sent. Until it is completed, nobody knows whether it takes effect.
    pub fn invoke(
        &mut self,
        now_us: Micros,
        process: &str,
        node: &str,
        f: &str,
        args: Value,
    ) -> u64 {
        let id = self.ops.len() as u64;
        self.ops.push(Op {
            id,
            process: process.to_owned(),
            node: node.to_owned(),
            f: f.to_owned(),
            args,
            invoke_us: now_us,
            complete_us: None,
            outcome: Outcome::Info,
            result: None,
            code: None,
            error: None,
        });
        id
    }

    /// It went to that node, if to any, with these fields.
    pub fn sent(&mut self, id: u64, node: Option<&str>, args: Value) {
        let Some(op) = usize::try_from(id).ok().and_then(|id| self.ops.get_mut(id)) else { return };
        op.args = args;
        if let Some(node) = node {
            node.clone_into(&mut op.node);
        }
    }

    /// It was answered.
    pub fn answered(&mut self, now_us: Micros, id: u64, answer: Answer) {
        let Some(op) = usize::try_from(id).ok().and_then(|id| self.ops.get_mut(id)) else { return };
        op.complete_us = Some(now_us);
        match answer {
            Answer::Ok(result) => {
                op.outcome = Outcome::Ok;
                op.result = Some(result);
            }
            Answer::Error { code, error } => {
                op.outcome = if definite(code) { Outcome::Fail } else { Outcome::Info };
                (op.code, op.error) = (Some(code), error);
            }
        }
    }

    /// It was given up.
    pub fn given_up(&mut self, now_us: Micros, id: u64) {
        if let Some(op) = usize::try_from(id).ok().and_then(|id| self.ops.get_mut(id)) {
            op.complete_us = Some(now_us);
        }
    }

    /// The protocol was broken: a kind in kebab-case, and an account for people.
    pub fn breach(&mut self, now_us: Micros, node: &str, kind: &str, account: &str) {
        self.breaches += 1;
        let same =
            self.ops.iter().rev().filter(|op| op.f == "door" && op.args["kind"] == kind).count();
        if same >= MOST_OF_A_KIND {
            return;
        }
        let id =
            self.invoke(now_us, "door", node, "door", json!({ "kind": kind, "account": account }));
        if let Some(op) = self.ops.get_mut(usize::try_from(id).unwrap_or(usize::MAX)) {
            (op.complete_us, op.outcome) = (Some(now_us), Outcome::Fail);
        }
    }
}
