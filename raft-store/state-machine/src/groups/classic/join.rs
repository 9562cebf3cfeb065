//! A classic member joins or rejoins (Kafka's JoinGroup).

use std::collections::BTreeSet;

use super::command::JoinInfo;
use super::event::ClassicEvent;
use super::members::{Classic, ClassicMember, DelayedKind, Phase, base_of_id, member_text};
use super::rebalance::{answer, classic, joined, joins_may_finish, maybe_finish, prepare};
use super::reply::ClassicReply;
use super::{leave, replace};
use crate::command::RequestId;
use crate::groups::event::{RebalanceReason, RemovalReason};
use crate::groups::group::Group;
use crate::ids::{GroupId, MemberId};
use crate::rejection::Rejection;
use crate::reply::{Decided, Decision, Reply};
use crate::topics::budget::MAX_REPLY_TEXT;
use crate::transition::Transition;

/// Order of checks, as in Kafka: group exists or the member is new; group of another kind; size;
/// protocols; what the leader can be told; static identity; member. A member that comes too late
/// into a group that has become too large is removed, and so is the id of one of which the leader
/// cannot be told any more. No other refusal changes anything.
pub(super) fn join(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: Option<&MemberId>,
    id_first: bool,
    mut info: JoinInfo,
) -> Decided {
    // A name that is offered twice counts once, where it comes first: votes are counted by name.
    let mut names = BTreeSet::new();
    info.protocols.retain(|protocol| names.insert(protocol.name.clone()));
    let nobody = Group::default();
    let group = tx.state().group(id).unwrap_or(&nobody);
    if group.membership.polling().is_some() && group.has_members() {
        return Err(group.inconsistent(id, "join_group needs a group without thin members"));
    }
    let empty = Classic::default();
    let members = group.membership.classic().unwrap_or(&empty);
    if let (Some(member), None) = (member, tx.state().group(id)) {
        return Err(Rejection::unknown_member(id, member));
    }
    let seat = info.instance_id.as_ref().and_then(|i| members.instances.get(i)).cloned();
    let limit = tx.state().limits().max_size;
    if !accepts(members, member.or(seat.as_ref()), limit) {
        let is_known =
            |m: &MemberId| members.members.contains_key(m) || members.pending_join.contains_key(m);
        if let Some(member) = member.filter(|m| is_known(m)) {
            leave::go(tx, id, member, RemovalReason::GroupFull);
        }
        return Err(Rejection::GroupFull { group: id.clone(), limit });
    }
    let protocol_type = info.client.as_ref().map(|client| &*client.protocol_type);
    if !members.members.is_empty() && members.protocol_type() != protocol_type {
        return Err(group.inconsistent(id, "its members are of another protocol type"));
    }
    if info.protocols.is_empty() {
        return Err(group.inconsistent(id, "a member has to offer a protocol"));
    }
    let supported =
        |name| members.offered.get(name).is_some_and(|n| *n as usize == members.members.len());
    if !members.members.is_empty() && !info.protocols.iter().any(|p| supported(&p.name)) {
        return Err(group.inconsistent(id, "not all members support one of the protocols offered"));
    }
    let before = member.or(seat.as_ref()).map_or(0, |member| members.text_of(member));
    let (instance_id, client) = (info.instance_id.as_ref(), info.client.as_ref());
    let own = member_text(instance_id, client, &info.protocols);
    let text = members.text_to_come() - before + own;
    if text > MAX_REPLY_TEXT as u64 {
        // Its leader could not be told of all members, and could not assign.
        if let Some(member) = member.filter(|m| members.pending_join.contains_key(*m)) {
            leave::go(tx, id, member, RemovalReason::GroupFull);
        }
        return Err(Rejection::GroupTooLarge { group: id.clone(), text });
    }
    match (member, seat) {
        (None, None) if id_first && info.instance_id.is_none() => {
            let (member, session_timeout_ms) = (new_id(tx, id, &info), info.session_timeout_ms);
            tx.emit_group(id, ClassicEvent::IdGiven { member: member.clone(), session_timeout_ms });
            let given: Reply = ClassicReply::IdGiven { member_id: member }.into();
            Ok(given.into())
        }
        (None, None) => add(tx, id, &new_id(tx, id, &info), info),
        (None, Some(seat)) => replace::replace(tx, id, &seat, info),
        // The id was given to a dynamic member, and has no seat.
        (Some(member), _)
            if info.instance_id.is_none() && members.pending_join.contains_key(member) =>
        {
            add(tx, id, member, info)
        }
        (Some(member), _) => {
            members.known(id, member, info.instance_id.as_ref())?;
            rejoin(tx, id, member, info)
        }
    }
}

/// Kafka's `acceptJoiningMember`; a static member that takes its seat is no additional one.
fn accepts(members: &Classic, member: Option<&MemberId>, limit: u32) -> bool {
    let limit = limit as usize;
    match members.phase {
        Phase::Empty => true,
        Phase::Preparing { .. } => {
            member.is_some_and(|m| members.joining.contains(m)) || members.joining.len() < limit
        }
        Phase::Completing | Phase::Stable => {
            member.is_some_and(|m| members.members.contains_key(m)) || members.members.len() < limit
        }
    }
}

fn add(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, info: JoinInfo) -> Decided {
    delay(tx, id, member, info);
    match classic(tx.state(), id).1.phase {
        Phase::Preparing { .. } => finish_if_last(tx, id, member),
        Phase::Empty | Phase::Completing | Phase::Stable => {
            prepare(tx, id, RebalanceReason::MemberJoined(member.clone()), Some(member));
        }
    }
    Ok(outcome(tx, id, member))
}

fn rejoin(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, info: JoinInfo) -> Decided {
    let members = classic(tx.state(), id).1;
    let unchanged = members.members[member].protocols == info.protocols;
    let is_away = members.away.contains(member);
    let leads = members.leader.as_ref() == Some(member);
    let rebalances = match members.phase {
        Phase::Empty => unreachable!("a known member is in a group that is not empty"),
        Phase::Preparing { .. } => {
            delay(tx, id, member, info);
            finish_if_last(tx, id, member);
            return Ok(outcome(tx, id, member));
        }
        Phase::Completing => !unchanged,
        // The leader joins again because it wants another assignment.
        Phase::Stable => !unchanged || leads,
    };
    if rebalances {
        delay(tx, id, member, info);
        prepare(tx, id, RebalanceReason::MemberRejoined(member.clone()), Some(member));
    } else if is_away {
        tx.emit_group(id, ClassicEvent::Joined { member: member.clone(), info, waits: None });
    }
    Ok(outcome(tx, id, member))
}

/// Delays a member's join until the end of the join phase. A request of its that is delayed already
/// is over.
pub(super) fn delay(tx: &mut Transition<'_>, id: &GroupId, member: &MemberId, info: JoinInfo) {
    let delayed = classic_member(tx, id, member).and_then(|m| m.delayed.clone());
    if let Some(delayed) = delayed {
        answer(tx, id, member, delayed.request_id, Err(Rejection::RebalanceInProgress(id.clone())));
    }
    let request_id = tx.request_id();
    tx.emit_group(
        id,
        ClassicEvent::Joined { member: member.clone(), info, waits: Some(request_id) },
    );
}

pub(super) fn finish_if_last(tx: &mut Transition<'_>, id: &GroupId, own: &MemberId) {
    if joins_may_finish(classic(tx.state(), id).1) {
        maybe_finish(tx, id, Some(own));
    }
}

/// What a join comes to as things stand: the answer, or that it is delayed.
pub(super) fn outcome(tx: &Transition<'_>, id: &GroupId, member: &MemberId) -> Decision {
    let delayed = classic_member(tx, id, member).and_then(|m| m.delayed.as_ref());
    match delayed.map(|d| d.kind) {
        Some(DelayedKind::Join) => Decision::Delayed { member: member.clone() },
        Some(DelayedKind::Sync) | None => Decision::Reply(joined(tx.state(), id, member, None)),
    }
}

fn classic_member<'a>(
    tx: &'a Transition<'_>,
    id: &GroupId,
    member: &MemberId,
) -> Option<&'a ClassicMember> {
    tx.state().group(id)?.membership.classic()?.members.get(member)
}

/// The id that a first join gives its member, so that a retry gives the same: the static
/// identity, the client's name or `consumer`, then the node, its incarnation and the request's
/// number. Assignors sort members by their ids, and who names clients may rely on that.
pub(crate) fn member_id_for(request_id: &RequestId, info: &JoinInfo) -> MemberId {
    let base = base(info);
    format!("{base}-{}-{:x}-{}", request_id.node, request_id.incarnation, request_id.seq).into()
}

fn base(info: &JoinInfo) -> &str {
    base_of_id(info.instance_id.as_ref(), info.client.as_ref()).unwrap_or("consumer")
}

/// A new member's id: that [made](member_id_for) from its request, or without a request id the
/// first free number.
pub(super) fn new_id(tx: &Transition<'_>, id: &GroupId, info: &JoinInfo) -> MemberId {
    match tx.request_id() {
        Some(request_id) => member_id_for(&request_id, info),
        None => {
            let base = base(info);
            let group = tx.state().group(id).and_then(|group| group.membership.classic());
            let is_given =
                |name: &MemberId| group.is_some_and(|group| group.pending_join.contains_key(name));
            let is_free =
                |name: &MemberId| classic_member(tx, id, name).is_none() && !is_given(name);
            let names = (1_u64..).map(|n| MemberId::from(format!("{base}-{n}")));
            names.into_iter().find(is_free).expect("some number is free")
        }
    }
}
