//! A polling consumer asks for records.

use std::ops::Bound;

use super::event::PollingEvent;
use super::members::PollingMember;
use super::reply::{PollingReply, Span};
use super::{advance, members_of};
use crate::groups::group::Group;
use crate::groups::reply::GroupReply;
use crate::ids::{GroupId, MemberId};
use crate::reply::Outcome;
use crate::state::State;
use crate::topics::partitions::ReadBudget;
use crate::transition::Transition;

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
    let spans = spans(tx.state(), group, polling.present(id, member)?, max_messages);
    if !spans.is_empty() {
        tx.emit_group(id, PollingEvent::Polled { member: member.clone(), spans: spans.clone() });
    }
    let view = advance::view(tx.state(), id, member);
    Ok(PollingReply::Polled { view, spans, records: Vec::new() }.into())
}

/// Reads the records of a poll's spans into its reply.
pub(crate) fn fill(state: &State, reply: &mut GroupReply) {
    if let GroupReply::Polling(PollingReply::Polled { spans, records, .. }) = reply {
        let read = |span: &Span| {
            let count = u32::try_from(span.to - span.from).unwrap_or(u32::MAX);
            let batches = state.partition(&span.partition)?.read(
                span.from,
                count,
                &mut ReadBudget::default(),
            );
            Some((span.partition.clone(), batches))
        };
        *records = spans.iter().filter_map(read).collect();
    }
}

fn spans(state: &State, group: &Group, member: &PollingMember, max_messages: u32) -> Vec<Span> {
    let after = member.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let turn = member.assigned.range((after, Bound::Unbounded));
    let rest = member.cursor.iter().flat_map(|cursor| member.assigned.range(..=cursor));
    let mut budget = ReadBudget::default();
    let mut left = max_messages;
    let mut found = Vec::new();
    for (partition, position) in turn.chain(rest) {
        let Some(log) = state.partition(partition) else { continue };
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
