//! A static member comes back under a new id (KIP-345).

use super::command::{JoinInfo, Protocol};
use super::event::ClassicEvent;
use super::join::{delay, finish_if_last, new_id, outcome};
use super::members::{Classic, Phase};
use super::rebalance::{answer, classic, elect, joined, prepare};
use crate::groups::event::{GroupEvent, RebalanceReason};
use crate::ids::{GroupId, MemberId, PartitionId, TopicName};
use crate::rejection::Rejection;
use crate::reply::{Decided, Decision};
use crate::transition::Transition;
use crate::values::TopicPartitions;

/// Moves the seat to a new id and fences the old one. In a Stable group whose elected protocol
/// stays, and where the member reads the same topics under it and owes no rejoin, nothing is
/// rebalanced.
pub(super) fn replace(
    tx: &mut Transition<'_>,
    id: &GroupId,
    from: &MemberId,
    info: JoinInfo,
) -> Decided {
    let instance_id = info.instance_id.clone().expect("a seat is found by its static identity");
    let to = new_id(tx, id, &info);
    let members = classic(tx.state(), id).1;
    let keeps = keeps_assignment(members, from, &info);
    let phase = members.phase;
    if let Some(delayed) = members.members[from].delayed.clone() {
        let fenced = Rejection::FencedInstance {
            group: id.clone(),
            instance_id: instance_id.clone(),
            member: from.clone(),
        };
        answer(tx, id, from, delayed.request_id, Err(fenced));
    }
    tx.emit_group(id, GroupEvent::SeatTaken { instance_id, from: from.clone(), to: to.clone() });
    match phase {
        Phase::Stable if keeps => {
            tx.emit_group(id, ClassicEvent::Joined { member: to.clone(), info, waits: None });
            return Ok(Decision::Reply(joined(tx.state(), id, &to, Some(from))));
        }
        Phase::Stable | Phase::Completing => {
            delay(tx, id, &to, info);
            prepare(tx, id, RebalanceReason::MemberRejoined(to.clone()), Some(&to));
        }
        Phase::Preparing { .. } => {
            delay(tx, id, &to, info);
            finish_if_last(tx, id, &to);
        }
        Phase::Empty => unreachable!("a seat is in a group that is not empty"),
    }
    Ok(outcome(tx, id, &to))
}

fn keeps_assignment(members: &Classic, from: &MemberId, info: &JoinInfo) -> bool {
    let elected = elect(members, Some((from, &info.protocols)));
    if members.protocol.as_ref() != Some(&elected) {
        return false;
    }
    let now = info.protocols.iter().find(|p| p.name == elected).map(|p| &p.topics);
    let before = members.members[from].protocol(&elected);
    before.map(|p| &p.topics) == now && !before.is_some_and(|p| owes_a_rejoin(members, p))
}

/// Whether a cooperative assignor took something from the member in this generation that nobody has
/// yet: a member that gives up joins again, and only then is it handed out. One that went before it
/// did so, and came back owning nothing, would leave it without a reader until the next rebalance.
fn owes_a_rejoin(members: &Classic, joined: &Protocol) -> bool {
    let is_read = |topic: &TopicName, partition: &PartitionId| {
        let of_topic = |assignment: &TopicPartitions| {
            assignment
                .iter()
                .any(|(name, partitions)| name == topic && partitions.contains(partition))
        };
        members.members.values().any(|member| of_topic(&member.assignment))
    };
    let owned = joined
        .owned
        .iter()
        .flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, p)));
    owned.into_iter().any(|(topic, partition)| !is_read(topic, partition))
}
