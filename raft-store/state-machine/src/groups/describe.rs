//! The reading side of groups: what `describe_group` tells.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::classic::members::{Classic, ClassicMember};
use super::existing;
use super::group::{Group, HOUR_MS, Membership};
use super::polling::members::PollingMember;
use super::reply::{DescribedClient, DescribedMember, DescribedOffset, Description, GroupReply};
use crate::ids::{GroupId, MemberId, Offset, TopicName, TopicPartition};
use crate::reply::Outcome;
use crate::state::State;

pub(super) fn describe(state: &State, id: &GroupId) -> Outcome {
    let group = existing(state, id)?;
    let since = state.now_ms().saturating_sub(HOUR_MS);
    let members = members(group);
    let last_hour = group.recent_rebalances.iter().filter(|at| **at >= since).count();
    let description = Description {
        group: id.clone(),
        kind: group.kind(),
        state: group.state(),
        strategy: group.strategy().cloned(),
        generation: group.generation,
        leader: group.membership.classic().and_then(|c| c.leader.clone()),
        coordinator: state.coordinator(),
        rebalances: group.rebalances,
        rebalances_last_hour: u64::try_from(last_hour).unwrap_or(u64::MAX),
        offsets: offsets(state, group, &members),
        members,
    };
    Ok(GroupReply::Described(Box::new(description)).into())
}

fn members(group: &Group) -> Vec<DescribedMember> {
    match &group.membership {
        Membership::Simple => Vec::new(),
        Membership::Declared(declared) => {
            let member = |(id, owned): (&MemberId, &Vec<u32>)| DescribedMember {
                member_id: id.clone(),
                instance_id: None,
                topics: vec![declared.topic.clone()],
                assignment: if owned.is_empty() {
                    Vec::new()
                } else {
                    vec![(declared.topic.clone(), owned.clone())]
                },
                client: None,
            };
            declared.assignments.iter().map(member).collect()
        }
        Membership::Polling(polling) => {
            let member = |(id, m): (&MemberId, &PollingMember)| DescribedMember {
                member_id: id.clone(),
                instance_id: m.instance_id.clone(),
                topics: m.topics.clone(),
                assignment: polling.described_assignment(m),
                client: None,
            };
            polling.members.iter().map(member).collect()
        }
        Membership::Classic(classic) => {
            let member = |(id, m): (&MemberId, &ClassicMember)| DescribedMember {
                member_id: id.clone(),
                instance_id: m.instance_id.clone(),
                topics: classic.topics_of(m),
                assignment: m.assignment.clone(),
                client: client(classic, m),
            };
            classic.members.iter().map(member).collect()
        }
    }
}

fn client(classic: &Classic, member: &ClassicMember) -> Option<Box<DescribedClient>> {
    let client = member.client.clone()?;
    let elected = classic.protocol.as_ref().and_then(|elected| member.protocol(elected));
    let metadata = elected.map_or_else(Bytes::new, |protocol| protocol.metadata.clone());
    Some(Box::new(DescribedClient { client, metadata, given: member.given.clone() }))
}

fn offsets(state: &State, group: &Group, members: &[DescribedMember]) -> Vec<DescribedOffset> {
    let mut owners: BTreeMap<TopicPartition, Option<MemberId>> = BTreeMap::new();
    let committed = group.offsets.iter().flat_map(|(topic, of_topic)| {
        of_topic.keys().map(|p| TopicPartition { topic: topic.clone(), partition: *p })
    });
    owners.extend(committed.map(|p| (p, None)));
    let subscribed: BTreeSet<&TopicName> = members.iter().flat_map(|m| &m.topics).collect();
    for topic in subscribed {
        let count = state.topic(topic).map_or(0, |t| t.partition_count());
        for partition in 0..count {
            owners.entry(TopicPartition { topic: topic.clone(), partition }).or_insert(None);
        }
    }
    for member in members {
        for (topic, partitions) in &member.assignment {
            for partition in partitions {
                let partition = TopicPartition { topic: topic.clone(), partition: *partition };
                owners.insert(partition, Some(member.member_id.clone()));
            }
        }
    }
    owners.into_iter().map(|(partition, owner)| offset(state, group, partition, owner)).collect()
}

fn offset(
    state: &State,
    group: &Group,
    partition: TopicPartition,
    member_id: Option<MemberId>,
) -> DescribedOffset {
    let committed = group.offsets.get(&partition.topic, partition.partition);
    DescribedOffset {
        committed: committed.map(|c| c.offset),
        position: member_id.as_ref().and_then(|owner| position(group, owner, &partition)),
        log_end_offset: state.log_end(&partition),
        metadata: committed.and_then(|c| c.metadata.clone()),
        timestamp: committed.map(|c| c.timestamp),
        member_id,
        partition,
    }
}

/// Where a polling consumer will read on in a partition that it holds. What other members have
/// read, only they know.
fn position(group: &Group, owner: &MemberId, partition: &TopicPartition) -> Option<Offset> {
    let reader = group.membership.polling()?.members.get(owner)?;
    Some(
        reader.assigned.get(partition).copied().flatten().unwrap_or_else(|| group.start(partition)),
    )
}
