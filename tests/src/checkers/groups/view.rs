//! Groups as clients saw them: who asked, what each member was told, and what descriptions showed.
//!
//! This module owns the reading of a history as groups ([`Groups`]), which the checkers of groups
//! share. It knows two ways to be a member: thin consumers, whose name is their member id and
//! whose replies carry `{generation, state, assignment}`, and Kafka's classic members. The third
//! one, KIP-848, stands in [`epochs`](super::epochs). It does not know what makes a group right.
//!
//! A group or topic that was deleted and came again is another one here
//! ([`lives`](crate::checkers::lives)).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::epochs::EpochGroup;
use crate::checkers::clock::{late_until, ms, span, unknown};
use crate::checkers::logs::{DEFAULT_TOPIC, name, topic};
use crate::checkers::offsets::{consumer, group};
use crate::checkers::wire::is_wire;
use crate::history::{History, Micros, Op, Outcome};

/// A partition of a topic.
pub type Partition = (String, i64);

/// Partitions that somebody owns.
pub type Assignment = BTreeSet<Partition>;

/// A partition as people read it: `orders-3`.
#[must_use]
pub fn partition_text(partition: &Partition) -> String {
    format!("{}-{}", partition.0, partition.1)
}

/// One answered request of a member, with what it shows: at some instant between invocation and
/// completion, the member was of that generation.
#[derive(Debug)]
pub struct Telling<'h> {
    /// The request.
    pub op: &'h Op,
    /// The member.
    pub member: &'h str,
    /// Between these the request was processed.
    pub invoke: Micros,
    /// See `invoke`.
    pub complete: Micros,
    /// The generation told, or named by an accepted request.
    pub generation: i64,
    /// The partitions that the member was told to own; `None` where the reply does not tell.
    pub assignment: Option<Assignment>,
    /// The group's state, where the reply tells it.
    pub state: Option<&'h str>,
}

/// A member in a description.
#[derive(Debug)]
pub struct DescribedMember<'h> {
    /// Its id.
    pub id: &'h str,
    /// Its static instance.
    pub instance: Option<&'h str>,
    /// What it subscribes to.
    pub topics: BTreeSet<&'h str>,
    /// What it owns.
    pub assignment: Assignment,
}

/// One answered `describe_group`.
#[derive(Debug)]
pub struct Description<'h> {
    /// The request.
    pub op: &'h Op,
    /// When it was answered.
    pub complete: Micros,
    /// The group's state.
    pub state: &'h str,
    /// The group's generation; Kafka does not tell it.
    pub generation: Option<i64>,
    /// The members in the order of the reply.
    pub members: Vec<DescribedMember<'h>>,
}

/// The time-outs that members of a group gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The shortest session; `None` if some member left it to the node.
    pub shortest_session: Option<Micros>,
    /// The longest session, taking the protocol's default where a member left it to the node.
    pub longest_session: Micros,
    /// The shortest rebalance time-out; `None` if some member left it to the node.
    pub shortest_rebalance: Option<Micros>,
    /// The longest rebalance time-out, as with sessions.
    pub longest_rebalance: Micros,
}

/// One group.
#[derive(Debug)]
pub struct Group<'h> {
    /// Its name.
    pub name: &'h str,
    /// Whether members are thin consumers; else they follow the classic protocol.
    pub thin: bool,
    /// Whether they follow it on Kafka's wire.
    pub wire: bool,
    /// Whether partitions move cooperatively, or may do so.
    pub cooperative: bool,
    /// All requests by member, in the order of invocation.
    pub requests: BTreeMap<&'h str, Vec<&'h Op>>,
    /// Joins of classic members that did not know their id yet, and were not told it.
    pub nameless: Vec<&'h Op>,
    /// Answered requests of members, in the order of invocation. On Kafka's wire heartbeats are
    /// left out: a coordinator that loads its groups accepts any.
    pub tellings: Vec<Telling<'h>>,
    /// Every `describe_group`, answered or not.
    pub describes: Vec<&'h Op>,
    /// Those that were answered, in the order of invocation.
    pub descriptions: Vec<Description<'h>>,
    /// The time-outs of its members.
    pub timeouts: Timeouts,
    /// Members that hold or held a static seat: the same number, the same seat.
    seats: BTreeMap<&'h str, usize>,
    /// The number of each static instance's seat.
    instances: BTreeMap<&'h str, usize>,
    /// Of each topic that any member ever subscribed to, by member.
    pub subscriptions: BTreeMap<&'h str, BTreeSet<&'h str>>,
}

/// The groups of a history.
#[derive(Debug)]
pub struct Groups<'h> {
    /// The history.
    pub history: &'h History,
    /// Those of thin and classic members, by name.
    pub groups: BTreeMap<&'h str, Group<'h>>,
    /// Those of KIP-848. One that has members of both kinds is here.
    pub epochs: Vec<EpochGroup<'h>>,
    /// How many partitions topics have.
    pub topics: Topics<'h>,
}

/// Requests by which a thin consumer acts as a member.
const THIN: [&str; 5] = ["subscribe", "poll", "heartbeat", "commit", "unsubscribe"];
/// Requests by which a classic member acts.
const CLASSIC: [&str; 5] =
    ["join_group", "sync_group", "heartbeat", "leave_group", "commit_offset"];

/// The protocol's defaults.
const DEFAULT_SESSION: Micros = 45_000_000;
const DEFAULT_REBALANCE: Micros = 300_000_000;

impl<'h> Groups<'h> {
    /// Reads a history as groups.
    #[must_use]
    pub fn of(history: &'h History) -> Self {
        let mut by_group: BTreeMap<&str, Vec<&'h Op>> = BTreeMap::new();
        for op in &history.ops {
            if let Some(group) = group(&op.args) {
                by_group.entry(group).or_default().push(op);
            }
        }
        let epochs = by_group.iter().filter_map(|(name, ops)| EpochGroup::of(name, ops, history));
        let epochs: Vec<EpochGroup<'h>> = epochs.collect();
        by_group.retain(|name, _| epochs.iter().all(|group| group.name != *name));
        let groups = by_group.into_iter().filter_map(|(name, ops)| {
            let group = Group::of(name, &ops, history);
            (!group.requests.is_empty() || !group.nameless.is_empty()).then_some((name, group))
        });
        Self { history, groups: groups.collect(), epochs, topics: Topics::of(history) }
    }

    /// Whether all of them follow KIP-848, of which some predicates say nothing.
    #[must_use]
    pub fn only_epochs(&self) -> bool {
        self.groups.is_empty() && !self.epochs.is_empty()
    }

    /// Why a history without groups cannot be judged.
    pub const NONE: &'static str = "no group had members";
}

impl<'h> Group<'h> {
    fn of(name: &'h str, ops: &[&'h Op], history: &'h History) -> Self {
        let mut group = Self {
            name,
            thin: ops
                .iter()
                .any(|op| THIN.contains(&op.f.as_str()) && consumer(&op.args).is_some()),
            wire: is_wire(history),
            cooperative: is_cooperative(name, ops, history),
            requests: BTreeMap::new(),
            nameless: Vec::new(),
            tellings: Vec::new(),
            describes: Vec::new(),
            descriptions: Vec::new(),
            timeouts: timeouts(ops, history),
            seats: BTreeMap::new(),
            instances: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        };
        for op in ops {
            if op.f == "describe_group" {
                group.describes.push(op);
                group.descriptions.extend(description(op));
                continue;
            }
            match member_of(op) {
                Some(member) => {
                    group.requests.entry(member).or_default().push(op);
                    group.subscriptions.entry(member).or_default().extend(subscribed(op));
                    group.tellings.extend(telling(op, member, group.wire));
                }
                None if op.f == "join_group" => group.nameless.push(op),
                None => {}
            }
        }
        (group.seats, group.instances) = seats(ops);
        group
    }

    /// Whether two members are the same one, or follow each other in one static seat.
    #[must_use]
    pub fn same_seat(&self, a: &str, b: &str) -> bool {
        a == b || self.seats.get(a).is_some_and(|seat| self.seats.get(b) == Some(seat))
    }

    /// Whether a member ever asked for a static seat.
    #[must_use]
    pub fn is_static(&self, member: &str) -> bool {
        self.seats.contains_key(member)
    }

    /// Whether any member ever asked for a static seat.
    #[must_use]
    pub fn has_seats(&self) -> bool {
        !self.seats.is_empty()
    }

    /// The requests of a member and of all that shared its seat, in the order of invocation; with
    /// joins for its seat whose members nobody was told.
    #[must_use]
    pub fn seat_requests(&self, member: &str) -> Vec<&'h Op> {
        let same = self.requests.iter().filter(|(other, _)| self.same_seat(member, other));
        let mut requests: Vec<&'h Op> = same.flat_map(|(_, ops)| ops.iter().copied()).collect();
        let seat = self.seats.get(member);
        let takes = |join: &&&Op| {
            let of = name(&join.args, "instance_id").and_then(|id| self.instances.get(id));
            seat.is_some() && of == seat
        };
        requests.extend(self.nameless.iter().filter(takes));
        requests.sort_by_key(|op| (op.invoke_us, op.id));
        requests
    }

    /// Whether an answer shows that its generation lasts: no older one comes after it.
    ///
    /// Kafka's coordinator writes a generation down when its leader has assigned. Whoever follows
    /// it before that goes on from the generation before, and gives the number away again. So on
    /// its wire only an answered `sync_group` shows it.
    #[must_use]
    pub fn lasts(&self, telling: &Telling<'_>) -> bool {
        !self.wire || telling.op.f == "sync_group"
    }

    /// What members of this group are called, for people.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        if self.thin { "consumer" } else { "member" }
    }

    /// The requests of a member that are not known to have been processed before `time`: those
    /// invoked later, those under way, and those never answered that may still act.
    #[must_use]
    pub fn may_act_after(history: &History, requests: &[&'h Op], time: Micros) -> Vec<&'h Op> {
        requests.iter().copied().filter(|op| late_until(history, op) >= time).collect()
    }
}

impl Description<'_> {
    /// The generation for people: `in generation 3`, or when it was described where that is not
    /// told.
    #[must_use]
    pub fn when(&self) -> String {
        match self.generation {
            Some(generation) => format!("in generation {generation}"),
            None => format!("in {}", span(self.op)),
        }
    }
}

/// The member in whose name a request acts: of a join, the id that it was given.
fn member_of(op: &Op) -> Option<&str> {
    if let Some(consumer) = consumer(&op.args) {
        return THIN.contains(&op.f.as_str()).then_some(consumer);
    }
    if !CLASSIC.contains(&op.f.as_str()) {
        return None;
    }
    let named = name(&op.args, "member_id").filter(|id| !id.is_empty());
    named.or_else(|| op.result.as_ref().and_then(|reply| name(reply, "member_id")))
}

/// The topics that a request subscribes to.
fn subscribed(op: &Op) -> BTreeSet<&str> {
    match op.f.as_str() {
        "subscribe" => op.args.get("topics").and_then(Value::as_array).map_or_else(
            || BTreeSet::from([DEFAULT_TOPIC]),
            |topics| topics.iter().filter_map(Value::as_str).collect(),
        ),
        "join_group" => {
            let protocols = op.args.get("protocols").and_then(Value::as_array);
            let topics =
                protocols.into_iter().flatten().filter_map(|protocol| protocol.get("topics"));
            topics.filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// `{topic: [partition, …]}` as a set.
pub(super) fn assignment(value: &Value) -> Option<Assignment> {
    let topics = value.as_object()?.iter();
    let pairs = topics.flat_map(|(topic, partitions)| {
        let partitions = partitions.as_array().map_or(&[][..], Vec::as_slice);
        partitions.iter().filter_map(|partition| Some((topic.clone(), partition.as_i64()?)))
    });
    Some(pairs.collect())
}

fn telling<'h>(op: &'h Op, member: &'h str, wire: bool) -> Option<Telling<'h>> {
    if op.outcome != Outcome::Ok || wire && op.f == "heartbeat" {
        return None;
    }
    let (reply, complete) = (op.result.as_ref()?, op.complete_us?);
    let told = reply.get("generation").and_then(Value::as_i64);
    let named = op.args.get("generation").and_then(Value::as_i64);
    let owned = reply.get("assignment").and_then(assignment);
    let state = name(reply, "state");
    Some(Telling {
        op,
        member,
        invoke: op.invoke_us,
        complete,
        generation: told.or(named).filter(|generation| *generation >= 0)?,
        assignment: owned,
        state,
    })
}

fn description<'h>(op: &'h Op) -> Option<Description<'h>> {
    if op.outcome != Outcome::Ok {
        return None;
    }
    let reply = op.result.as_ref()?;
    let members = reply.get("members")?.as_array()?.iter().filter_map(|member| {
        Some(DescribedMember {
            id: name(member, "member_id")?,
            instance: name(member, "instance_id"),
            topics: member
                .get("topics")
                .and_then(Value::as_array)
                .map(|topics| topics.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default(),
            assignment: member.get("assignment").and_then(assignment).unwrap_or_default(),
        })
    });
    Some(Description {
        op,
        complete: op.complete_us?,
        state: name(reply, "state")?,
        generation: reply.get("generation").and_then(Value::as_i64),
        members: members.collect(),
    })
}

/// Any sign of the cooperative strategy makes a group cooperative here: less is promised of such
/// groups. The header's `strategy`, or of several groups its `strategies`, counts where a member
/// leaves the strategy open.
fn is_cooperative(group: &str, ops: &[&Op], history: &History) -> bool {
    const NAME: &str = "cooperative-sticky";
    let config = &history.header.config;
    let of_group = config.get("strategies").and_then(|strategies| strategies.get(group));
    let configured = of_group.or(config.get("strategy")).and_then(Value::as_str) == Some(NAME);
    ops.iter().any(|op| {
        let protocols = op.args.get("protocols").and_then(Value::as_array);
        let offered = protocols.into_iter().flatten().any(|p| name(p, "name") == Some(NAME));
        let chosen = op.result.as_ref().is_some_and(|reply| name(reply, "protocol") == Some(NAME));
        let subscribed = match name(&op.args, "strategy") {
            Some(strategy) => strategy == NAME,
            None => configured && op.f == "subscribe",
        };
        subscribed || offered || chosen
    })
}

fn timeouts(ops: &[&Op], history: &History) -> Timeouts {
    let joins = || ops.iter().filter(|op| matches!(op.f.as_str(), "subscribe" | "join_group"));
    let given = |field: &str| -> Vec<Option<Micros>> {
        let configured = history.header.config.get(field).and_then(Value::as_u64);
        joins()
            .map(|op| op.args.get(field).and_then(Value::as_u64).or(configured).map(ms))
            .collect()
    };
    let shortest = |list: &[Option<Micros>]| list.iter().copied().min().flatten();
    let longest = |list: &[Option<Micros>], default| {
        list.iter().map(|t| t.unwrap_or(default)).max().unwrap_or(default)
    };
    let (session, rebalance) = (given("session_timeout_ms"), given("rebalance_timeout_ms"));
    Timeouts {
        // `None` sorts first, so one unknown makes the minimum unknown.
        shortest_session: shortest(&session),
        longest_session: longest(&session, DEFAULT_SESSION),
        shortest_rebalance: shortest(&rebalance),
        longest_rebalance: longest(&rebalance, DEFAULT_REBALANCE),
    }
}

/// Members by static seat. A member that used several instances ties their seats together.
/// By member, and by instance.
type Seats<'h> = (BTreeMap<&'h str, usize>, BTreeMap<&'h str, usize>);

fn seats<'h>(ops: &[&'h Op]) -> Seats<'h> {
    let mut seats: BTreeMap<&str, usize> = BTreeMap::new();
    let mut instances: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next = 0;
    for op in ops {
        let (Some(member), Some(instance)) = (member_of(op), name(&op.args, "instance_id")) else {
            continue;
        };
        let (a, b) = (seats.get(member).copied(), instances.get(instance).copied());
        let seat = a.or(b).unwrap_or_else(|| {
            next += 1;
            next
        });
        if let (Some(a), Some(b)) = (a, b) {
            seats
                .values_mut()
                .chain(instances.values_mut())
                .filter(|seat| **seat == b)
                .for_each(|seat| *seat = a);
        }
        seats.insert(member, seat);
        instances.insert(instance, seat);
    }
    (seats, instances)
}

/// How many partitions topics have, where a history tells.
#[derive(Debug)]
pub struct Topics<'h> {
    configured: BTreeMap<&'h str, i64>,
    changes: BTreeMap<&'h str, Vec<&'h Op>>,
}

/// For how long a change of a topic must be over before groups are held to it.
const SETTLED: Micros = 2_000_000;

impl<'h> Topics<'h> {
    fn of(history: &'h History) -> Self {
        let configured = history.header.config.get("partitions").and_then(Value::as_object);
        let configured = configured.into_iter().flatten();
        let mut changes: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
        for op in history.ops.iter().filter(|op| op.outcome != Outcome::Fail) {
            if matches!(op.f.as_str(), "create_topic" | "create_partitions" | "delete_topic") {
                changes.entry(topic(&op.args)).or_default().push(op);
            }
        }
        Self {
            configured: configured
                .filter_map(|(topic, count)| Some((topic.as_str(), count.as_i64()?)))
                .collect(),
            changes,
        }
    }

    /// The number of a topic's partitions during `[from, to]`, where it is certain and had been so
    /// for a while.
    #[must_use]
    pub fn partitions(&self, topic: &str, from: Micros, to: Micros) -> Option<i64> {
        let changes = self.changes.get(topic).map_or(&[][..], Vec::as_slice);
        let begun: Vec<&&Op> = changes.iter().filter(|op| op.invoke_us <= to).collect();
        if begun
            .iter()
            .any(|op| unknown(op) || op.complete_us.is_none_or(|done| done + SETTLED > from))
        {
            return None;
        }
        // The changes must have followed each other for the last one to tell the number.
        if begun.windows(2).any(|pair| pair[0].complete_us > Some(pair[1].invoke_us)) {
            return None;
        }
        match begun.last() {
            Some(op) if op.f == "delete_topic" => None,
            Some(op) => op.args.get("partitions").and_then(Value::as_i64),
            None => self.configured.get(topic).copied(),
        }
    }

    /// Whether this life of a topic may have ended by that time.
    #[must_use]
    pub fn may_be_over(&self, topic: &str, by: Micros) -> bool {
        let changes = self.changes.get(topic).map_or(&[][..], Vec::as_slice);
        changes.iter().any(|op| op.f == "delete_topic" && op.invoke_us <= by)
    }

    /// When something may have changed the partitions of any topic.
    pub fn changes(&self) -> impl Iterator<Item = &'h Op> + '_ {
        self.changes.values().flatten().copied()
    }
}
