//! When a group must have come to rest.
//!
//! This module owns the argument that the checkers of liveness share: after the faults and after
//! the last change of membership, a group whose members all live and poll is stable soon. It says
//! from when on that holds and who lives ([`Settled`]), or why nothing can be said. It errs on the
//! side of the node.

use super::view::{Group, Groups};
use crate::checkers::clock::{at, late_until, slack, unknown};
use crate::checkers::logs::{name, topic};
use crate::history::{History, Micros, Op, Outcome};

/// A group at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled<'h> {
    /// From then on the group must be stable.
    pub since: Micros,
    /// Who is a member and acts as one, in the order of names.
    pub live: Vec<&'h str>,
}

/// How many rounds of polls of all members a rebalance takes at most: one to give up, one to be
/// told, and one to spare.
const ROUNDS: usize = 3;

/// Whether a request changes who is a member of what, so that a rebalance is due.
fn is_churn(op: &Op, wire: bool) -> bool {
    match op.f.as_str() {
        "subscribe" | "unsubscribe" | "leave_group" => true,
        // On Kafka's wire the id comes from a first join that is refused, and a leader's join
        // always asks for a rebalance.
        "join_group" if wire => true,
        // A join under a known id answers a rebalance, it does not ask for one.
        "join_group" => {
            name(&op.args, "member_id").is_none_or(str::is_empty)
                || name(&op.args, "instance_id").is_some()
        }
        _ => false,
    }
}

/// When a member is certainly out of the group, if it asks for nothing more.
pub(super) fn gone_by(
    history: &History,
    group: &Group<'_>,
    requests: &[&Op],
    heal: Micros,
) -> Micros {
    let last = requests.iter().map(|op| late_until(history, op)).max().unwrap_or(0);
    last.max(heal).saturating_add(group.timeouts.longest_session).saturating_add(slack(history))
}

/// Whether and since when `group` must be at rest at `time`.
///
/// # Errors
/// Why that cannot be said.
pub fn settled<'h>(
    groups: &Groups<'h>,
    group: &Group<'h>,
    time: Micros,
) -> Result<Settled<'h>, String> {
    let history = groups.history;
    let heal = history.header.heal_us.ok_or("the history has no final phase (`heal_us`)")?;
    if time < heal {
        return Err("it was described before the final phase only".to_owned());
    }
    let requests = group.requests.values().flatten().chain(&group.nameless);
    let churn = requests
        .copied()
        .filter(|op| (op.outcome != Outcome::Fail || group.wire) && op.invoke_us <= time)
        .filter(|op| is_churn(op, group.wire));
    let changes = churn
        .chain(groups.topics.changes())
        .chain(first_sends(history))
        .filter(|op| op.invoke_us <= time);
    let mut quiet = changes.map(|op| late_until(history, op)).max().unwrap_or(0).max(heal);
    if quiet >= time {
        return Err(format!("members came and went until {}", at(quiet.min(time))));
    }
    let mut live = Vec::new();
    for (member, requests) in &group.requests {
        let requests: Vec<&Op> =
            requests.iter().copied().filter(|op| op.invoke_us <= time).collect();
        let Some(last) = requests.last() else { continue };
        let left =
            matches!(last.f.as_str(), "unsubscribe" | "leave_group") && last.outcome == Outcome::Ok;
        if left && !group.is_static(member) {
            continue;
        }
        // A member lives if it went on asking, and was answered, until shortly before.
        let breath = group.timeouts.shortest_session.unwrap_or(group.timeouts.longest_session) / 2;
        let fresh = last.invoke_us.saturating_add(breath) >= time && !left;
        if fresh && requests.iter().rev().take(ROUNDS).all(|op| op.outcome == Outcome::Ok) {
            live.push(*member);
            continue;
        }
        let gone = gone_by(history, group, &requests, heal);
        if gone >= time {
            return Err(format!(
                "{member} neither went on as a member nor was silent for long enough by {}",
                at(time)
            ));
        }
        quiet = quiet.max(gone);
    }
    let by_time =
        quiet.saturating_add(group.timeouts.longest_rebalance).saturating_add(slack(history));
    let since = rounds(group, &live, quiet).map_or(by_time, |by_rounds| by_rounds.min(by_time));
    if since >= time {
        return Err(format!("its members had not polled {ROUNDS} times each since {}", at(quiet)));
    }
    Ok(Settled { since, live })
}

/// The first record of a topic may make it, which sets off a rebalance.
fn first_sends(history: &History) -> impl Iterator<Item = &Op> {
    let mut seen = std::collections::BTreeSet::new();
    let sends = history.ops.iter().filter(|op| op.f == "send" && op.args.get("message").is_some());
    // A send that was not answered may be the one that made the topic, so it does not count as the
    // first.
    sends.filter(move |op| {
        op.outcome != Outcome::Fail && !seen.contains(topic(&op.args)) && {
            if !unknown(op) {
                seen.insert(topic(&op.args));
            }
            true
        }
    })
}

/// When every live thin consumer had polled so many times, one after the other, that each step of a
/// rebalance is behind it.
fn rounds(group: &Group<'_>, live: &[&str], since: Micros) -> Option<Micros> {
    if !group.thin {
        return None;
    }
    let mut time = since;
    for _ in 0..ROUNDS {
        let mut slowest = time;
        for member in live {
            let polls = group.requests.get(member)?.iter();
            let mut polls = polls
                .filter(|op| op.f == "poll" && op.outcome == Outcome::Ok && op.invoke_us > time);
            slowest = slowest.max(polls.next()?.complete_us?);
        }
        time = slowest;
    }
    Some(time)
}
