//! **overlapping-ownership** (G2): two members certainly owned the same partition at the same time.
//!
//! Holds for all groups: eager ones hand nothing out before all have given up, cooperative ones
//! hand a partition over only when its old owner has given it up or is gone.
//!
//! A reply that tells a member its partitions was true at some instant between the request's
//! invocation and its completion. Two such replies of one generation were true all the time in
//! between, for what a member loses it does not get back in the same generation. So a member
//! certainly owned a partition from the first such reply's completion to the last such request's
//! invocation. It owned it for longer: until its own next request by which it may give it up, until
//! an answer tells it that it is out, and at the longest for the session time-out and the rebalance
//! time-out after its last request, on its own clock. That extension is left out where the
//! time-outs are not known, where clocks of nodes were skewed, and where an earlier request that
//! nobody answered may still act.
//!
//! Members of KIP-848 have epochs, and heartbeats that show what they own: see
//! [`epochs`](super::epochs). There a static seat that is in use is given to nobody else, so two
//! members in one are two.
//!
//! On Kafka's wire heartbeats of classic members show nothing, since a coordinator that loads its
//! groups accepts any. There a session runs from the join of that generation or a commit, and a
//! static seat, which an administrator may empty, is not extended. Nor is any seat where others may
//! have been at work beside a watch: they may throw members out.

use std::collections::BTreeMap;

use super::view::{Group, Groups, Partition, Telling, partition_text};
use crate::checkers::clock::{at, late_until, skewed, unknown};
use crate::checkers::{Checker, Need, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// One partition, one instant, two owners.
#[derive(Debug)]
pub struct OverlappingOwnership;

impl Checker for OverlappingOwnership {
    fn name(&self) -> &'static str {
        "overlapping-ownership"
    }

    fn check(&self, history: &History) -> Verdict {
        let groups = Groups::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for group in groups.groups.values() {
            for (partition, mut tenures) in tenures(group, history) {
                judged += tenures.len();
                let same = |a: &Tenure<'_>, b: &Tenure<'_>| group.same_seat(a.member, b.member);
                overlaps(&mut tenures, same, |earlier, later| {
                    violations.push(violation(
                        group.name,
                        "generation",
                        &partition,
                        earlier,
                        later,
                    ));
                });
            }
        }
        for group in &groups.epochs {
            for (partition, mut tenures) in group.tenures(history) {
                judged += tenures.len();
                let same = |a: &Tenure<'_>, b: &Tenure<'_>| a.member == b.member;
                overlaps(&mut tenures, same, |earlier, later| {
                    violations.push(violation(group.name, "epoch", &partition, earlier, later));
                });
            }
        }
        Verdict::of(judged, violations, Groups::NONE)
    }
}

/// A time during which a member certainly owned a partition, if it begins before it ends; else it
/// owned it at some instant between its end and its beginning.
#[derive(Debug, Clone)]
pub struct Tenure<'h> {
    /// The member.
    pub member: &'h str,
    /// The generation.
    pub generation: i64,
    /// By then the member owned the partition.
    pub begins: Micros,
    /// Until then at least it went on to.
    pub ends: Micros,
    /// The reply that told it first.
    pub first: u64,
    /// The last one to tell it.
    pub last: u64,
}

/// What shows the assignment of a classic member in a generation.
#[derive(Default)]
struct Shown<'a, 'h> {
    /// The answer that told it.
    sync: Option<&'a Telling<'h>>,
    /// What was accepted in the generation.
    accepted: Vec<&'a Telling<'h>>,
}

/// When each partition was certainly owned by whom, by partition.
#[must_use]
pub fn tenures<'h>(group: &Group<'h>, history: &History) -> BTreeMap<Partition, Vec<Tenure<'h>>> {
    // Classic members are told their assignment once, by `sync_group`; other accepted requests of
    // that generation show that it still stands.
    let mut told: BTreeMap<(&str, i64), Shown<'_, 'h>> = BTreeMap::new();
    let mut runs: BTreeMap<(&Partition, &'h str, i64), Vec<&Telling<'h>>> = BTreeMap::new();
    for telling in &group.tellings {
        if group.thin {
            for partition in telling.assignment.iter().flatten() {
                runs.entry((partition, telling.member, telling.generation))
                    .or_default()
                    .push(telling);
            }
        } else {
            let entry = told.entry((telling.member, telling.generation)).or_default();
            if telling.assignment.is_some() && entry.sync.is_none() {
                entry.sync = Some(telling);
            }
            // A join is answered before the generation's assignments are made.
            if telling.op.f != "join_group" {
                entry.accepted.push(telling);
            }
        }
    }
    for ((member, generation), Shown { sync, accepted }) in told {
        for partition in sync.and_then(|sync| sync.assignment.as_ref()).into_iter().flatten() {
            // What was accepted before the assignments were made says nothing of them.
            let since = sync.map_or(0, |sync| sync.invoke);
            let shown = accepted.iter().copied().filter(|telling| telling.invoke >= since);
            runs.insert((partition, member, generation), shown.collect());
        }
    }
    let releases: BTreeMap<&str, Releases<'_>> = group
        .requests
        .keys()
        .map(|member| (*member, Releases::of(group, history, member)))
        .collect();
    let unsure = skewed(history) || Need::EveryClient.lacking(history).is_some();
    let mut tenures: BTreeMap<Partition, Vec<Tenure<'h>>> = BTreeMap::new();
    for ((partition, member, generation), run) in runs {
        let (Some(first), Some(last)) = (
            run.iter().min_by_key(|t| (t.complete, t.op.id)),
            run.iter().max_by_key(|t| (t.invoke, t.op.id)),
        ) else {
            continue;
        };
        let extension = if unsure { None } else { extension(group, &run, &releases[member]) };
        // Whoever evicted it, and rightly or not: from here on it knows.
        let told_out = told_out(group, member, generation, last.invoke);
        let extension = extension.map(|until| told_out.map_or(until, |out| out.min(until)));
        tenures.entry(partition.clone()).or_default().push(Tenure {
            member,
            generation,
            begins: first.complete,
            ends: extension.unwrap_or(0).max(last.invoke),
            first: first.op.id,
            last: last.op.id,
        });
    }
    tenures
}

/// The requests by which a member, or who follows it in its seat, may give up what it owns.
struct Releases<'h> {
    /// In the order of invocation.
    requests: Vec<&'h Op>,
    /// Of those without an answer: when they were invoked, and until when they may act.
    open: Vec<(Micros, Micros)>,
    /// The longest that an answered one took.
    longest: Micros,
}

impl<'h> Releases<'h> {
    fn of(group: &Group<'h>, history: &History, member: &str) -> Self {
        let mut requests = group.seat_requests(member);
        requests.retain(|op| {
            matches!(
                op.f.as_str(),
                "poll" | "subscribe" | "unsubscribe" | "join_group" | "leave_group"
            )
        });
        let open = requests
            .iter()
            .filter(|op| unknown(op))
            .map(|op| (op.invoke_us, late_until(history, op)));
        let answered = requests.iter().filter(|op| !unknown(op));
        let longest =
            answered.filter_map(|op| Some(op.complete_us? - op.invoke_us)).max().unwrap_or(0);
        Self { open: open.collect(), longest, requests }
    }

    /// Whether one that was invoked by `time` may act after it. `run` is known not to give anything
    /// up.
    fn pending(&self, time: Micros, run: &[&Telling<'_>]) -> bool {
        let open = self.open.iter().any(|(invoke, until)| *invoke <= time && *until >= time);
        let from =
            self.requests.partition_point(|op| op.invoke_us < time.saturating_sub(self.longest));
        let mut near = self.requests[from..].iter().take_while(|op| op.invoke_us <= time);
        open || near.any(|op| {
            op.complete_us >= Some(time) && run.iter().all(|telling| telling.op.id != op.id)
        })
    }

    /// When the first one after `time` was invoked.
    fn next(&self, time: Micros) -> Option<Micros> {
        self.requests
            .get(self.requests.partition_point(|op| op.invoke_us <= time))
            .map(|op| op.invoke_us)
    }
}

/// Until when a member owned its partitions by its own clock and its own doings.
fn extension(group: &Group<'_>, run: &[&Telling<'_>], releases: &Releases<'_>) -> Option<Micros> {
    let (session, rebalance) =
        (group.timeouts.shortest_session?, group.timeouts.shortest_rebalance?);
    // Any request of a thin consumer extends its session, but only a poll its poll interval. A
    // classic member's session is extended by heartbeats; the rebalance time-out is given to it
    // from the moment at which a rebalance begins. From then on its heartbeats are refused, but its
    // commits are not.
    let latest = |extends: &dyn Fn(&str) -> bool| {
        run.iter().filter(|telling| extends(&telling.op.f)).map(|telling| telling.invoke).max()
    };
    let last = latest(&|_| true)?;
    let session_from = if group.wire {
        latest(&|f| f == "commit_offset").max(joined(group, run[0]))?
    } else {
        latest(&|f| group.thin || matches!(f, "heartbeat" | "sync_group"))?
    };
    let rebalance_from = latest(&|f| match group.thin {
        true => matches!(f, "poll" | "subscribe"),
        false => matches!(f, "heartbeat" | "sync_group"),
    })?;
    if releases.pending(last, run) || group.wire && group.is_static(run[0].member) {
        return None;
    }
    let timeout =
        session_from.saturating_add(session).min(rebalance_from.saturating_add(rebalance));
    Some(releases.next(last).map_or(timeout, |next| next.min(timeout)))
}

/// When a member asked to join the generation of a telling: its session began when that was
/// answered.
fn joined(group: &Group<'_>, telling: &Telling<'_>) -> Option<Micros> {
    let joins = group.tellings.iter().filter(|join| join.op.f == "join_group");
    let same = joins.filter(|j| j.member == telling.member && j.generation == telling.generation);
    same.map(|join| join.invoke).min()
}

/// When a member was first told, after `time`, that it is no longer of this generation.
fn told_out(group: &Group<'_>, member: &str, generation: i64, time: Micros) -> Option<Micros> {
    let tells = |op: &&&Op| match op.error.as_deref() {
        Some("UNKNOWN_MEMBER_ID" | "FENCED_INSTANCE_ID") => op.outcome == Outcome::Fail,
        Some("ILLEGAL_GENERATION") => {
            let named = op.args.get("generation").and_then(serde_json::Value::as_i64);
            op.outcome == Outcome::Fail && named.is_none_or(|named| named == generation)
        }
        _ => false,
    };
    let requests = group.requests.get(member)?;
    requests
        .iter()
        .filter(tells)
        .filter_map(|op| op.complete_us)
        .filter(|complete| *complete > time)
        .min()
}

/// Tells of any two times that overlap, if they are not of the same member.
pub(super) fn overlaps<'a, 'h>(
    tenures: &'a mut [Tenure<'h>],
    same: impl Fn(&Tenure<'h>, &Tenure<'h>) -> bool,
    mut tell: impl FnMut(&Tenure<'h>, &Tenure<'h>),
) {
    tenures.sort_by_key(|tenure| (tenure.begins, tenure.first));
    let mut open: Vec<&'a Tenure<'h>> = Vec::new();
    for tenure in &*tenures {
        open.retain(|earlier| earlier.ends > tenure.begins);
        for earlier in &open {
            if tenure.ends > earlier.begins && !same(earlier, tenure) {
                tell(earlier, tenure);
            }
        }
        open.push(tenure);
    }
}

fn violation(
    group: &str,
    noun: &str,
    partition: &Partition,
    earlier: &Tenure<'_>,
    later: &Tenure<'_>,
) -> Violation {
    Violation::new(
        format!(
            "group {group}: {} was owned by {} ({noun} {}) until {} at least, and by {} ({noun} {}) from {} on at the latest",
            partition_text(partition),
            earlier.member,
            earlier.generation,
            at(earlier.ends),
            later.member,
            later.generation,
            at(later.begins)
        ),
        [earlier.first, earlier.last, later.first, later.last],
    )
}
