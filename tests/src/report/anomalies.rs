//! What was found broken, for people who know Kafka: what it means to them, what happened, and the
//! operations that prove it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::svg::escape;
use crate::checkers::clock::at;
use crate::checkers::{Verdict, Violation};
use crate::history::{History, Op};

/// More accounts than this of one anomaly tell nothing new.
const ACCOUNTS: usize = 5;
/// More operations than this prove nothing more.
const OPERATIONS: usize = 12;
/// Of a field no more than this is shown.
const SHOWN: usize = 400;

/// What a broken property means to somebody who uses Kafka; `None` if there is no such checker.
#[must_use]
pub fn meaning(checker: &str) -> Option<&'static str> {
    let name = checker.strip_prefix("state/").unwrap_or(checker);
    log_meaning(name)
        .or_else(|| record_meaning(name))
        .or_else(|| group_meaning(name))
        .or_else(|| app_meaning(name))
        .or_else(|| inner_meaning(name))
}

fn app_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "readers-overlap" => {
            "Two instances of the application held a partition at one time, each by its own words."
        }
        "read-unowned" => {
            "The application was given a record of a partition that had been taken from it."
        }
        "read-skips" => {
            "The application was given records out of order, or not all, or began elsewhere than at the committed offset."
        }
        "commit-unread" => "The application committed past a record that it had not read.",
        "committed-past" => {
            "The group committed past a record that no instance of the application ever read."
        }
        _ => return None,
    })
}

fn log_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "lost-write" => "A produced record was acknowledged and is gone.",
        "unseen" => "A produced record was acknowledged, and reading to the end did not find it.",
        "duplicate" => "One produced record is in the partition twice.",
        "inconsistent-offsets" => {
            "Two records were seen at one offset: replicas diverged, or an acknowledged record was overwritten."
        }
        "aborted-read" => "A record whose produce request was refused was consumed all the same.",
        "phantom-record" => "A record was consumed that nobody had produced.",
        "nonmonotonic-poll" => {
            "A consumer was given records again that it had already read, without a reset."
        }
        "poll-skip" => {
            "A consumer was not given records that were there: its position jumped over them."
        }
        "int-nonmonotonic-poll" => "Inside one fetch answer, offsets do not rise.",
        "int-poll-skip" => "Inside one fetch answer, a record that is there was left out.",
        "nonmonotonic-send" => {
            "A record that was produced after another one's acknowledgement got a smaller offset."
        }
        "stale-poll" => {
            "A fetch did not see a record that had been acknowledged before it was sent."
        }
        "later-write" => "A fetch saw a record that its own client produced only later.",
        "dense-offsets" => "Offsets are not consecutive.",
        "idempotent-duplicate" => {
            "A retry of an idempotent producer was appended a second time: `enable.idempotence` did not hold."
        }
        "idempotent-gap" => {
            "A record of an idempotent producer is missing, and later ones of it are there: the broker took a sequence that was not the next."
        }
        "idempotent-reorder" => "Records of an idempotent producer changed places.",
        _ => return None,
    })
}

fn record_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "start-goes-back" => {
            "A partition's first or last offset went back: offsets are used twice."
        }
        "records-not-deleted" => "DeleteRecords was acknowledged, and records before it are there.",
        "records-removed-early" => {
            "Records are gone that nobody had asked to delete, and that were neither too old nor too many."
        }
        "records-missing" => "A replica cannot read records that its log is said to have.",
        "topic-outlived" => {
            "A topic was deleted, and it, its committed offsets or its owners are there all the same."
        }
        "producer-epoch" => {
            "A record of a producer's old epoch was appended after a newer one: a zombie was not fenced."
        }
        _ => return None,
    })
}

fn group_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "double-ownership" => {
            "Two consumers of a group were given one partition in the same generation: both process its records."
        }
        "overlapping-ownership" => {
            "A partition was given to a consumer while its old owner still had it, with a session that ran: both process its records."
        }
        "two-generations" => {
            "The coordinator served a consumer of an old generation after the group had gone on: a zombie was not fenced."
        }
        "generation-reuse" => {
            "A group's generation went back, or one generation had two assignments: fencing by generation does not hold."
        }
        "not-covering" => "A partition belongs to no consumer of a stable group: nobody reads it.",
        "outside-subscription" => {
            "A consumer was given a partition of a topic to which it does not subscribe."
        }
        "starved-member" => {
            "A consumer of a stable group was given nothing, though there are partitions for all."
        }
        "no-convergence" => {
            "After all faults were over, the group did not become stable with all its consumers."
        }
        "rebalance-storm" => "The group rebalanced again and again, though nobody came or went.",
        "offset-goes-back" => {
            "A committed offset went back, and nobody reset it: records are processed again."
        }
        "spurious-offset" => {
            "A committed offset was told that nobody had committed, or none though there was one: `auto.offset.reset` applies."
        }
        "linearizable-offset" => {
            "Committed offsets were told in an order that no sequence of commits explains: a commit was lost, or an old value came back."
        }
        "commit-beyond-end" => "An offset was committed behind the end of the log.",
        "fenced-commit" => {
            "A commit of a consumer that was no longer in that generation was accepted: a zombie may overwrite newer offsets."
        }
        "accepted-after-removal" => {
            "A consumer that was out of the group was served without joining again."
        }
        "early-eviction" => {
            "A consumer was thrown out of the group though its session had not ended."
        }
        "dead-member-kept" => {
            "A consumer that has long been dead is still in the group: its partitions are not read."
        }
        "commit-reassign-gap" => {
            "A new owner began to read below the committed offset: records are processed again."
        }
        "at-least-once" => {
            "The group committed past a record that none of its consumers was given: it is lost to the group."
        }
        "lost-member" => {
            "The group has a consumer that nobody knows of: a join was counted twice, or two have one `group.instance.id`."
        }
        "reset-position" => {
            "A consumer started over, or skipped, though its group has a committed offset for the partition."
        }
        "unread-partition" => {
            "One partition was not read by its owner, which read its others: lag grows in a group that looks fine."
        }
        _ => return None,
    })
}

fn inner_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "node-fault" => "A broker answered that it is at fault itself.",
        "door" => "Bytes that are not of the protocol, or a broker that ended.",
        "linearizable-register" => {
            "Reads and writes of a key are in an order that no single register explains."
        }
        "stale-leader" => "A broker that was replaced as the leader answered as if it were one.",
        "served-after-removal" => "A consumer that was out of the group was served.",
        "twice-applied" => "One request took effect twice.",
        "no-progress" => {
            "Nothing was answered for a long time, though a majority of brokers was connected."
        }
        "replica-divergence" => "Two replicas that applied the same log are not in the same state.",
        "nondeterministic-apply" => "A replay of the log gives another state.",
        "one-leader-per-term" => "Two brokers led the same Raft term.",
        "one-entry-per-index" => {
            "Two brokers applied different entries at one place of the Raft log."
        }
        "invariants" => "The state of a group contradicts itself.",
        _ => return None,
    })
}

/// Every broken property with its accounts and their operations.
pub fn anomalies(html: &mut String, history: &History, verdicts: &[(&str, Verdict)]) {
    let by_id: BTreeMap<u64, &Op> = history.ops.iter().map(|op| (op.id, op)).collect();
    for (name, verdict) in verdicts {
        let Verdict::Violated(violations) = verdict else { continue };
        let _ = write!(html, "<details open><summary><b>{}</b></summary>", escape(name));
        if let Some(meaning) = meaning(name) {
            let _ = write!(html, "<p>{}</p>", escape(meaning));
        }
        html.push_str("<ul>");
        for violation in violations.iter().take(ACCOUNTS) {
            let _ = write!(html, "<li>{}", escape(&violation.account));
            operations(html, violation, &by_id);
            html.push_str("</li>");
        }
        html.push_str("</ul>");
        if violations.len() > ACCOUNTS {
            let _ = write!(html, "<p class=\"dim\">and {} more</p>", violations.len() - ACCOUNTS);
        }
        html.push_str("</details>");
    }
}

/// The operations of an account as they are in the history. A trace's accounts name entries of the
/// log instead, which no history has.
fn operations(html: &mut String, violation: &Violation, by_id: &BTreeMap<u64, &Op>) {
    let known: Vec<&Op> = violation.ops.iter().filter_map(|id| by_id.get(id).copied()).collect();
    if known.is_empty() {
        return;
    }
    html.push_str(
        "<details class=\"raw\"><summary>operations</summary><table><tr><th class=\"n\">id\
         <th class=\"n\">sent<th class=\"n\">answered<th>client<th>to<th>request<th>fields<th>answer\
         </tr>",
    );
    for op in known.iter().take(OPERATIONS) {
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td>{}<td>{}\
             <td><code>{}</code><td><code>{}</code></tr>",
            op.id,
            at(op.invoke_us),
            op.complete_us.map_or_else(|| "–".to_owned(), at),
            escape(&op.process),
            escape(&op.node),
            escape(&op.f),
            escape(&cut(&op.args.to_string())),
            escape(&cut(&answer(op))),
        );
    }
    html.push_str("</table>");
    if known.len() > OPERATIONS {
        let _ = write!(html, "<p class=\"dim\">and {} more</p>", known.len() - OPERATIONS);
    }
    html.push_str("</details>");
}

fn answer(op: &Op) -> String {
    match (&op.error, op.code, &op.result) {
        (Some(error), _, _) => error.clone(),
        (None, Some(code), _) => format!("error {code}"),
        (None, None, Some(result)) => result.to_string(),
        (None, None, None) => "none".to_owned(),
    }
}

fn cut(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { short + "…" } else { short }
}
