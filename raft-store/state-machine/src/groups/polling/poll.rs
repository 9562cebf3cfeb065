//! A polling consumer asks for records.

use std::ops::Bound;

use super::event::PollingEvent;
use super::members::PollingMember;
use super::reply::{PollingReply, Span};
use super::{advance, members_of};
use crate::groups::group::Group;
use crate::ids::{GroupId, MemberId, TopicPartition};
use crate::reply::Outcome;
use crate::state::State;
use crate::topics::budget::{ReadBudget, text_len, topic_text};
use crate::transition::Transition;
use crate::values::Found;

/// Gives up what the consumer has to, tells it where it stands, and hands out at most
/// `max_messages` records from where it is in each partition, beginning after the partition where
/// its last poll ended.
pub(super) fn poll(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    max_messages: u32,
) -> Outcome {
    members_of(tx.state(), id, member)?.1.present(id, member)?;
    advance::advance(tx, id, member, true);
    let (group, polling) = members_of(tx.state(), id, member)?;
    let records = records(tx.state(), group, polling.present(id, member)?, max_messages);
    if !records.is_empty() {
        let spans = records.iter().map(Span::of).collect();
        tx.emit_group(id, PollingEvent::Polled { member: member.clone(), spans });
    }
    let view = advance::view(tx.state(), id, member);
    Ok(PollingReply::Polled { view, records }.into())
}

fn records(
    state: &State,
    group: &Group,
    member: &PollingMember,
    max_messages: u32,
) -> Vec<(TopicPartition, Found)> {
    let after = member.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let turn = member.assigned.range((after, Bound::Unbounded));
    let rest = member.cursor.iter().flat_map(|cursor| member.assigned.range(..=cursor));
    let mut budget = ReadBudget::default();
    // Who reads so much that telling it leaves no room for a record can be told nothing at all.
    if !budget.tell(assignment_text(member)) {
        return Vec::new();
    }
    let mut left = max_messages;
    let mut found = Vec::new();
    for (partition, position) in turn.chain(rest) {
        let Some(log) = state.partition(partition) else { continue };
        let from = position.unwrap_or_else(|| group.start(partition));
        budget.names_each(text_len(partition.topic.as_str()));
        let extent = log.read(from, left, &mut budget);
        if !extent.is_empty() {
            left -= u32::try_from(extent.to - extent.from).expect("at most max_messages");
            found.push((partition.clone(), extent.into()));
        }
        if left == 0 || budget.is_used_up() {
            break;
        }
    }
    found
}

/// At most so many bytes of text tell which partitions a member reads.
fn assignment_text(member: &PollingMember) -> u64 {
    let partitions = member.assigned.keys().collect::<Vec<_>>();
    let topics = partitions.chunk_by(|a, b| a.topic == b.topic);
    topics.map(|of_topic| topic_text(of_topic[0].topic.as_str(), of_topic.len())).sum()
}
