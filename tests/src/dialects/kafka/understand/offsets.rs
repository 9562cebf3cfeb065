//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeMap;

use serde_json::Value;
use wire::errors;
use wire::kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};

use super::errors::{answer, done};
use super::groups::instance;
use super::{Part, fields, name, number};

pub(super) fn commit(
    asked: &OffsetCommitRequest,
    reply: Option<&OffsetCommitResponse>,
) -> Vec<Part> {
    let mut answers: BTreeMap<(&str, i32), i16> = BTreeMap::new();
    for topic in reply.into_iter().flat_map(|reply| &reply.topics) {
        let codes = topic.partitions.iter();
        answers.extend(
            codes.map(|told| ((topic.name.as_str(), told.partition_index), told.error_code)),
        );
    }
    let mut parts = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let metadata = partition.committed_metadata.as_ref();
            let args = fields([
                ("group", asked.group_id.as_str().into()),
                ("member_id", name(&asked.member_id)),
                ("generation", number(asked.generation_id_or_member_epoch)),
                ("instance_id", instance(asked.group_instance_id.as_ref())),
                ("topic", topic.name.as_str().into()),
                ("partition", partition.partition_index.into()),
                ("offset", partition.committed_offset.into()),
                ("metadata", metadata.map_or(Value::Null, |text| text.as_str().into())),
            ]);
            let code = answers.get(&(topic.name.as_str(), partition.partition_index));
            let answer = code.map(|code| done("commit_offset", *code));
            parts.push(Part::new("commit_offset", args, answer));
        }
    }
    parts
}

/// Offset and error of each partition, by topic and number.
type Committed<'a> = BTreeMap<(&'a str, i32), (i64, i16)>;

/// One group of an OffsetFetch: what is asked of it, and what is told.
struct OfGroup<'a> {
    group: &'a str,
    /// The member that asks and its epoch, if it says so.
    member: Value,
    epoch: Value,
    /// None asks for all.
    asked: Option<Vec<(&'a str, i32)>>,
    /// None is no answer.
    told: Option<Committed<'a>>,
    /// The error of the whole group.
    refused: Option<i16>,
}

impl OfGroup<'_> {
    fn parts(self) -> Vec<Part> {
        let told = self.told.as_ref();
        let all = || told.into_iter().flat_map(|told| told.keys().copied()).collect();
        let asked = self.asked.unwrap_or_else(all);
        let part = |(topic, partition): (&str, i32)| {
            let args = fields([
                ("group", self.group.into()),
                ("member_id", self.member.clone()),
                ("member_epoch", self.epoch.clone()),
                ("topic", topic.into()),
                ("partition", partition.into()),
            ]);
            let told = told.and_then(|told| told.get(&(topic, partition)).copied());
            let told = self.refused.map(|code| (-1, code)).or(told);
            let answer = told.map(|(offset, code)| {
                answer("fetch_offset", code, || {
                    // Null is what is told of a partition that nobody committed for.
                    [("offset".to_owned(), number(offset))].into_iter().collect()
                })
            });
            Part::new("fetch_offset", args, answer)
        };
        asked.into_iter().map(part).collect()
    }
}

/// Pairs of topic and partition.
macro_rules! pairs {
    ($topics:expr) => {
        $topics.iter().flat_map(|topic| {
            topic.partition_indexes.iter().map(|partition| (topic.name.as_str(), *partition))
        })
    };
}

/// Offsets and errors by topic and partition.
macro_rules! told {
    ($topics:expr) => {
        $topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|told| {
                    let at = (topic.name.as_str(), told.partition_index);
                    (at, (told.committed_offset, told.error_code))
                })
            })
            .collect()
    };
}

/// The error of a whole group, if there is one.
fn refusal(code: i16) -> Option<i16> {
    (code != errors::NONE).then_some(code)
}

pub(super) fn fetch(asked: &OffsetFetchRequest, reply: Option<&OffsetFetchResponse>) -> Vec<Part> {
    // Before version 8 a request is about one group.
    if asked.groups.is_empty() {
        let of_group = OfGroup {
            group: &asked.group_id,
            member: Value::Null,
            epoch: Value::Null,
            asked: asked.topics.as_ref().map(|topics| pairs!(topics).collect()),
            told: reply.map(|reply| told!(reply.topics)),
            refused: reply.and_then(|reply| refusal(reply.error_code)),
        };
        return of_group.parts();
    }
    let parts = asked.groups.iter().flat_map(|group| {
        let told = reply
            .and_then(|reply| reply.groups.iter().find(|told| told.group_id == group.group_id));
        let of_group = OfGroup {
            group: &group.group_id,
            member: group.member_id.as_ref().map_or(Value::Null, |id| name(id)),
            epoch: number(group.member_epoch),
            asked: group.topics.as_ref().map(|topics| pairs!(topics).collect()),
            told: told.map(|told| told!(told.topics)),
            refused: told.and_then(|told| refusal(told.error_code)),
        };
        of_group.parts()
    });
    parts.collect()
}

/// Partitions of a topic whose deletion ended differently are told as several operations.
pub(super) fn delete(
    asked: &OffsetDeleteRequest,
    reply: Option<&OffsetDeleteResponse>,
) -> Vec<Part> {
    let mut answers: BTreeMap<(&str, i32), i16> = BTreeMap::new();
    for topic in reply.into_iter().flat_map(|reply| &reply.topics) {
        let codes = topic.partitions.iter();
        answers.extend(
            codes.map(|told| ((topic.name.as_str(), told.partition_index), told.error_code)),
        );
    }
    let refused = reply.and_then(|reply| refusal(reply.error_code));
    let mut parts = Vec::new();
    for topic in &asked.topics {
        let mut alike: BTreeMap<Option<i16>, Vec<i32>> = BTreeMap::new();
        for partition in topic.partitions.iter().map(|partition| partition.partition_index) {
            let own = answers.get(&(topic.name.as_str(), partition)).copied();
            alike.entry(refused.or(own)).or_default().push(partition);
        }
        for (code, partitions) in alike {
            let args = fields([
                ("group", asked.group_id.as_str().into()),
                ("topic", topic.name.as_str().into()),
                ("partitions", partitions.into()),
            ]);
            let answer = code.map(|code| done("delete_offsets", code));
            parts.push(Part::new("delete_offsets", args, answer));
        }
    }
    parts
}
