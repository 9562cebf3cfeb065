//! A classic group's join phase: what sets it off, how long it lasts, how it ends.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::command::Protocol;
use super::event::{ClassicEvent, InitialDelay};
use super::members::{Classic, ClassicMember, DelayedKind, Phase};
use super::reply::{ClassicReply, JoinedMember};
use crate::command::RequestId;
use crate::groups::event::{GroupEvent, RebalanceReason, RemovalReason};
use crate::groups::group::Group;
use crate::ids::{GroupId, MemberId, ProtocolName};
use crate::rejection::Rejection;
use crate::reply::{Outcome, Reply};
use crate::state::State;
use crate::transition::Transition;

/// A group that is known to be a classic one, and its members.
pub(super) fn classic<'a>(state: &'a State, id: &GroupId) -> (&'a Group, &'a Classic) {
    let group = state.group(id).expect("a classic group");
    (group, group.membership.classic().expect("a classic group"))
}

/// Something changed that the assignment depends on. A group whose members join already takes it
/// in.
pub(in crate::groups) fn trigger(tx: &mut Transition<'_>, id: &GroupId, reason: RebalanceReason) {
    match classic(tx.state(), id).1.phase {
        Phase::Stable | Phase::Completing => prepare(tx, id, reason, None),
        Phase::Empty | Phase::Preparing { .. } => {}
    }
}

/// Begins the join phase. `own`: the member whose request this is; its answer is the request's
/// outcome and no event.
pub(super) fn prepare(
    tx: &mut Transition<'_>,
    id: &GroupId,
    reason: RebalanceReason,
    own: Option<&MemberId>,
) {
    for (member, request_id) in delayed(classic(tx.state(), id).1, DelayedKind::Sync) {
        answer(tx, id, &member, request_id, Err(Rejection::RebalanceInProgress(id.clone())));
    }
    let delay_ms = tx.state().limits().initial_rebalance_delay_ms;
    let members = classic(tx.state(), id).1;
    let timeout_ms = members.rebalance_timeout_ms();
    let waits_for_more = members.phase == Phase::Empty && delay_ms > 0;
    let initial = waits_for_more
        .then(|| InitialDelay { delay_ms, remaining_ms: timeout_ms.saturating_sub(delay_ms) });
    tx.emit_group(id, GroupEvent::RebalanceStarted { reason, timeout_ms, initial });
    if initial.is_none() {
        maybe_finish(tx, id, own);
    }
}

/// Ends the join phase if everyone who is there has joined, and everyone who was given an id.
pub(super) fn maybe_finish(tx: &mut Transition<'_>, id: &GroupId, own: Option<&MemberId>) {
    let Classic { members, joining, away, pending_join, .. } = classic(tx.state(), id).1;
    let all_joined = joining.len() + away.len() == members.len() && pending_join.is_empty();
    if members.is_empty() || (all_joined && !joining.is_empty()) {
        finish(tx, id, own);
    }
}

/// Whether a join that is the last one ends the join phase: not while the group, empty before,
/// waits for more.
pub(super) fn joins_may_finish(members: &Classic) -> bool {
    match members.phase {
        Phase::Preparing { initial, .. } => initial.is_none(),
        Phase::Empty | Phase::Completing | Phase::Stable => false,
    }
}

/// Ends the join phase: dynamic members that did not join are out, static ones keep their seats.
pub(super) fn finish(tx: &mut Transition<'_>, id: &GroupId, own: Option<&MemberId>) {
    let members = classic(tx.state(), id).1;
    let is_late = |(id, m): &(&MemberId, &ClassicMember)| {
        m.instance_id.is_none() && !members.joining.contains(*id)
    };
    let late: Vec<_> = members.members.iter().filter(is_late).map(|(id, _)| id.clone()).collect();
    for member in late {
        tx.emit_group(
            id,
            GroupEvent::MemberRemoved { member, reason: RemovalReason::MissedRebalance },
        );
    }

    let (group, members) = classic(tx.state(), id);
    let generation = group.generation.next();
    if members.members.is_empty() {
        tx.emit_group(id, ClassicEvent::Emptied { generation });
        return;
    }
    let leader = members.leader.as_ref().filter(|leader| members.joining.contains(*leader));
    let Some(leader) = leader.or(members.joining.first()).cloned() else {
        // Only seats of static members are left, and nobody in them: wait on, until they come or
        // end.
        let timeout_ms = members.rebalance_timeout_ms();
        tx.emit_group(id, ClassicEvent::RebalanceExtended { timeout_ms, initial: None });
        return;
    };
    let protocol = elect(members, None);
    let waiting = delayed(members, DelayedKind::Join);
    tx.emit_group(id, ClassicEvent::JoinCompleted { generation, protocol, leader });
    for (member, request_id) in waiting.into_iter().filter(|(member, _)| Some(member) != own) {
        let outcome = Ok(joined(tx.state(), id, &member, None));
        answer(tx, id, &member, request_id, outcome);
    }
}

/// The initial delay is over: once more if members came meanwhile and there is time left, else the
/// join phase ends.
pub(super) fn initial_delay_over(tx: &mut Transition<'_>, id: &GroupId) {
    let Phase::Preparing { timeout_ms, initial: Some(initial) } = classic(tx.state(), id).1.phase
    else {
        return;
    };
    let InitialDelay { delay_ms, remaining_ms } = initial.delay;
    if initial.joined && remaining_ms != 0 {
        let next = InitialDelay {
            delay_ms: tx.state().limits().initial_rebalance_delay_ms.min(remaining_ms),
            remaining_ms: remaining_ms.saturating_sub(delay_ms),
        };
        tx.emit_group(id, ClassicEvent::RebalanceExtended { timeout_ms, initial: Some(next) });
    } else {
        finish(tx, id, None);
    }
}

/// Members did not ask for their assignment in time: they are out, the others rebalance.
pub(super) fn sync_time_out(tx: &mut Transition<'_>, id: &GroupId) {
    let late = classic(tx.state(), id).1.pending_sync.clone();
    for member in late {
        tx.emit_group(id, GroupEvent::MemberRemoved { member, reason: RemovalReason::MissedSync });
    }
    prepare(tx, id, RebalanceReason::SyncTimedOut, None);
}

/// The protocol that all members support and most prefer (a tie: the smallest name). `changed`: a
/// member and what it would offer instead.
pub(super) fn elect(members: &Classic, changed: Option<(&MemberId, &[Protocol])>) -> ProtocolName {
    let offers = |(id, member): (&MemberId, &'_ ClassicMember)| -> Vec<ProtocolName> {
        let offered = match changed {
            Some((changed, offers)) if changed == id => offers,
            Some(_) | None => &member.protocols,
        };
        offered.iter().map(|p| p.name.clone()).collect()
    };
    let offers: Vec<Vec<ProtocolName>> = members.members.iter().map(offers).collect();
    let mut supporters: BTreeMap<&ProtocolName, usize> = BTreeMap::new();
    for name in offers.iter().flatten() {
        *supporters.entry(name).or_default() += 1;
    }
    let mut votes: BTreeMap<&ProtocolName, usize> = BTreeMap::new();
    for choice in
        offers.iter().filter_map(|o| o.iter().find(|name| supporters[name] == offers.len()))
    {
        *votes.entry(choice).or_default() += 1;
    }
    let most = votes.values().max().copied().unwrap_or(0);
    let elected = votes.into_iter().find(|(_, count)| *count == most);
    elected.expect("each join was checked to leave a protocol that all support").0.clone()
}

/// The answer to a member's join. `replaced`: whose seat it took without a rebalance.
pub(super) fn joined(
    state: &State,
    id: &GroupId,
    member: &MemberId,
    replaced: Option<&MemberId>,
) -> Reply {
    let (group, classic) = classic(state, id);
    let protocol = classic.protocol.clone().expect("was elected");
    let leader = classic.leader.clone().expect("a group with members has a leader");
    let as_leader_sees = |(id, m): (&MemberId, &ClassicMember)| {
        let offered = m.protocol(&protocol);
        JoinedMember {
            member_id: id.clone(),
            instance_id: m.instance_id.clone(),
            topics: offered.map_or_else(Vec::new, |p| p.topics.clone()),
            owned: offered.map_or_else(Vec::new, |p| p.owned.clone()),
            generation: offered.and_then(|p| p.generation),
            metadata: offered.map_or_else(Bytes::new, |p| p.metadata.clone()),
        }
    };
    let members = if leader == *member {
        classic.members.iter().map(as_leader_sees).collect()
    } else {
        Vec::new()
    };
    let (generation, member_id) = (group.generation, member.clone());
    let replaced = replaced.cloned();
    ClassicReply::Joined { generation, protocol, leader, member_id, members, replaced }.into()
}

/// The members whose requests of one kind are delayed, and which requests those are.
pub(super) fn delayed(members: &Classic, kind: DelayedKind) -> Vec<(MemberId, Option<RequestId>)> {
    let delayed = |(id, m): (&MemberId, &ClassicMember)| {
        let delayed = m.delayed.as_ref().filter(|d| d.kind == kind)?;
        Some((id.clone(), delayed.request_id))
    };
    members.members.iter().filter_map(delayed).collect()
}

/// Answers a delayed request.
pub(super) fn answer(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    request_id: Option<RequestId>,
    outcome: Outcome,
) {
    tx.emit_group(id, GroupEvent::Answered { member: member.clone(), request_id, outcome });
}
