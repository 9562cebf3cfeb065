//! Idempotent producers: each predicate catches the history that it is for, and passes a lawful one
//! that is close to it.

mod checkers_support;

use arena::checkers::check_all;
use checkers_support::{HistoryBuilder, catches, history_of, lawful, leaves_open, passes};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use serde_json::{Value, json};

const LAST: i64 = (1 << 31) - 1;

fn record(sequence: i64, message: &str) -> Value {
    json!({ "topic": "t", "partition": 0, "message": message,
            "producer_id": 7, "producer_epoch": 0, "sequence": sequence })
}

trait Play: Sized {
    /// Sends `s{sequence}` under that sequence, acknowledged.
    fn sends(self, sequence: i64, span: (u64, u64), offset: i64) -> Self;
    /// The same without an answer.
    fn tries(self, sequence: i64, span: (u64, u64)) -> Self;
    /// Reads messages from an offset on.
    fn reads(self, from: i64, span: (u64, u64), messages: &[&str]) -> Self;
}

impl Play for HistoryBuilder {
    fn sends(self, sequence: i64, span: (u64, u64), offset: i64) -> Self {
        let reply = json!({ "partition": 0, "offset": offset });
        self.ok("p", "send", record(sequence, &format!("s{sequence}")), span, reply)
    }

    fn tries(self, sequence: i64, span: (u64, u64)) -> Self {
        self.info("p", "send", record(sequence, &format!("s{sequence}")), span)
    }

    fn reads(self, from: i64, span: (u64, u64), messages: &[&str]) -> Self {
        let records: Vec<Value> = (from..)
            .zip(messages)
            .map(|(offset, message)| json!({ "offset": offset, "message": message }))
            .collect();
        let end = from + i64::try_from(messages.len()).expect("few");
        let at = json!({ "topic": "t", "partition": 0, "offset": from });
        self.ok("r", "fetch", at, span, json!({ "records": records, "high_watermark": end }))
    }
}

fn wire() -> HistoryBuilder {
    history_of("classic").stage("wire")
}

#[test]
fn p1_idempotent_duplicate() {
    let retried = || wire().tries(0, (0, 10)).sends(0, (20, 30), 0);
    lawful(&retried().reads(0, (40, 50), &["s0"]).end());
    catches(
        "idempotent-duplicate",
        &retried().reads(0, (40, 50), &["s0", "s0"]).end(),
        &["t-0", "producer 7", "sequence 0", "0 and 1"],
    );
    // Acknowledged twice: at one offset it is the same record, at two it is not.
    lawful(&retried().sends(0, (40, 50), 0).end());
    catches("idempotent-duplicate", &retried().sends(0, (40, 50), 1).end(), &["0 and 1"]);
    // The same message under another sequence is another record.
    let again = json!({ "partition": 0, "offset": 1 });
    let again = retried().ok("p", "send", record(1, "s0"), (40, 50), again);
    lawful(&again.reads(0, (60, 70), &["s0", "s0"]).end());
    let nothing = wire().record(0, 0, (0, 10)).end();
    leaves_open("idempotent-duplicate", &nothing, "no idempotent producer");
}

#[test]
fn p2_idempotent_gap() {
    let play = || wire().sends(0, (0, 10), 0).tries(1, (20, 30)).sends(2, (40, 50), 1);
    catches(
        "idempotent-gap",
        &play().reads(0, (60, 70), &["s0", "s2"]).end(),
        &["sequence 1", "offsets 0 and 1", "missing"],
    );
    // Nobody read what is between them.
    let wide = || wire().sends(0, (0, 10), 0).tries(1, (20, 30)).sends(2, (40, 50), 2);
    passes("idempotent-gap", &wide().end());
    lawful(&wide().reads(0, (60, 70), &["s0", "s1", "s2"]).end());
    let other = json!({ "topic": "t", "partition": 0, "message": "x" });
    let other = wide().ok("q", "send", other, (35, 45), json!({ "partition": 0, "offset": 1 }));
    catches("idempotent-gap", &other.reads(0, (60, 70), &["s0", "x", "s2"]).end(), &["sequence 1"]);
    // A broker that knows nothing of a producer takes any sequence as its first.
    lawful(&wire().tries(0, (0, 10)).sends(1, (20, 30), 0).reads(0, (40, 50), &["s1"]).end());
}

#[test]
fn p3_idempotent_reorder() {
    let play = |first, second| wire().sends(0, (0, 50), first).sends(1, (10, 60), second).end();
    catches(
        "idempotent-reorder",
        &play(1, 0),
        &["sequence 0 at offset 1", "sequence 1 at offset 0"],
    );
    lawful(&play(0, 1));
    // The count begins anew after the greatest number.
    let wrapped = |first, second| wire().sends(LAST, (0, 50), first).sends(0, (10, 60), second);
    passes("idempotent-reorder", &wrapped(0, 1).end());
    catches("idempotent-reorder", &wrapped(1, 0).end(), &["sequence 0 at offset 0"]);
}

#[test]
fn a_retry_is_one_send_to_the_checkers_of_logs() {
    let retried = || wire().tries(0, (0, 10)).sends(1, (20, 30), 1).sends(0, (40, 50), 0);
    // The retry was sent after the acknowledgement of offset 1, the record was not.
    lawful(&retried().reads(0, (60, 70), &["s0", "s1"]).end());
    leaves_open("nonmonotonic-send", &retried().end(), "no two sends");
    // Lost though acknowledged, however often it was sent.
    let lost = retried().reads(0, (60, 70), &["x", "s1"]).end();
    catches("lost-write", &lost, &["s0"]);
    // The broker knows it already: then it may be there. Out of order: then it is not.
    let refused = |error: &str| {
        let play = wire().fail("p", "send", record(0, "s0"), (0, 10), 22, error);
        play.reads(0, (20, 30), &["s0"]).end()
    };
    lawful(&refused("DUPLICATE_SEQUENCE_NUMBER"));
    catches("aborted-read", &refused("OUT_OF_ORDER_SEQUENCE_NUMBER"), &["s0"]);
    let one_of_two = wire()
        .tries(0, (0, 10))
        .fail("p", "send", record(0, "s0"), (20, 30), 22, "OUT_OF_ORDER_SEQUENCE_NUMBER")
        .reads(0, (40, 50), &["s0"]);
    lawful(&one_of_two.end());
}

/// A broker that keeps the rules: it appends the next sequence, and answers a known one with its
/// offset.
fn kept(attempts: &[(bool, bool)], other: &[bool]) -> HistoryBuilder {
    let (mut play, mut log, mut now) = (wire(), Vec::<String>::new(), 0);
    let mut sequence = 0;
    for (index, (acts, answered)) in attempts.iter().enumerate() {
        now += 10;
        if other.get(index).copied().unwrap_or(false) {
            log.push(format!("o{index}"));
            let args = json!({ "topic": "t", "partition": 0, "message": format!("o{index}") });
            let reply = json!({ "partition": 0, "offset": log.len() - 1 });
            play = play.ok("q", "send", args, (now, now + 5), reply);
            now += 10;
        }
        let message = format!("s{sequence}");
        let known = log.iter().position(|at| *at == message);
        if *acts && known.is_none() {
            log.push(message.clone());
        }
        let known = known.or_else(|| log.iter().position(|at| *at == message));
        match known.filter(|_| *answered) {
            Some(offset) => {
                play = play.sends(sequence, (now, now + 5), i64::try_from(offset).expect("few"));
                sequence += 1;
            }
            None => play = play.tries(sequence, (now, now + 5)),
        }
    }
    let messages: Vec<&str> = log.iter().map(String::as_str).collect();
    play.reads(0, (now + 20, now + 30), &messages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever got lost on the way, a broker that keeps the rules is not blamed.
    #[test]
    fn a_broker_that_keeps_the_rules_is_not_blamed(
        attempts in proptest::collection::vec(any::<(bool, bool)>(), 1..20),
        other in proptest::collection::vec(any::<bool>(), 0..20),
    ) {
        for (name, verdict) in check_all(&kept(&attempts, &other).end()) {
            prop_assert!(!verdict.is_violated(), "{name}: {verdict:?}");
        }
    }
}
