//! Groups and topics that ended without a request that was seen.
//!
//! A broker forgets a group that has no members and no committed offsets: Kafka when it looks the
//! next time, others at once. The next member begins at generation 1 again, lawfully. And whoever
//! goes past the watch may delete a topic, which shows when its name has another id.
//!
//! Both are written down as a deletion by [`OTHERS`], so that checkers know that what came after is
//! [another life](crate::checkers::lives). A group counts as ended only where its generation went
//! back, and everybody who was seen in it may have been out of it. Where all clients are seen and
//! somebody committed, it must go on: nobody deleted its offsets, and with them it stays.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};

/// Who did what nobody was seen to do.
pub(super) const OTHERS: &str = "others";

/// A member as far as it was seen.
#[derive(Debug, Default)]
struct Member {
    session: Micros,
    /// From when on it may be out: its session is over, or it left.
    out_from: Micros,
}

/// What is known of a group in its present life.
#[derive(Debug, Default)]
struct Group<'h> {
    members: BTreeMap<&'h str, Member>,
    seats: BTreeSet<&'h str>,
    /// The greatest generation that was told.
    highest: Option<i64>,
    has_offsets: bool,
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The ends of groups that the operations show. `whole` says that all clients were seen.
pub(super) fn of_groups(ops: &[Op], whole: bool) -> Vec<Op> {
    let mut done: Vec<&Op> = ops.iter().filter(|op| op.outcome == Outcome::Ok).collect();
    done.sort_by_key(|op| op.complete_us);
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut ends = Vec::new();
    for op in done {
        let (Some(name), Some(completed)) = (text(&op.args, "group"), op.complete_us) else {
            continue;
        };
        let group = groups.entry(name).or_default();
        let told = op.result.as_ref().and_then(|result| result.get("generation"));
        let told = told.and_then(Value::as_i64).filter(|_| op.f == "join_group");
        if let Some(generation) = told
            && group.went_back(op, generation)
            && !(whole && group.has_offsets)
            && let Some(empty_from) = group.empty_from().filter(|from| *from < completed)
        {
            // It began anew between the moment at which it may have been empty and this answer.
            ends.push(deletion("delete_group", json!({ "group": name }), empty_from, op.invoke_us));
            *group = Group::default();
        }
        group.take(op, told);
    }
    ends
}

impl<'h> Group<'h> {
    /// From when on nobody who was seen in it must have been in it.
    fn empty_from(&self) -> Option<Micros> {
        self.members.values().map(|member| member.out_from).max()
    }

    /// Whether a join was answered with a generation that was there before. A static member that
    /// comes back may be told the present one.
    fn went_back(&self, join: &Op, generation: i64) -> bool {
        let came_back = text(&join.args, "instance_id").is_some_and(|id| self.seats.contains(id));
        self.highest
            .is_some_and(|highest| generation < highest || generation == highest && !came_back)
    }

    fn take(&mut self, op: &'h Op, told: Option<i64>) {
        self.has_offsets |= op.f == "commit_offset";
        self.seats.extend(text(&op.args, "instance_id"));
        let joined = op.result.as_ref().and_then(|result| text(result, "member_id"));
        let Some(id) = joined.or_else(|| text(&op.args, "member_id")) else { return };
        let member = self.members.entry(id).or_default();
        match op.f.as_str() {
            "join_group" => {
                let session = op.args.get("session_timeout_ms").and_then(Value::as_u64);
                member.session = session.unwrap_or(0).saturating_mul(1_000);
                // The session begins with the answer, which may come much later than the request.
                member.out_from = op.complete_us.unwrap_or(op.invoke_us) + member.session;
                self.highest = self.highest.max(told);
            }
            "leave_group" => member.out_from = op.invoke_us,
            "sync_group" | "heartbeat" | "commit_offset" => {
                member.out_from = member.out_from.max(op.invoke_us + member.session);
            }
            _ => {}
        }
    }
}

/// When a name had which id: from the first answer that told it to the last.
#[derive(Debug, Default)]
pub(super) struct TopicIds(BTreeMap<String, ([u8; 16], Micros)>);

impl TopicIds {
    /// An answer of that span told the id of a topic. The deletion that must have been, if it had
    /// another one.
    pub(super) fn told(
        &mut self,
        topic: &str,
        id: [u8; 16],
        (from, to): (Micros, Micros),
    ) -> Option<Op> {
        if id == [0; 16] || topic.is_empty() {
            return None;
        }
        let before = self.0.insert(topic.to_owned(), (id, from));
        let (old, last) = before.filter(|(old, _)| *old != id)?;
        debug_assert_ne!(old, id);
        Some(deletion("delete_topic", json!({ "topic": topic }), last, to))
    }
}

fn deletion(f: &str, args: Value, from: Micros, to: Micros) -> Op {
    Op {
        id: 0,
        process: OTHERS.to_owned(),
        node: OTHERS.to_owned(),
        f: f.to_owned(),
        args,
        invoke_us: from.min(to),
        complete_us: Some(to),
        outcome: Outcome::Ok,
        result: Some(json!({})),
        code: None,
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(f: &str, (from, to): (Micros, Micros), args: Value, result: Value) -> Op {
        Op {
            process: "c".to_owned(),
            f: f.to_owned(),
            result: Some(result),
            ..deletion("", args, from, to)
        }
    }

    fn join(member: &str, generation: i64, (from, to): (Micros, Micros)) -> Op {
        let args = json!({ "group": "g", "session_timeout_ms": 1 });
        done(
            "join_group",
            (from, to),
            args,
            json!({ "member_id": member, "generation": generation }),
        )
    }

    fn of_member(f: &str, member: &str, (from, to): (Micros, Micros)) -> Op {
        done(f, (from, to), json!({ "group": "g", "member_id": member }), json!({}))
    }

    #[test]
    fn a_group_that_everybody_left_may_begin_anew() {
        let ops = [
            join("a", 1, (0, 10)),
            join("a", 2, (20, 30)),
            of_member("leave_group", "a", (40, 50)),
            join("b", 1, (60, 70)),
        ];
        let ends = of_groups(&ops, false);
        let spans: Vec<_> = ends.iter().map(|op| (op.invoke_us, op.complete_us)).collect();
        assert_eq!(spans, [(40, Some(60))]);
    }

    #[test]
    fn a_group_with_a_member_goes_on() {
        let ops =
            [join("a", 2, (20, 30)), of_member("heartbeat", "a", (40, 50)), join("b", 1, (60, 70))];
        assert!(of_groups(&ops, false).is_empty(), "that is an anomaly");
        let silent = [join("a", 2, (20, 30)), join("b", 1, (1_031, 1_040))];
        assert_eq!(of_groups(&silent, false).len(), 1, "its session was over");
        let rises = [join("a", 2, (20, 30)), join("b", 3, (1_031, 1_040))];
        assert!(of_groups(&rises, false).is_empty());
    }

    #[test]
    fn a_group_with_offsets_goes_on() {
        let ops = [
            join("a", 2, (20, 30)),
            of_member("commit_offset", "a", (31, 32)),
            of_member("leave_group", "a", (40, 50)),
            join("b", 1, (60, 70)),
        ];
        assert!(of_groups(&ops, true).is_empty(), "that is an anomaly");
        assert_eq!(of_groups(&ops, false).len(), 1, "somebody may have deleted it");
    }

    #[test]
    fn another_id_is_another_topic() {
        let mut ids = TopicIds::default();
        assert!(ids.told("t", [1; 16], (0, 1)).is_none());
        assert!(ids.told("t", [1; 16], (5, 6)).is_none());
        assert!(ids.told("t", [0; 16], (7, 8)).is_none());
        let deletion = ids.told("t", [2; 16], (9, 10)).expect("it was deleted");
        assert_eq!((deletion.invoke_us, deletion.complete_us), (5, Some(10)));
        assert!(ids.told("t", [2; 16], (11, 12)).is_none());
    }
}
