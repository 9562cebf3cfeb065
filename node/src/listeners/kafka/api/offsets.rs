//! OffsetCommit (8), OffsetFetch (9), OffsetDelete (47): what groups have got to.

use std::collections::BTreeMap;

use state_machine::groups::command::GroupQuery;
use state_machine::ids::{Generation, GroupId, InstanceId, MemberId, TopicName, TopicPartition};
use state_machine::offsets::command::{Committer, OffsetCommand, OffsetQuery, PartitionCommit};
use state_machine::offsets::committed::{CommittedOffset, MAX_METADATA_LEN};
use state_machine::offsets::reply::OffsetReply;
use state_machine::reply::Reply;
use state_machine::values::TopicPartitions;
use wire::errors;
use wire::kafka_protocol::messages as kafka;
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition,
};
use wire::kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire::kafka_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use wire::kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use wire::kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::super::errors::{About, of_rejection};
use super::members::code_of;
use super::metadata::describe as describe_topics;
use super::{Context, kafka_name, name_of, once, text};
use crate::service::api::Rejection;

/// From here on several groups are asked for at once.
const GROUPS_FROM: i16 = 8;

/// A commit of a partition, or why there is none.
type Commit = Result<PartitionCommit, i16>;

pub(super) async fn commit(cx: &Context, asked: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut commits: Vec<Commit> = Vec::new();
    for topic in &asked.topics {
        let name = name_of(&topic.name);
        commits.extend(topic.partitions.iter().map(|partition| commit_of(&name, partition)));
    }
    let good: Vec<PartitionCommit> =
        commits.iter().filter_map(|commit| commit.as_ref().ok()).cloned().collect();
    let refused = if asked.topics.is_empty() { None } else { cx.refusal(About::Group) };
    let outcome = match refused {
        Some(code) => Err(code),
        None if good.is_empty() => Ok(Vec::new()),
        None => submit(cx, &asked, good).await,
    };
    let mut done = outcome.map(Vec::into_iter);
    let mut commits = commits.into_iter();
    let mut code = || match (commits.next(), &mut done) {
        (_, Err(code)) => *code,
        (Some(Err(code)), _) => code,
        (_, Ok(done)) => done.next().unwrap_or(errors::UNKNOWN_SERVER_ERROR),
    };
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code())
            })
            .collect();
        if topic.partitions.is_empty() {
            continue;
        }
        topics.push(
            OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions),
        );
    }
    OffsetCommitResponse::default().with_topics(topics)
}

fn commit_of(topic: &TopicName, asked: &OffsetCommitRequestPartition) -> Commit {
    let metadata = asked.committed_metadata.as_ref().map(|text| text.as_str());
    if metadata.is_some_and(|text| text.chars().count() > MAX_METADATA_LEN) {
        return Err(errors::OFFSET_METADATA_TOO_LARGE);
    }
    let partition =
        u32::try_from(asked.partition_index).map_err(|_| errors::UNKNOWN_TOPIC_OR_PARTITION)?;
    // One below 0 is kept and told, as Kafka does: kafkajs commits -1 and -2 where a group is to
    // begin anew. To the state it lies beyond every log.
    let offset = asked.committed_offset.cast_unsigned();
    let metadata = metadata.filter(|text| !text.is_empty()).map(Into::into);
    // -1 is none.
    let leader_epoch = u32::try_from(asked.committed_leader_epoch).ok();
    Ok(PartitionCommit { topic: topic.clone(), partition, offset, leader_epoch, metadata })
}

/// Commits; a code for each, or one for all.
async fn submit(
    cx: &Context,
    asked: &OffsetCommitRequest,
    commits: Vec<PartitionCommit>,
) -> Result<Vec<i16>, i16> {
    let generation = Generation(asked.generation_id_or_member_epoch);
    let is_member = generation.0 >= 0 || !asked.member_id.is_empty();
    let member = is_member.then(|| Committer {
        member_id: MemberId::from(asked.member_id.as_str()),
        instance_id: asked.group_instance_id.as_ref().map(|id| InstanceId::from(id.as_str())),
        generation,
    });
    let group = GroupId::from(asked.group_id.as_str());
    match cx.asker.command(OffsetCommand::CommitAll { group, member, commits }).await {
        Ok(Reply::Offset(OffsetReply::Commits(refused))) => {
            let code =
                |refused: &Option<Rejection>| refused.as_ref().map_or(errors::NONE, of_rejection);
            Ok(refused.iter().map(code).collect())
        }
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => Err(About::Group.code(&failure)),
    }
}

/// What the state says of partitions.
type Found = Vec<(TopicPartition, Option<CommittedOffset>)>;

/// What a group has committed, by topic.
type Committed = Vec<OfTopic>;

/// What was committed of a topic's partitions.
type OfTopic = (TopicName, Vec<(i32, Option<CommittedOffset>)>);

pub(super) async fn fetch(cx: &Context, mut asked: OffsetFetchRequest) -> OffsetFetchResponse {
    let reply = OffsetFetchResponse::default();
    if cx.version >= GROUPS_FROM {
        once::groups(&mut asked.groups);
        let mut groups = Vec::with_capacity(asked.groups.len());
        for group in asked.groups {
            let topics = group.topics.as_ref().map(|topics| {
                topics.iter().map(|t| (&t.name, &t.partition_indexes[..])).collect::<Vec<_>>()
            });
            let found = committed(cx, &group.group_id, topics.as_deref()).await;
            let told = OffsetFetchResponseGroup::default().with_group_id(group.group_id);
            groups.push(match found {
                Ok(found) => told.with_topics(found.iter().map(by_group).collect()),
                Err(code) => told.with_error_code(code),
            });
        }
        return reply.with_groups(groups);
    }
    asked.topics.iter_mut().for_each(once::partitions);
    let topics = asked.topics.as_ref().map(|topics| {
        topics.iter().map(|t| (&t.name, &t.partition_indexes[..])).collect::<Vec<_>>()
    });
    match committed(cx, &asked.group_id, topics.as_deref()).await {
        Ok(found) => reply.with_topics(found.iter().map(of_topic).collect()),
        // Version 1 has no other place for it.
        Err(code) if cx.version < 2 => reply.with_topics(
            topics
                .into_iter()
                .flatten()
                .map(|(name, indexes)| {
                    let refused = |index: &i32| {
                        OffsetFetchResponsePartition::default()
                            .with_partition_index(*index)
                            .with_committed_offset(-1)
                            .with_metadata(Some(text("")))
                            .with_error_code(code)
                    };
                    OffsetFetchResponseTopic::default()
                        .with_name(name.clone())
                        .with_partitions(indexes.iter().map(refused).collect())
                })
                .collect(),
        ),
        Err(code) => reply.with_error_code(code),
    }
}

async fn committed(
    cx: &Context,
    group: &kafka::GroupId,
    topics: Option<&[(&kafka::TopicName, &[i32])]>,
) -> Result<Committed, i16> {
    if let Some(code) = cx.refusal(About::Group) {
        return Err(code);
    }
    let partitions: Option<TopicPartitions> = topics.map(|topics| {
        let known = |indexes: &[i32]| {
            indexes.iter().filter_map(|index| u32::try_from(*index).ok()).collect()
        };
        topics.iter().map(|(name, indexes)| (name_of(name), known(indexes))).collect()
    });
    let query = OffsetQuery::FetchAll { group: GroupId::from(group.as_str()), partitions };
    match cx.asker.query(query).await {
        Ok(Reply::Offset(OffsetReply::CommittedAll(found))) => Ok(match topics {
            Some(topics) => as_asked(topics, found),
            None => by_topic(found),
        }),
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => Err(About::Group.code(&failure)),
    }
}

/// What a client asked for, in its order. A partition that cannot be has no commit.
fn as_asked(topics: &[(&kafka::TopicName, &[i32])], found: Found) -> Committed {
    let found: BTreeMap<(TopicName, u32), CommittedOffset> = found
        .into_iter()
        .filter_map(|(at, committed)| Some(((at.topic, at.partition), committed?)))
        .collect();
    let of = |name: &TopicName, index: i32| {
        found.get(&(name.clone(), u32::try_from(index).ok()?)).cloned()
    };
    let of_topic = |(name, indexes): &(&kafka::TopicName, &[i32])| {
        let name = name_of(name);
        let told = indexes.iter().map(|index| (*index, of(&name, *index))).collect();
        (name, told)
    };
    topics.iter().map(of_topic).collect()
}

/// All that a group has committed.
fn by_topic(found: Found) -> Committed {
    let mut by_topic: Committed = Vec::new();
    for (at, committed) in found {
        let index = i32::try_from(at.partition).unwrap_or(i32::MAX);
        match by_topic.last_mut() {
            Some((topic, of_topic)) if *topic == at.topic => of_topic.push((index, committed)),
            _ => by_topic.push((at.topic, vec![(index, committed)])),
        }
    }
    by_topic
}

/// The offset, and its committer's note. Without a commit that is -1, and the note is empty: some
/// clients cannot read that there is none.
fn told(committed: Option<&CommittedOffset>) -> (i64, StrBytes) {
    let note = committed.and_then(|committed| committed.metadata.as_deref()).unwrap_or("");
    (committed.map_or(-1, |committed| committed.offset.cast_signed()), text(note))
}

/// The epoch that its committer told; without one that is -1.
fn epoch(committed: Option<&CommittedOffset>) -> i32 {
    let epoch = committed.and_then(|committed| committed.leader_epoch);
    epoch.and_then(|epoch| i32::try_from(epoch).ok()).unwrap_or(-1)
}

fn of_topic((topic, found): &OfTopic) -> OffsetFetchResponseTopic {
    let partition = |(partition, committed): &(i32, Option<CommittedOffset>)| {
        let (offset, note) = told(committed.as_ref());
        OffsetFetchResponsePartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch(committed.as_ref()))
            .with_metadata(Some(note))
    };
    OffsetFetchResponseTopic::default()
        .with_name(kafka_name(topic))
        .with_partitions(found.iter().map(partition).collect())
}

fn by_group((topic, found): &OfTopic) -> OffsetFetchResponseTopics {
    let partition = |(partition, committed): &(i32, Option<CommittedOffset>)| {
        let (offset, note) = told(committed.as_ref());
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch(committed.as_ref()))
            .with_metadata(Some(note))
    };
    OffsetFetchResponseTopics::default()
        .with_name(kafka_name(topic))
        .with_partitions(found.iter().map(partition).collect())
}

pub(super) async fn delete(cx: &Context, asked: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let reply = OffsetDeleteResponse::default();
    if let Some(code) = cx.refusal(About::Group) {
        return reply.with_error_code(code);
    }
    if asked.group_id.is_empty() {
        return reply.with_error_code(errors::INVALID_GROUP_ID);
    }
    let group = GroupId::from(asked.group_id.as_str());
    // It has to be there whatever is asked of it.
    let exists = GroupQuery::Describe { group: group.clone() };
    if let Err(failure) = cx.asker.query(exists).await {
        return reply.with_error_code(About::Group.code(&failure));
    }
    let names = asked.topics.iter().map(|topic| name_of(&topic.name)).collect();
    let found = match describe_topics(cx, Some(names)).await {
        Ok(found) => found,
        Err(code) => return reply.with_error_code(code),
    };
    let counts: BTreeMap<TopicName, u32> =
        found.into_iter().filter_map(|(name, found)| Some((name, found?.partitions))).collect();
    let mut topics = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let name = name_of(&topic.name);
        let count = counts.get(&name).copied().unwrap_or(0);
        let exists = |index: i32| u32::try_from(index).ok().filter(|index| *index < count);
        let indexes: Vec<i32> = topic.partitions.iter().map(|p| p.partition_index).collect();
        let partitions: Vec<u32> = indexes.iter().filter_map(|index| exists(*index)).collect();
        if indexes.is_empty() {
            continue;
        }
        let code = if partitions.is_empty() {
            errors::NONE
        } else {
            let (group, partitions) = (group.clone(), Some(partitions));
            let command = OffsetCommand::Delete { group, topic: name, partitions };
            code_of(&cx.asker.command(command).await)
        };
        if code == errors::GROUP_ID_NOT_FOUND {
            return reply.with_error_code(code);
        }
        let partition = |index| {
            let code = exists(index).map_or(errors::UNKNOWN_TOPIC_OR_PARTITION, |_| code);
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code)
        };
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(indexes.into_iter().map(partition).collect()),
        );
    }
    reply.with_topics(topics)
}
