//! **linearizable-offset**: each committed offset behaves like one register.
//!
//! Ours, by the example of `lin-kv`: `protocol.md` promises linearizable reads. A group's offset of
//! a partition begins at 0, the last commit wins, also where it moves back; a deletion sets it to
//! 0. The offset of a key of Maelstrom's begins absent and only rises. A request that names several
//! keys is judged key by key, which is exact, because linearizability is a property of each object.

use std::collections::BTreeSet;

use super::{Effect, Operation, Subject, judge};
use crate::checkers::clock::unknown;
use crate::checkers::offsets::{Commits, KeyCommits, KeyRegister, Register};
use crate::checkers::{Checker, Need, Verdict};
use crate::history::{History, Op};

/// The committed offsets of groups and of Maelstrom's keys.
#[derive(Debug)]
pub struct LinearizableOffsets;

impl Checker for LinearizableOffsets {
    fn name(&self) -> &'static str {
        "linearizable-offset"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::EveryClient, Need::NoTransactions]
    }

    fn check(&self, history: &History) -> Verdict {
        let (groups, keys) = (Commits::of(history), KeyCommits::of(history));
        let groups =
            groups.registers.iter().map(|(slot, register)| of_group(slot.to_string(), register));
        let keys = keys.keys.iter().map(|(key, register)| of_key(format!("key {key}"), register));
        judge(groups.chain(keys), "no committed offsets were written or read")
    }
}

/// Numbers values in their order, so that a rising register compares states instead of values.
struct Order(Vec<i64>);

impl Order {
    fn of(values: impl Iterator<Item = i64>) -> Self {
        Self(values.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn state(&self, value: i64) -> u32 {
        let place = self.0.binary_search(&value).expect("all values were numbered");
        u32::try_from(place).expect("fewer than 2^32 values")
    }
}

fn operation(op: &Op, effect: Effect) -> Operation {
    Operation { invoke: op.invoke_us, complete: op.complete_us.filter(|_| !unknown(op)), effect }
}

fn of_group<'h>(name: String, register: &Register<'h>) -> Subject<'h> {
    // A read that may tell an old value has no place in the order.
    let reads = || register.reads.iter().filter(|seen| seen.since >= seen.op.invoke_us);
    let writes = register.writes.iter().map(|write| write.value);
    let order = Order::of(writes.chain(reads().map(|seen| seen.value)).chain([0]));
    let writes =
        register.writes.iter().map(|write| (write.op, Effect::Set(order.state(write.value))));
    let reads = reads().map(|seen| (seen.op, Effect::Saw(order.state(seen.value))));
    let pairs: Vec<_> = writes.chain(reads).collect();
    Subject {
        name,
        initial: order.state(0),
        operations: pairs.iter().map(|(op, effect)| operation(op, *effect)).collect(),
        ops: pairs.iter().map(|(op, _)| *op).collect(),
        texts: order.0.iter().map(i64::to_string).collect(),
    }
}

/// Below every offset: a key that was never committed.
const ABSENT: i64 = i64::MIN;

fn of_key<'h>(name: String, register: &KeyRegister<'h>) -> Subject<'h> {
    let told = |told: &Option<i64>| told.unwrap_or(ABSENT);
    let values = register.writes.iter().map(|write| write.value);
    let order =
        Order::of(values.chain(register.reads.iter().map(|(_, seen)| told(seen))).chain([ABSENT]));
    let writes =
        register.writes.iter().map(|write| (write.op, Effect::Raise(order.state(write.value))));
    let reads = register.reads.iter().map(|(op, seen)| (*op, Effect::Saw(order.state(told(seen)))));
    let pairs: Vec<_> = writes.chain(reads).collect();
    let text =
        |value: &i64| if *value == ABSENT { "no offset".to_owned() } else { value.to_string() };
    Subject {
        name,
        initial: order.state(ABSENT),
        operations: pairs.iter().map(|(op, effect)| operation(op, *effect)).collect(),
        ops: pairs.iter().map(|(op, _)| *op).collect(),
        texts: order.0.iter().map(text).collect(),
    }
}
