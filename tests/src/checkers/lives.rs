//! Lives: a topic or a group that was deleted and came again is another one, for every checker.
//!
//! A deletion ends a life, and what comes after it under the same name is the next one. [`split`]
//! gives each life a name of its own (the second life of `t0` is `t0#2`), so that checkers, which
//! compare what bears one name, compare within one life only. A checker then needs to know nothing
//! of deletions.
//!
//! It is sound because all that is done to a history is to rename and to forget:
//!
//! - An operation that lies wholly within one life goes to that life, with its answer.
//! - Any other may have acted on either side of a boundary, or later where it was not answered. It
//!   is put into each life that it may have acted in, as one without an answer; a refusal stays
//!   what it is, for it acted nowhere; a pure read is left out. A checker that is sound of
//!   unanswered operations is sound of these.
//! - A boundary is not an instant but a *gap*, from the invocation of a deletion to its answer;
//!   where it has none, to when it cannot act any more ([`late_until`]). What overlaps it is not
//!   judged.
//! - A life begins only after proof that the one before it ended: a deletion that was acknowledged,
//!   or refused because there was nothing to delete. Without it a gap lasts until the next proof,
//!   or for ever. On Kafka's wire a topic's gap lasts for ever: its deletion is answered before all
//!   brokers know of it, and its offsets go later still.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::clock::{late_until, unknown};
use super::logs::{name, topic};
use super::offsets::group;
use super::wire::is_wire;
use crate::history::{History, Micros, Op, Outcome};

/// When the life before it ended, and the next one had not begun for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    from: Micros,
    to: Micros,
    /// Whether it is proved that there was nothing of that name at some instant of it.
    proved: bool,
}

/// Where an operation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The first life that it can have acted in, from 0.
    first: usize,
    /// The last one.
    last: usize,
    /// Whether it lies wholly within one life.
    inside: bool,
}

const ALWAYS: Place = Place { first: 0, last: 0, inside: true };

/// The gaps of everything that was deleted, in the order of time.
type Gaps<'h> = BTreeMap<&'h str, Vec<Gap>>;

/// The name of a life of a topic or group; the first one, from 0, has the plain name.
fn life(name: &str, number: usize) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}#{}", number + 1) }
}

/// Whether this is the name of a life that began with a deletion: there was nothing before it.
#[must_use]
pub fn began_empty(name: &str) -> bool {
    // Topics and groups of cohort have no such character in their names.
    name.contains('#')
}

/// A history in which every life of a topic and of a group has its own name.
#[must_use]
pub fn split(history: &History) -> Cow<'_, History> {
    let lives = Lives {
        topics: gaps(history, "delete_topic", |args| Some(topic(args)), !is_wire(history)),
        groups: gaps(history, "delete_group", group, true),
    };
    if lives.topics.is_empty() && lives.groups.is_empty() {
        return Cow::Borrowed(history);
    }
    let mut header = history.header.clone();
    if let Some(Value::Object(strategies)) = header.config.get_mut("strategies") {
        for (group, gaps) in &lives.groups {
            let Some(strategy) = strategies.get(*group).cloned() else { continue };
            strategies
                .extend((1..=gaps.len()).map(|number| (life(group, number), strategy.clone())));
        }
    }
    let ops = history.ops.iter().flat_map(|op| lives.copies(op)).collect();
    Cow::Owned(History { header, ops, faults: history.faults.clone() })
}

/// The gaps of what `f` deletes. Where its answer does not end the life `at_once`, the first gap
/// never ends.
fn gaps<'h>(
    history: &'h History,
    f: &str,
    of: impl Fn(&'h Value) -> Option<&'h str>,
    at_once: bool,
) -> Gaps<'h> {
    let mut found: Gaps<'h> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| op.f == f) {
        // There was nothing to delete: nobody says since when, so it is as good as a deletion.
        let nothing = op.outcome == Outcome::Fail && op.code == Some(20);
        let Some(name) = of(&op.args).filter(|_| op.outcome != Outcome::Fail || nothing) else {
            continue;
        };
        let proved = at_once && !unknown(op);
        let gap = Gap { from: op.invoke_us, to: late_until(history, op), proved };
        found.entry(name).or_default().push(gap);
    }
    for gaps in found.values_mut() {
        gaps.sort_by_key(|gap| (gap.from, gap.to));
        let mut merged: Vec<Gap> = Vec::new();
        for gap in gaps.drain(..) {
            match merged.last_mut().filter(|last| gap.from <= last.to || !last.proved) {
                Some(last) => {
                    last.to = last.to.max(gap.to);
                    last.proved |= gap.proved;
                }
                None => merged.push(gap),
            }
        }
        if let Some(last) = merged.last_mut().filter(|last| !last.proved) {
            last.to = Micros::MAX;
        }
        *gaps = merged;
    }
    found
}

fn place(gaps: &[Gap], op: &Op) -> Place {
    let until = op.complete_us.filter(|_| !unknown(op)).unwrap_or(Micros::MAX);
    // Equal times are concurrent.
    let first = gaps.partition_point(|gap| gap.to < op.invoke_us);
    let last = gaps.partition_point(|gap| gap.from <= until);
    Place { first, last, inside: first == last }
}

/// Whether an operation only looks.
fn only_reads(op: &Op) -> bool {
    matches!(
        op.f.as_str(),
        "fetch" | "fetch_offset" | "describe_group" | "list_topics" | "list_groups"
    )
}

/// The topic that the arguments of a request name, also where it is the default one.
fn named_topic(op: &Op) -> Option<&str> {
    const OF_A_TOPIC: [&str; 9] = [
        "fetch",
        "create_topic",
        "create_partitions",
        "delete_topic",
        "delete_records",
        "commit",
        "commit_offset",
        "fetch_offset",
        "delete_offsets",
    ];
    let sends = op.f == "send" && op.args.get("message").is_some();
    (sends || OF_A_TOPIC.contains(&op.f.as_str())).then(|| topic(&op.args))
}

struct Lives<'h> {
    topics: Gaps<'h>,
    groups: Gaps<'h>,
}

impl Lives<'_> {
    fn gaps_of_topic(&self, topic: &str) -> &[Gap] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    /// What becomes of an operation: one copy for each life that it may have acted in.
    fn copies(&self, op: &Op) -> Vec<Op> {
        let of_group = group(&op.args).and_then(|group| Some((group, self.groups.get(group)?)));
        let of_topic = named_topic(op).and_then(|topic| Some((topic, self.topics.get(topic)?)));
        let mut groups = of_group.map_or(ALWAYS, |(_, gaps)| place(gaps, op));
        let mut topics = of_topic.map_or(ALWAYS, |(_, gaps)| place(gaps, op));
        // A deletion is the last that a life sees.
        match op.f.as_str() {
            "delete_topic" => topics = Place { last: topics.first, inside: true, ..topics },
            "delete_group" => groups = Place { last: groups.first, inside: true, ..groups },
            _ => {}
        }
        let told = self.topics_told(op);
        let places: BTreeMap<&str, Place> =
            told.into_iter().map(|topic| (topic, place(self.gaps_of_topic(topic), op))).collect();
        let whole = groups.inside && topics.inside && places.values().all(|place| place.inside);
        if !whole && only_reads(op) {
            return Vec::new();
        }
        let mut renamed = op.clone();
        if !whole && op.outcome == Outcome::Ok {
            (renamed.outcome, renamed.result) = (Outcome::Info, None);
        }
        if let Some(result) = &mut renamed.result {
            rename_told(result, &|topic| {
                life(topic, places.get(topic).map_or(0, |place| place.first))
            });
        }
        self.expand_subscriptions(&mut renamed);
        let mut copies = Vec::new();
        for of_group_now in groups.first..=groups.last {
            for of_topic_now in topics.first..=topics.last {
                let mut copy = renamed.clone();
                for (field, named, number) in [
                    ("group", of_group.map(|(group, _)| group), of_group_now),
                    ("group_id", of_group.map(|(group, _)| group), of_group_now),
                    ("topic", of_topic.map(|(topic, _)| topic), of_topic_now),
                ] {
                    let there = copy.args.get(field).is_some() || field == "topic";
                    if let (Some(named), true, true) = (named, number > 0, there) {
                        copy.args[field] = Value::String(life(named, number));
                    }
                }
                copies.push(copy);
            }
        }
        copies
    }

    /// The topics that an answer tells of, of those that were deleted at some time.
    fn topics_told<'o>(&self, op: &'o Op) -> BTreeSet<&'o str> {
        let mut told = BTreeSet::new();
        if let Some(result) = op.result.as_ref().filter(|_| op.outcome == Outcome::Ok) {
            each_told(result, &mut |topic| {
                told.insert(topic);
            });
        }
        told.retain(|topic| self.topics.contains_key(topic));
        told
    }

    /// Whoever subscribes to a topic subscribes to all its lives.
    fn expand_subscriptions(&self, op: &mut Op) {
        let expand = |topics: &mut Value| {
            let Some(list) = topics.as_array_mut() else { return };
            let names: Vec<String> =
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            for name in names {
                let later = 1..=self.gaps_of_topic(&name).len();
                list.extend(later.map(|number| Value::String(life(&name, number))));
            }
        };
        match op.f.as_str() {
            "subscribe" => op.args.get_mut("topics").into_iter().for_each(expand),
            "join_group" => {
                let protocols = op.args.get_mut("protocols").and_then(Value::as_array_mut);
                let protocols = protocols.into_iter().flatten();
                protocols.filter_map(|protocol| protocol.get_mut("topics")).for_each(expand);
            }
            _ => {}
        }
    }
}

/// Every topic that an answer to a member, or a description, tells of.
fn each_told<'o>(result: &'o Value, each: &mut impl FnMut(&'o str)) {
    let assigned =
        |of: &'o Value| of.get("assignment").and_then(Value::as_object).into_iter().flatten();
    let list =
        |of: &'o Value, field: &str| of.get(field).and_then(Value::as_array).into_iter().flatten();
    assigned(result).for_each(|(topic, _)| each(topic));
    for line in list(result, "records").chain(list(result, "offsets")) {
        name(line, "topic").into_iter().for_each(&mut *each);
    }
    for member in list(result, "members") {
        assigned(member).for_each(|(topic, _)| each(topic));
        list(member, "topics").filter_map(Value::as_str).for_each(&mut *each);
    }
}

/// Renames every topic that [`each_told`] finds.
fn rename_told(result: &mut Value, to: &impl Fn(&str) -> String) {
    let assigned = |of: &mut Value| {
        if let Some(topics) = of.get_mut("assignment").and_then(Value::as_object_mut) {
            let old: Map<String, Value> = std::mem::take(topics);
            topics.extend(old.into_iter().map(|(topic, partitions)| (to(&topic), partitions)));
        }
    };
    assigned(result);
    for field in ["records", "offsets"] {
        for line in result.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(topic) = name(line, "topic").map(to) {
                line["topic"] = Value::String(topic);
            }
        }
    }
    for member in result.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
        assigned(member);
        for topic in member.get_mut("topics").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(renamed) = topic.as_str().map(to) {
                *topic = Value::String(renamed);
            }
        }
    }
}
