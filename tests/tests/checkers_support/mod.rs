//! Short words for writing histories by hand, shared by the tests of the checkers.
#![allow(dead_code, reason = "each test crate uses its own part")]

use arena::checkers::{Checker, Verdict, all, check_one};
use arena::history::{Fault, Header, History, Op, Outcome};
use serde_json::{Value, json};

/// Builds a history line by line. Times are in milliseconds.
pub struct HistoryBuilder {
    history: History,
}

/// A history of the given workload, without faults and final phase.
pub fn history_of(workload: &str) -> HistoryBuilder {
    let header = Header {
        arena: 1,
        workload: workload.to_owned(),
        stage: "sim".to_owned(),
        nodes: vec!["n1".into(), "n2".into(), "n3".into()],
        seed: 7,
        heal_us: None,
        config: json!({}),
    };
    HistoryBuilder { history: History { header, ops: vec![], faults: vec![] } }
}

impl HistoryBuilder {
    /// Sets the header's `config`.
    pub fn config(mut self, config: Value) -> Self {
        self.history.header.config = config;
        self
    }

    /// Sets the stage that the history is of.
    pub fn stage(mut self, stage: &str) -> Self {
        self.history.header.stage = stage.to_owned();
        self
    }

    /// The faults end, and the final phase begins.
    pub fn heal(mut self, at: u64) -> Self {
        self.history.header.heal_us = Some(at * 1_000);
        self
    }

    /// A fault.
    pub fn fault(mut self, fault: &str, from: u64, to: Option<u64>) -> Self {
        self.history.faults.push(Fault {
            fault: fault.to_owned(),
            detail: String::new(),
            from_us: from * 1_000,
            to_us: to.map(|to| to * 1_000),
        });
        self
    }

    /// An operation that was answered.
    pub fn ok(
        self,
        process: &str,
        f: &str,
        args: Value,
        (from, to): (u64, u64),
        result: Value,
    ) -> Self {
        self.op(process, f, args, from, Some(to), Outcome::Ok, |op| op.result = Some(result))
    }

    /// An operation that was refused.
    pub fn fail(
        self,
        process: &str,
        f: &str,
        args: Value,
        (from, to): (u64, u64),
        code: u32,
        error: &str,
    ) -> Self {
        self.op(process, f, args, from, Some(to), Outcome::Fail, |op| {
            op.code = Some(code);
            op.error = Some(error.to_owned());
        })
    }

    /// An operation that was given up without an answer.
    pub fn info(self, process: &str, f: &str, args: Value, (from, to): (u64, u64)) -> Self {
        self.op(process, f, args, from, Some(to), Outcome::Info, |_| {})
    }

    #[allow(clippy::too_many_arguments)]
    fn op(
        mut self,
        process: &str,
        f: &str,
        args: Value,
        from: u64,
        to: Option<u64>,
        outcome: Outcome,
        with: impl FnOnce(&mut Op),
    ) -> Self {
        let mut op = Op {
            id: self.history.ops.len() as u64,
            process: process.to_owned(),
            node: "n1".to_owned(),
            f: f.to_owned(),
            args,
            invoke_us: from * 1_000,
            complete_us: to.map(|to| to * 1_000),
            outcome,
            result: None,
            code: None,
            error: None,
        };
        with(&mut op);
        self.history.ops.push(op);
        self
    }

    /// `send` to a key of Maelstrom's, acknowledged at an offset.
    pub fn sent(
        self,
        process: &str,
        key: &str,
        msg: impl Into<Value>,
        span: (u64, u64),
        offset: i64,
    ) -> Self {
        self.ok(
            process,
            "send",
            json!({ "key": key, "msg": msg.into() }),
            span,
            json!({ "offset": offset }),
        )
    }

    /// `poll` of one key of Maelstrom's.
    pub fn polled(
        self,
        process: &str,
        key: &str,
        from: i64,
        span: (u64, u64),
        records: &[(i64, i64)],
    ) -> Self {
        let msgs = if records.is_empty() { json!({}) } else { json!({ key: records }) };
        self.ok(process, "poll", json!({ "offsets": { key: from } }), span, json!({ "msgs": msgs }))
    }

    /// A thin consumer's request to group `g`, answered.
    pub fn thin(
        self,
        consumer: &str,
        f: &str,
        span: (u64, u64),
        generation: i64,
        partitions: &[i64],
    ) -> Self {
        self.thin_with(consumer, f, span, generation, partitions, &[])
    }

    /// The same, with records of topic `t`: `(partition, offset)`, the message being both.
    pub fn thin_with(
        self,
        consumer: &str,
        f: &str,
        span: (u64, u64),
        generation: i64,
        partitions: &[i64],
        records: &[(i64, i64)],
    ) -> Self {
        let assignment = if partitions.is_empty() { json!({}) } else { json!({ "t": partitions }) };
        let state = if partitions.is_empty() { "PreparingRebalance" } else { "Stable" };
        self.thin_told(consumer, f, span, generation, state, assignment, records)
    }

    /// The same, with the state and the assignment as the reply has them.
    #[allow(clippy::too_many_arguments)]
    pub fn thin_told(
        self,
        consumer: &str,
        f: &str,
        span: (u64, u64),
        generation: i64,
        state: &str,
        assignment: Value,
        records: &[(i64, i64)],
    ) -> Self {
        let mut args = json!({ "group": "g", "consumer": consumer });
        if f == "subscribe" {
            args = subscribe(consumer, "range");
        }
        let mut reply =
            json!({ "generation": generation, "state": state, "assignment": assignment });
        if f == "poll" {
            let record = |&(partition, offset): &(i64, i64)| {
                json!({ "topic": "t", "partition": partition, "offset": offset, "key": null,
                        "message": format!("{partition}:{offset}"), "timestamp": 0 })
            };
            reply["records"] = records.iter().map(record).collect();
        }
        self.ok(consumer, f, args, span, reply)
    }

    /// A record of topic `t`, as [`HistoryBuilder::thin_with`] reads it.
    pub fn record(self, partition: i64, offset: i64, span: (u64, u64)) -> Self {
        let args = json!({ "topic": "t", "partition": partition, "message": format!("{partition}:{offset}") });
        self.ok("p", "send", args, span, json!({ "partition": partition, "offset": offset }))
    }

    /// A thin consumer's commit to group `g`, accepted.
    pub fn commit(
        self,
        consumer: &str,
        partition: i64,
        offset: i64,
        generation: Option<i64>,
        span: (u64, u64),
    ) -> Self {
        self.ok(
            consumer,
            "commit",
            commit(consumer, partition, offset, generation),
            span,
            json!({}),
        )
    }

    /// `fetch_offset` of group `g`.
    pub fn fetched(self, process: &str, partition: i64, span: (u64, u64), offset: i64) -> Self {
        let args = json!({ "group": "g", "topic": "t", "partition": partition });
        self.ok(process, "fetch_offset", args, span, json!({ "offset": offset }))
    }

    /// `describe_group` of group `g`, whose members subscribe to `t`.
    pub fn described(
        self,
        span: (u64, u64),
        generation: i64,
        state: &str,
        members: &[(&str, &[i64])],
    ) -> Self {
        let members: Vec<Value> = members
            .iter()
            .map(|(id, partitions)| {
                let assignment = if partitions.is_empty() { json!({}) } else { json!({ "t": partitions }) };
                json!({ "member_id": id, "instance_id": null, "topics": ["t"], "assignment": assignment })
            })
            .collect();
        let reply = json!({ "group": "g", "kind": "thin", "state": state, "generation": generation,
                            "members": members, "offsets": [] });
        self.ok("admin", "describe_group", json!({ "group": "g" }), span, reply)
    }

    /// A classic member's join, sync and one heartbeat in group `g`.
    pub fn classic(
        self,
        member: &str,
        span: (u64, u64),
        generation: i64,
        partitions: &[i64],
    ) -> Self {
        let (from, to) = span;
        let third = (to - from) / 3;
        let join = json!({ "group": "g", "member_id": member, "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000,
                           "protocols": [{ "name": "range", "topics": ["t"] }] });
        let joined = json!({ "generation": generation, "protocol": "range", "leader": "someone", "member_id": member, "members": [] });
        let assignment = if partitions.is_empty() { json!({}) } else { json!({ "t": partitions }) };
        let of = |f: &str| {
            (f.to_owned(), json!({ "group": "g", "member_id": member, "generation": generation }))
        };
        let ((sync, sync_args), (beat, beat_args)) = (of("sync_group"), of("heartbeat"));
        self.ok(member, "join_group", join, (from, from + third), joined)
            .ok(
                member,
                &sync,
                sync_args,
                (from + third, from + 2 * third),
                json!({ "assignment": assignment }),
            )
            .ok(member, &beat, beat_args, (from + 2 * third, to), json!({}))
    }

    /// The history.
    pub fn end(mut self) -> History {
        // Hand-written histories follow one actor at a time; ids follow invocations.
        self.history.ops.sort_by_key(|op| op.invoke_us);
        for (id, op) in self.history.ops.iter_mut().enumerate() {
            op.id = id as u64;
        }
        self.history.faults.sort_by_key(|fault| fault.from_us);
        self.history
    }
}

/// The arguments of a subscription to `t` in group `g`.
pub fn subscribe(consumer: &str, strategy: &str) -> Value {
    json!({ "group": "g", "consumer": consumer, "topics": ["t"], "strategy": strategy,
            "session_timeout_ms": 1000, "rebalance_timeout_ms": 2000 })
}

/// The arguments of a thin commit to group `g`.
pub fn commit(consumer: &str, partition: i64, offset: i64, generation: Option<i64>) -> Value {
    let mut args = json!({ "group": "g", "consumer": consumer, "topic": "t", "partition": partition, "offset": offset });
    if let Some(generation) = generation {
        args["generation"] = json!(generation);
    }
    args
}

/// The checker of that name.
pub fn checker(name: &str) -> &'static dyn Checker {
    all()
        .into_iter()
        .find(|checker| checker.name() == name)
        .unwrap_or_else(|| panic!("no checker {name}"))
}

/// Asserts that a checker finds the history broken, and that its first account names what is given.
#[track_caller]
pub fn catches(name: &str, history: &History, names: &[&str]) {
    match check_one(checker(name), history) {
        Verdict::Violated(violations) => {
            let account = &violations[0].account;
            for part in names {
                assert!(
                    account.contains(part),
                    "{name}: {part:?} is not in the account {account:?}"
                );
            }
            assert!(!violations[0].ops.is_empty(), "{name}: no operation shows {account:?}");
        }
        other => panic!("{name} must catch this history, but says {other:?}"),
    }
}

/// Asserts that a checker judges the history and finds the property to hold.
#[track_caller]
pub fn passes(name: &str, history: &History) {
    match check_one(checker(name), history) {
        Verdict::Valid { judged } => assert!(judged > 0),
        other => panic!("{name} must pass this history, but says {other:?}"),
    }
}

/// Asserts that a checker does not judge the history, for a reason that has the given words.
#[track_caller]
pub fn leaves_open(name: &str, history: &History, words: &str) {
    match check_one(checker(name), history) {
        Verdict::NotJudged(reason) => {
            assert!(reason.contains(words), "{name}: {words:?} is not in {reason:?}")
        }
        other => panic!("{name} must leave this history open, but says {other:?}"),
    }
}

/// Asserts that no checker at all finds a lawful history broken.
#[track_caller]
pub fn lawful(history: &History) {
    for (name, verdict) in arena::checkers::check_all(history) {
        assert!(!verdict.is_violated(), "{name}: {verdict:?}");
    }
}

/// Two eager consumers that share two partitions in generation 2.
pub fn two() -> HistoryBuilder {
    history_of("groups")
        .config(json!({ "partitions": { "t": 2 } }))
        .thin("a", "subscribe", (0, 10), 1, &[0, 1])
        .thin("b", "subscribe", (20, 30), 1, &[])
        .thin("a", "poll", (40, 50), 1, &[])
        .thin("b", "poll", (60, 70), 2, &[1])
        .thin("a", "poll", (80, 90), 2, &[0])
}

pub fn member(consumer: &str) -> Value {
    json!({ "group": "g", "consumer": consumer })
}

pub fn told(generation: i64, partitions: &[i64]) -> Value {
    json!({ "generation": generation, "state": "Stable", "assignment": { "t": partitions } })
}
