//! A group's consumers and partitions are declared, and the answer is an assignment.

use std::collections::BTreeMap;
use std::sync::Arc;

use assignors::{Group as AssignorGroup, Member, Topic, TopicPartition};

use super::declared::Declared;
use super::event::GroupEvent;
use super::reply::GroupReply;
use crate::ids::{Generation, GroupId, MemberId, PartitionId, ProtocolName, TopicName};
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::topics::budget::{MAX_REPLY_TEXT, topic_text};
use crate::transition::Transition;

pub(super) fn declare(
    tx: &mut Transition<'_>,
    id: &GroupId,
    topic: &TopicName,
    consumers: &[MemberId],
    partitions: &[PartitionId],
    strategy: &ProtocolName,
) -> Outcome {
    let assignor = assignors::by_name(strategy.as_str())
        .ok_or_else(|| Rejection::UnsupportedAssignor(strategy.clone()))?;
    let group = tx.state().group(id);
    if let Some(group) = group.filter(|g| g.has_members()) {
        return Err(group.inconsistent(id, "consumer_rebalance needs a group without members"));
    }
    let before = group.and_then(|g| g.membership.declared()).filter(|d| d.topic == *topic);
    let input = AssignorGroup {
        topics: vec![Topic::new(
            topic.as_str(),
            u32::try_from(partitions.len()).unwrap_or(u32::MAX),
        )],
        members: members(consumers, partitions, before, group.map_or(0, |g| g.generation.0)),
    };
    let assignment = assignor.assign(&input).map_err(|e| Rejection::AssignorFailed {
        group: id.clone(),
        problem: e.to_string().into(),
    })?;
    // Assignors number partitions from 0 without gaps; the caller's may be any numbers.
    let numbers = |owned: Vec<TopicPartition>| {
        owned.iter().map(|p| partitions[p.partition as usize]).collect()
    };
    let assignments: Vec<(MemberId, Vec<PartitionId>)> =
        consumers.iter().cloned().zip(assignment.into_target().into_iter().map(numbers)).collect();
    let revoked =
        (strategy.as_str() == "cooperative-sticky").then(|| moved_away(before, &assignments));
    let told = assignments.iter().chain(revoked.iter().flatten());
    let text = told.map(|(id, owned)| topic_text(id.as_str(), owned.len())).sum();
    if text > MAX_REPLY_TEXT as u64 {
        // The caller could not be told, and everything would have been done all the same.
        return Err(Rejection::GroupTooLarge { group: id.clone(), text });
    }
    let event = GroupEvent::Declared {
        strategy: strategy.clone(),
        topic: topic.clone(),
        assignments: assignments.clone(),
    };
    tx.emit_group(id, event);
    if !consumers.is_empty() {
        let generation = tx.state().group(id).map_or_else(Generation::default, |g| g.generation);
        tx.emit_group(id, GroupEvent::RebalanceCompleted { generation });
    }
    Ok(GroupReply::Declared { assignments, revoked }.into())
}

/// The consumers as the assignors see them: what each had at the last request is what it owns.
fn members(
    consumers: &[MemberId],
    partitions: &[PartitionId],
    before: Option<&Declared>,
    generation: i32,
) -> Vec<Member> {
    let subscription: Arc<[u32]> = [0].into();
    let index =
        |p: &PartitionId| partitions.binary_search(p).ok().and_then(|i| u32::try_from(i).ok());
    let member = |id: &MemberId| {
        let mut member = Member::new(id.as_str(), subscription.clone());
        if let Some(owned) = before.and_then(|d| d.assignments.get(id)) {
            let owned = owned.iter().filter_map(index);
            member.owned = owned.map(|partition| TopicPartition { topic: 0, partition }).collect();
            member.generation = Some(generation);
        }
        member
    };
    consumers.iter().map(member).collect()
}

/// What consumers that stay had before and others have now.
fn moved_away(
    before: Option<&Declared>,
    assignments: &[(MemberId, Vec<PartitionId>)],
) -> Vec<(MemberId, Vec<PartitionId>)> {
    let owners: BTreeMap<PartitionId, &MemberId> =
        assignments.iter().flat_map(|(id, owned)| owned.iter().map(move |p| (*p, id))).collect();
    let lost = |(id, _): &(MemberId, Vec<PartitionId>)| {
        let had = before?.assignments.get(id)?;
        let lost: Vec<_> =
            had.iter().copied().filter(|p| owners.get(p).is_some_and(|o| *o != id)).collect();
        (!lost.is_empty()).then(|| (id.clone(), lost))
    };
    assignments.iter().filter_map(lost).collect()
}
