//! Rebalances of classic groups: why each was, and for how long it stopped each partition.
//!
//! This module owns the figures ([`pauses`], [`PauseFigures`]) behind the tables of rebalances. A
//! rebalance is a generation in which somebody was told an assignment after an earlier one; all
//! that is known of it is what members asked and were told. A pause is what a consumer's user
//! feels: from the last answered fetch of whoever had the partition before to the first of whoever
//! has it now. A process that joins again under another id is another member from then on, and
//! where both ids are of one static seat, the pause has the member's own absence in it. It does not
//! know which pauses are too long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::figures::Latency;
use crate::checkers::clock::late_until;
use crate::checkers::groups::view::{Group, Groups, Partition, Telling};
use crate::checkers::logs::{name, topic};
use crate::history::{History, Micros, Op, Outcome};

/// Why a group rebalanced, as far as its members' requests tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "cause", content = "member")]
pub enum Cause {
    /// Somebody joined who was not in the generation before.
    Join(String),
    /// Somebody left.
    Leave(String),
    /// Somebody was silent and is no longer in the group: its session ended.
    Session(String),
    /// Cooperative members joined again to take what others had given up in the round before.
    SecondRound,
    /// Nothing tells.
    Unknown,
}

/// In a word or two, for people.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(member) => write!(f, "{member} joined"),
            Self::Leave(member) => write!(f, "{member} left"),
            Self::Session(member) => write!(f, "the session of {member} ended"),
            Self::SecondRound => f.write_str("second cooperative round"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Who has a partition after a rebalance, seen from who had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// The same member.
    Kept,
    /// The same static seat, whose member was away and came back under another id.
    Returned,
    /// Another member.
    Moved,
}

/// How one partition stood still in a rebalance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionPause {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// Whose it was before.
    pub from: String,
    /// Whose it is now.
    pub to: String,
    /// Whether it is the same member, one that came back, or another.
    pub handover: Handover,
    /// When the last fetch of whoever had it before was answered.
    pub stopped_us: Micros,
    /// When the first fetch of whoever has it now was answered; `None` if there was none.
    pub resumed_us: Option<Micros>,
}

impl PartitionPause {
    /// For how long nobody read it.
    #[must_use]
    pub fn pause_us(&self) -> Option<Micros> {
        self.resumed_us.map(|resumed| resumed.saturating_sub(self.stopped_us))
    }
}

/// One rebalance of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebalance {
    /// The group.
    pub group: String,
    /// The generation that came of it.
    pub generation: i64,
    /// When its cause came, as far as known; else when the first member joined the generation.
    pub began_us: Micros,
    /// When the last member was told its assignment.
    pub ended_us: Micros,
    /// Why.
    pub cause: Cause,
    /// How many members were told an assignment.
    pub members: usize,
    /// The partitions that somebody had read before and that somebody owns now.
    pub partitions: Vec<PartitionPause>,
}

/// How long partitions stood still in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PauseFigures {
    /// Those that went to another member.
    pub moved: Latency,
    /// Those that stayed.
    pub kept: Latency,
    /// Those that waited for a static member to come back.
    pub returned: Latency,
    /// Those that were not read again.
    pub unread: usize,
}

impl PauseFigures {
    /// The figures of some rebalances.
    #[must_use]
    pub fn of<'a>(rebalances: impl Iterator<Item = &'a Rebalance> + Clone) -> Self {
        let all = || rebalances.clone().flat_map(|rebalance| &rebalance.partitions);
        let of = |handover: Handover| {
            let some = all().filter(|partition| partition.handover == handover);
            Latency::of(some.filter_map(PartitionPause::pause_us).collect())
        };
        let unread = all().filter(|partition| partition.resumed_us.is_none()).count();
        Self {
            moved: of(Handover::Moved),
            kept: of(Handover::Kept),
            returned: of(Handover::Returned),
            unread,
        }
    }
}

/// The rebalances of all classic groups of a history, by group and in the order of generations.
#[must_use]
pub fn pauses(history: &History) -> Vec<Rebalance> {
    let groups = Groups::of(history);
    let fetches = Fetches::of(history);
    let classic = groups.groups.values().filter(|group| !group.thin);
    classic
        .flat_map(|group| {
            Rounds { history, group, fetches: &fetches, lives: lives(group) }.rebalances()
        })
        .collect()
}

/// Answered fetches by process and partition, in the order of invocation.
struct Fetches<'h>(BTreeMap<(&'h str, Partition), Vec<&'h Op>>);

impl<'h> Fetches<'h> {
    fn of(history: &'h History) -> Self {
        let mut fetches: BTreeMap<(&str, Partition), Vec<&Op>> = BTreeMap::new();
        let heal = history.header.heal_us.unwrap_or(Micros::MAX);
        // The final phase reads everything, whoever owns it.
        let read = |op: &&Op| op.f == "fetch" && op.outcome == Outcome::Ok && op.invoke_us < heal;
        for op in history.ops.iter().filter(read) {
            let Some(number) = op.args.get("partition").and_then(Value::as_i64) else { continue };
            let partition = (topic(&op.args).to_owned(), number);
            fetches.entry((&op.process, partition)).or_default().push(op);
        }
        fetches.values_mut().for_each(|all| all.sort_by_key(|op| (op.invoke_us, op.id)));
        Self(fetches)
    }

    /// The fetches of a partition by a member; of a process that names its members by that one.
    fn by(&self, owner: &Owner<'h>, partition: &Partition) -> impl Iterator<Item = &'h Op> {
        let all = self.0.get(&(owner.process, partition.clone()));
        let member = owner.member;
        let until = owner.until;
        let own = move |op: &&Op| {
            op.invoke_us < until && name(&op.args, "member_id").is_none_or(|by| by == member)
        };
        all.into_iter().flatten().copied().filter(own)
    }
}

/// Who owns a partition.
#[derive(Debug, Clone, Copy)]
struct Owner<'h> {
    member: &'h str,
    process: &'h str,
    /// When the process was told that it is another member.
    until: Micros,
}

/// By process: what members it was, and when it was first told of each, in that order.
type Lives<'h> = BTreeMap<&'h str, Vec<(Micros, &'h str)>>;

fn lives<'h>(group: &Group<'h>) -> Lives<'h> {
    let mut first: BTreeMap<(&str, &str), Micros> = BTreeMap::new();
    for telling in &group.tellings {
        let told = first.entry((&telling.op.process, telling.member)).or_insert(Micros::MAX);
        *told = telling.complete.min(*told);
    }
    let mut lives = Lives::new();
    for ((process, member), told) in first {
        lives.entry(process).or_default().push((told, member));
    }
    lives.values_mut().for_each(|all| all.sort_unstable());
    lives
}

/// The answers that told the assignments of one generation.
type Round<'a, 'h> = Vec<&'a Telling<'h>>;

struct Rounds<'a, 'h> {
    history: &'h History,
    group: &'a Group<'h>,
    fetches: &'a Fetches<'h>,
    lives: Lives<'h>,
}

impl<'a, 'h> Rounds<'a, 'h> {
    fn rebalances(&self) -> Vec<Rebalance> {
        let mut rounds: BTreeMap<i64, Round<'a, 'h>> = BTreeMap::new();
        for telling in self.group.tellings.iter().filter(|telling| telling.assignment.is_some()) {
            if telling.op.f == "sync_group" {
                rounds.entry(telling.generation).or_default().push(telling);
            }
        }
        let mut owners: BTreeMap<&Partition, Owner<'h>> = BTreeMap::new();
        let mut before: Option<&Round<'a, 'h>> = None;
        let mut rebalances = Vec::new();
        for (generation, round) in &rounds {
            if let Some(before) = before {
                let mut partitions = Vec::new();
                for telling in round {
                    for partition in telling.assignment.iter().flatten() {
                        let Some(owner) = owners.get(partition) else { continue };
                        partitions.extend(self.pause(*owner, telling, partition));
                    }
                }
                partitions.sort_by(|a, b| {
                    (&a.topic, a.partition, a.stopped_us).cmp(&(
                        &b.topic,
                        b.partition,
                        b.stopped_us,
                    ))
                });
                partitions.dedup_by(|a, b| (&a.topic, a.partition) == (&b.topic, b.partition));
                let (cause, began_us) = self.cause(before, round, *generation);
                rebalances.push(Rebalance {
                    group: self.group.name.to_owned(),
                    generation: *generation,
                    began_us,
                    ended_us: round.iter().map(|telling| telling.complete).max().unwrap_or(0),
                    cause,
                    members: members(round).len(),
                    partitions,
                });
            }
            for telling in round {
                let owner = self.owner(telling);
                let told = telling.assignment.iter().flatten();
                // Who never read it did not take it over, as far as a reader is concerned.
                let reads = |partition: &&Partition| {
                    let mut fetches = self.fetches.by(&owner, partition);
                    fetches.any(|op| op.invoke_us >= telling.complete)
                };
                owners.extend(told.filter(reads).map(|partition| (partition, owner)));
            }
            before = Some(round);
        }
        rebalances
    }

    fn owner(&self, telling: &Telling<'h>) -> Owner<'h> {
        let (member, process) = (telling.member, telling.op.process.as_str());
        let lives = self.lives.get(process).into_iter().flatten();
        let next = lives.skip_while(|(_, life)| *life != member).nth(1);
        Owner { member, process, until: next.map_or(Micros::MAX, |(told, _)| *told) }
    }

    /// How a partition stood still between one owner and the answer that told the next.
    fn pause(
        &self,
        old: Owner<'h>,
        new: &Telling<'h>,
        partition: &Partition,
    ) -> Option<PartitionPause> {
        let owner = self.owner(new);
        let mut after = self.fetches.by(&owner, partition);
        let resumed = after.find(|op| op.invoke_us >= new.complete);
        let resumed_us = resumed.and_then(|op| op.complete_us);
        // Whoever had it may go on for a while after the new one was told, but not after it reads.
        let until = resumed.map_or(Micros::MAX, |op| op.invoke_us);
        let same = old.member == new.member;
        let until = if same { until.min(new.complete) } else { until };
        let before = self.fetches.by(&old, partition).take_while(|op| op.invoke_us < until);
        let stopped_us = before.filter_map(|op| op.complete_us).max()?;
        Some(PartitionPause {
            topic: partition.0.clone(),
            partition: partition.1,
            from: old.member.to_owned(),
            to: new.member.to_owned(),
            handover: match old.member == new.member {
                true => Handover::Kept,
                false if self.group.same_seat(old.member, new.member) => Handover::Returned,
                false => Handover::Moved,
            },
            stopped_us,
            resumed_us,
        })
    }

    /// Why a generation came after another, and since when.
    fn cause(
        &self,
        before: &Round<'a, 'h>,
        round: &Round<'a, 'h>,
        generation: i64,
    ) -> (Cause, Micros) {
        let (old, new) = (members(before), members(round));
        let since = before.iter().map(|telling| telling.invoke).min().unwrap_or(0);
        let until = round.iter().map(|telling| telling.complete).min().unwrap_or(Micros::MAX);
        let in_other = |member: &str, others: &BTreeSet<&str>| {
            others.iter().any(|other| self.group.same_seat(member, other))
        };
        let mut causes: Vec<(Micros, Cause)> = Vec::new();
        for member in new.iter().filter(|member| !in_other(member, &old)) {
            let join = self.first(member, "join_group", since, until);
            causes.extend(join.map(|op| (op.invoke_us, Cause::Join((*member).to_owned()))));
        }
        for member in old.iter() {
            if let Some(op) = self.first(member, "leave_group", since, until) {
                causes.push((op.invoke_us, Cause::Leave((*member).to_owned())));
            } else if !in_other(member, &new)
                && let Some(ended) = self.session_ends(member, until)
            {
                causes.push((ended, Cause::Session((*member).to_owned())));
            }
        }
        let joins = self
            .group
            .tellings
            .iter()
            .filter(|telling| telling.op.f == "join_group" && telling.generation == generation);
        let joined = joins.map(|telling| telling.invoke).min().unwrap_or(until);
        match causes.into_iter().min_by_key(|(at, _)| *at) {
            Some((at, cause)) => (cause, at),
            None if self.group.cooperative && self.withheld(before, round) => {
                (Cause::SecondRound, joined)
            }
            None => (Cause::Unknown, joined),
        }
    }

    /// A member's first request of a kind in a time that may have acted.
    fn first(&self, member: &str, f: &str, since: Micros, until: Micros) -> Option<&'h Op> {
        let requests = self.group.requests.get(member)?.iter().copied();
        let mut of_kind = requests.filter(|op| op.f == f && op.outcome != Outcome::Fail);
        of_kind.find(|op| late_until(self.history, op) >= since && op.invoke_us <= until)
    }

    /// When the session of a member was over that asked for nothing more by then.
    fn session_ends(&self, member: &str, until: Micros) -> Option<Micros> {
        let requests = self.group.requests.get(member)?.iter();
        let accepted = requests.filter(|op| op.outcome == Outcome::Ok && op.invoke_us <= until);
        let last = accepted.filter_map(|op| op.complete_us).max()?;
        let ended = last.saturating_add(self.group.timeouts.longest_session);
        Some(ended.min(until))
    }

    /// Whether a partition is somebody's again that was nobody's in the generation before.
    fn withheld(&self, before: &Round<'a, 'h>, round: &Round<'a, 'h>) -> bool {
        let owned = |round: &Round<'a, 'h>| -> BTreeSet<&'a Partition> {
            round.iter().flat_map(|telling| telling.assignment.iter().flatten()).collect()
        };
        !owned(round).is_subset(&owned(before))
    }
}

fn members<'h>(round: &Round<'_, 'h>) -> BTreeSet<&'h str> {
    round.iter().map(|telling| telling.member).collect()
}
