//! A thin consumer asks for records.

use std::ops::Bound;

use super::reconcile;
use crate::apply::Transition;
use crate::groups::event::GroupEvent;
use crate::groups::{Group, emit, polling_of};
use crate::ids::{GroupId, MemberId, Offset, TopicPartition};
use crate::partitions::ReadBudget;
use crate::reply::{Outcome, Reply, Span};
use crate::state::State;

/// Gives up what the consumer has to, tells it where it stands, and hands out at most `max_messages` records
/// from where it is in each partition, beginning after the partition where its last poll ended.
pub(in crate::groups) fn poll(
    tx: &mut Transition<'_>,
    id: &GroupId,
    member: &MemberId,
    max_messages: u32,
) -> Outcome {
    polling_of(tx.state(), id, member)?.present(id, member)?;
    reconcile::reconcile(tx, id, member, true);
    let spans = spans(tx.state(), tx.state().group(id).expect("it has the member"), member, max_messages);
    if !spans.is_empty() {
        emit(tx, id, GroupEvent::Polled { member: member.clone(), spans: spans.clone() });
    }
    let view = reconcile::view(tx.state(), id, member);
    Ok(Reply::Polled { view, spans, records: Vec::new() })
}

fn spans(state: &State, group: &Group, id: &MemberId, max_messages: u32) -> Vec<Span> {
    let Some(member) = group.membership.polling().and_then(|polling| polling.members.get(id)) else {
        return Vec::new();
    };
    let after = member.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let turn = member.assigned.range((after, Bound::Unbounded));
    let rest = member.cursor.iter().flat_map(|cursor| member.assigned.range(..=cursor));
    let mut budget = ReadBudget::default();
    let mut left = max_messages;
    let mut found = Vec::new();
    for (partition, position) in turn.chain(rest) {
        let TopicPartition { topic, partition: number } = partition;
        let Some(log) = state.topic(topic).and_then(|t| t.partitions.get(*number as usize)) else {
            continue;
        };
        let from = position.unwrap_or_else(|| group.start(partition));
        let to = log.readable_to(from, left, &mut budget);
        if to > from {
            left -= u32::try_from(to - from).expect("at most max_messages");
            found.push(Span { partition: partition.clone(), from, to });
        }
        if left == 0 || budget.is_used_up() {
            break;
        }
    }
    found
}

impl Group {
    /// Where a thin consumer begins to read a partition: at the committed offset, 0 without one.
    pub(in crate::groups) fn start(&self, partition: &TopicPartition) -> Offset {
        self.committed(&partition.topic, partition.partition).map_or(0, |c| c.offset)
    }
}
