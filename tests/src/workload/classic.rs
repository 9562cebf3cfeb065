//! Not there yet.
use serde_json::{Value, json};

use crate::history::Op;
use crate::rng::Rng;
use crate::workload::{Cx, Plan, Request, Step, Workload};

/// The workload.
#[derive(Debug)]
pub struct Classic;

impl Classic {
    /// New.
    pub fn new(_plan: &Plan, _rng: &mut Rng) -> Self {
        Self
    }
}

impl Workload for Classic {
    fn config(&self) -> Value {
        json!({})
    }
    fn step(&mut self, _slot: usize, _cx: &mut Cx<'_>) -> Step {
        Step::Await
    }
    fn completed(&mut self, _slot: usize, _op: &Op, _cx: &mut Cx<'_>) {}
    fn renewed(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}
    fn drain(&mut self, _readers: &[usize]) {}
    fn drained(&self) -> bool {
        true
    }
    fn probe(&self) -> Request {
        Request::new("list_topics", json!({}))
    }
}
