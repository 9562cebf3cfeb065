//! From a reply to the fields of a body, in the contract's order and form, and to a line.

use std::fmt::Write as _;

use super::errors::{self, BadRequest};
use super::records;
use super::requests::ReplyShape;
use crate::cluster::members::Members;
use crate::limits;
use crate::service::api::{Failure, Response, Status};
use state_machine::groups::classic::reply::{ClassicReply, JoinedMember};
use state_machine::groups::polling::reply::{PollingReply, PollingView};
use state_machine::groups::reply::{DescribedMember, DescribedOffset, Description, GroupReply};
use state_machine::ids::{MemberId, PartitionId, TopicPartition};
use state_machine::keyed_logs::reply::KeyedLogReply;
use state_machine::offsets::reply::OffsetReply;
use state_machine::producers::reply::ProducerReply;
use state_machine::registers::reply::RegisterReply;
use state_machine::reply::Reply;
use state_machine::topics::reply::TopicReply;
use state_machine::values::{Found, TopicPartitions};

/// Room for the fields of a reply, in bytes, before it is known what they are.
const FIELDS: usize = 48;

/// A reply's type and its own fields as text (`"a":1,"b":2`), ready for its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The reply's type.
    pub kind: &'static str,
    /// Its fields; empty where it has none.
    pub fields: String,
}

impl Encoded {
    /// A reply without fields.
    pub fn bare(kind: &'static str) -> Self {
        Self { kind, fields: String::new() }
    }

    /// An error.
    pub fn error((code, name): errors::Code, text: &str) -> Self {
        let mut fields = format!("\"code\":{code},\"error\":\"{name}\",\"text\":");
        string(text, &mut fields);
        Self { kind: "error", fields }
    }

    /// The error of a request that was not understood.
    pub fn bad_request(error: &BadRequest) -> Self {
        Self::error(errors::of_bad_request(error), &error.to_string())
    }

    /// What the service answered. A reply that cannot be told, or does not fit a line, becomes an
    /// error.
    pub fn response(response: Response, form: ReplyShape, members: &Members) -> Self {
        let reply = match response {
            Ok(reply) => reply,
            Err(failure) => return Self::failure(&failure),
        };
        let mut fields = String::new();
        if let Err(corrupt) = write_reply(&reply, form, members, &mut fields) {
            return Self::bad_request(&BadRequest::Corrupt(corrupt.to_string()));
        }
        Self { kind: form.ok, fields }.limited()
    }

    fn failure(failure: &Failure) -> Self {
        Self::error(errors::of_failure(failure), &failure.to_string())
    }

    /// Replaced by an error where it would not fit a line.
    pub fn limited(self) -> Self {
        let (size, limit) = (self.fields.len(), limits::PRINTED_LINE - limits::ENVELOPE);
        if size <= limit {
            self
        } else {
            Self::bad_request(&BadRequest::ReplyTooLarge { size, limit })
        }
    }

    /// Appends the line.
    pub fn write_line(
        &self,
        src: &str,
        dest: &str,
        in_reply_to: i64,
        msg_id: u64,
        out: &mut String,
    ) {
        out.push_str("{\"src\":");
        string(src, out);
        out.push_str(",\"dest\":");
        string(dest, out);
        out.push_str(",\"body\":{\"type\":\"");
        out.push_str(self.kind);
        out.push_str("\",\"in_reply_to\":");
        number(in_reply_to, out);
        if !self.fields.is_empty() {
            out.push(',');
            out.push_str(&self.fields);
        }
        out.push_str(",\"msg_id\":");
        number(msg_id, out);
        out.push_str("}}\n");
    }
}

fn number(number: impl itoa::Integer, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Writes a string as JSON.
fn string(text: &str, out: &mut String) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

fn optional<T>(value: Option<T>, out: &mut String, write: impl FnOnce(T, &mut String)) {
    match value {
        Some(value) => write(value, out),
        None => out.push_str("null"),
    }
}

/// Writes a list, or the fields of an object, between brackets.
fn list<T>(
    brackets: [char; 2],
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(brackets[0]);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

const ARRAY: [char; 2] = ['[', ']'];
const OBJECT: [char; 2] = ['{', '}'];

fn named<'a>(name: &'a str, out: &mut String) -> &'a str {
    string(name, out);
    out.push(':');
    name
}

fn partitions(numbers: &[PartitionId], out: &mut String) {
    list(ARRAY, numbers.iter().copied(), out, number);
}

fn assignments(assignments: &[(MemberId, Vec<PartitionId>)], out: &mut String) {
    list(OBJECT, assignments, out, |(member, owned), out| {
        named(member.as_str(), out);
        partitions(owned, out);
    });
}

fn topic_partitions(topics: &TopicPartitions, out: &mut String) {
    list(OBJECT, topics, out, |(topic, owned), out| {
        named(topic.as_str(), out);
        partitions(owned, out);
    });
}

fn field(name: &str, out: &mut String) {
    match out.as_bytes().last() {
        // Most replies fit.
        None => out.reserve(FIELDS),
        Some(b'{' | b'[' | b',') => {}
        Some(_) => out.push(','),
    }
    named(name, out);
}

type Written = Result<(), records::CorruptBatch>;

fn write_reply(reply: &Reply, form: ReplyShape, members: &Members, out: &mut String) -> Written {
    match reply {
        Reply::Done => Ok(()),
        Reply::Topic(reply) => topic_reply(reply, form, out),
        Reply::KeyedLog(reply) => keyed_log_reply(reply, out),
        Reply::Register(RegisterReply::Value(text)) => {
            field("value", out);
            out.push_str(text);
            Ok(())
        }
        Reply::Offset(OffsetReply::Committed { offset, metadata }) => {
            field("offset", out);
            number(*offset, out);
            if let Some(metadata) = metadata {
                field("metadata", out);
                string(metadata, out);
            }
            Ok(())
        }
        Reply::Group(reply) => group_reply(reply, members, out),
        Reply::Producer(ProducerReply::Made { id }) => {
            field("producer_id", out);
            number(*id, out);
            field("producer_epoch", out);
            number(0, out);
            Ok(())
        }
        // Only another listener asks for these.
        Reply::Offset(OffsetReply::CommittedAll(_) | OffsetReply::Commits(_)) => Ok(()),
    }
}

fn topic_reply(reply: &TopicReply, form: ReplyShape, out: &mut String) -> Written {
    match reply {
        TopicReply::Appended { partition, offset } => {
            field("partition", out);
            number(*partition, out);
            field("offset", out);
            number(*offset, out);
        }
        TopicReply::Listed(topics) => {
            field("topics", out);
            list(OBJECT, topics, out, |(topic, count), out| {
                named(topic.as_str(), out);
                number(*count, out);
            });
        }
        TopicReply::Fetched { found, high_watermark } => {
            field("records", out);
            out.push('[');
            record_list(None, found, out)?;
            out.push(']');
            field("high_watermark", out);
            number(*high_watermark, out);
        }
        TopicReply::Produced { offset, .. } => {
            if let Some(partition) = form.partition {
                field("partition", out);
                number(partition, out);
            }
            field("offset", out);
            number(*offset, out);
        }
        // Only another listener asks for these.
        TopicReply::Described(_) | TopicReply::Read(_) | TopicReply::Offsets(_) => {}
    }
    Ok(())
}

fn keyed_log_reply(reply: &KeyedLogReply, out: &mut String) -> Written {
    let mut written = Ok(());
    match reply {
        KeyedLogReply::Appended { offset } => {
            field("offset", out);
            number(*offset, out);
        }
        KeyedLogReply::Messages(logs) => {
            field("msgs", out);
            list(OBJECT, logs, out, |(key, found), out| {
                named(key.as_str(), out);
                if let Err(corrupt) = log_messages(found, out) {
                    written = Err(corrupt);
                }
            });
        }
        KeyedLogReply::Committed(offsets) => {
            field("offsets", out);
            list(OBJECT, offsets, out, |(key, offset), out| {
                named(key.as_str(), out);
                number(*offset, out);
            });
        }
    }
    written
}

fn group_reply(reply: &GroupReply, members: &Members, out: &mut String) -> Written {
    match reply {
        GroupReply::Polling(reply) => return polling_reply(reply, out),
        GroupReply::Classic(reply) => classic_reply(reply, out),
        GroupReply::Declared { assignments: target, revoked } => {
            field("assignments", out);
            assignments(target, out);
            if let Some(revoked) = revoked {
                field("revoked", out);
                assignments(revoked, out);
            }
        }
        GroupReply::Listed(groups) => {
            field("groups", out);
            list(ARRAY, groups, out, |(group, kind, state), out| {
                out.push('{');
                field("group", out);
                string(group.as_str(), out);
                field("kind", out);
                string(kind.name(), out);
                field("state", out);
                string(state.name(), out);
                out.push('}');
            });
        }
        GroupReply::Described(description) => described(description, members, out),
    }
    Ok(())
}

fn polling_reply(reply: &PollingReply, out: &mut String) -> Written {
    match reply {
        PollingReply::Told(view) => polling_view(view, out),
        PollingReply::Polled { view, records } => {
            polling_view(view, out);
            field("records", out);
            out.push('[');
            for (partition, found) in records {
                record_list(Some(partition), found, out)?;
            }
            out.push(']');
        }
    }
    Ok(())
}

fn classic_reply(reply: &ClassicReply, out: &mut String) {
    match reply {
        // The contract has no word for a leader that has nothing to share.
        ClassicReply::Joined { generation, protocol, leader, member_id, members, replaced: _ } => {
            field("generation", out);
            number(generation.0, out);
            field("protocol", out);
            string(protocol.as_str(), out);
            field("leader", out);
            string(leader.as_str(), out);
            field("member_id", out);
            string(member_id.as_str(), out);
            field("members", out);
            list(ARRAY, members, out, joined_member);
        }
        // Nobody asks for it here.
        ClassicReply::IdGiven { member_id } => {
            field("member_id", out);
            string(member_id.as_str(), out);
        }
        ClassicReply::Synced { assignment, .. } => {
            field("assignment", out);
            topic_partitions(assignment, out);
        }
    }
}

fn log_messages(found: &Found, out: &mut String) -> Written {
    out.push('[');
    for batch in &found.batches {
        for record in records::decode(batch, &found.offsets())? {
            if !out.ends_with('[') {
                out.push(',');
            }
            out.push('[');
            number(record.offset, out);
            out.push(',');
            out.push_str(&record.value);
            out.push(']');
        }
    }
    out.push(']');
    Ok(())
}

fn record_list(partition: Option<&TopicPartition>, found: &Found, out: &mut String) -> Written {
    for batch in &found.batches {
        for record in records::decode(batch, &found.offsets())? {
            if !out.ends_with('[') {
                out.push(',');
            }
            out.push('{');
            if let Some(TopicPartition { topic, partition }) = partition {
                field("topic", out);
                string(topic.as_str(), out);
                field("partition", out);
                number(*partition, out);
            }
            field("offset", out);
            number(record.offset, out);
            field("key", out);
            optional(record.key, out, |key, out| string(&key, out));
            field("message", out);
            out.push_str(&record.value);
            field("timestamp", out);
            number(record.timestamp, out);
            out.push('}');
        }
    }
    Ok(())
}

fn polling_view(view: &PollingView, out: &mut String) {
    field("generation", out);
    number(view.generation.0, out);
    field("state", out);
    string(view.state.name(), out);
    field("assignment", out);
    topic_partitions(&view.assignment, out);
}

fn strings<'a>(names: impl Iterator<Item = &'a str>, out: &mut String) {
    list(ARRAY, names, out, string);
}

fn joined_member(member: &JoinedMember, out: &mut String) {
    out.push('{');
    field("member_id", out);
    string(member.member_id.as_str(), out);
    field("instance_id", out);
    optional(member.instance_id.as_ref(), out, |id, out| string(id.as_str(), out));
    field("topics", out);
    strings(member.topics.iter().map(|t| t.as_str()), out);
    field("owned", out);
    topic_partitions(&member.owned, out);
    field("generation", out);
    optional(member.generation.map(|generation| generation.0), out, number);
    out.push('}');
}

fn described(description: &Description, members: &Members, out: &mut String) {
    field("group", out);
    string(description.group.as_str(), out);
    field("kind", out);
    string(description.kind.name(), out);
    field("state", out);
    string(description.state.name(), out);
    field("strategy", out);
    optional(description.strategy.as_ref(), out, |name, out| string(name.as_str(), out));
    field("generation", out);
    number(description.generation.0, out);
    field("leader", out);
    optional(description.leader.as_ref(), out, |member, out| string(member.as_str(), out));
    field("coordinator", out);
    optional(description.coordinator.and_then(|id| members.name(id)), out, string);
    field("rebalances", out);
    number(description.rebalances, out);
    field("rebalances_last_hour", out);
    number(description.rebalances_last_hour, out);
    field("members", out);
    list(ARRAY, &description.members, out, described_member);
    field("offsets", out);
    list(ARRAY, &description.offsets, out, described_offset);
}

fn described_member(member: &DescribedMember, out: &mut String) {
    out.push('{');
    field("member_id", out);
    string(member.member_id.as_str(), out);
    field("instance_id", out);
    optional(member.instance_id.as_ref(), out, |id, out| string(id.as_str(), out));
    field("topics", out);
    strings(member.topics.iter().map(|t| t.as_str()), out);
    field("assignment", out);
    topic_partitions(&member.assignment, out);
    out.push('}');
}

fn described_offset(offset: &DescribedOffset, out: &mut String) {
    out.push('{');
    field("topic", out);
    string(offset.partition.topic.as_str(), out);
    field("partition", out);
    number(offset.partition.partition, out);
    field("committed", out);
    optional(offset.committed, out, number);
    field("position", out);
    optional(offset.position, out, number);
    field("log_end_offset", out);
    number(offset.log_end_offset, out);
    field("lag", out);
    number(offset.lag(), out);
    field("lag_percent", out);
    // `{:?}` keeps a fraction, so that 0 is told as 0.0.
    write!(out, "{:?}", offset.lag_percent()).expect("a String takes everything");
    field("metadata", out);
    optional(offset.metadata.as_ref(), out, |text, out| string(text, out));
    field("timestamp", out);
    optional(offset.timestamp, out, number);
    field("member_id", out);
    optional(offset.member_id.as_ref(), out, |member, out| string(member.as_str(), out));
    out.push('}');
}

/// What a node knows of the cluster.
pub fn status(status: &Status, members: &Members) -> Encoded {
    let mut out = String::new();
    let number_or_null = |name: &str, value: Option<u64>, out: &mut String| {
        field(name, out);
        optional(value, out, number);
    };
    field("node_id", &mut out);
    string(members.my_name(), &mut out);
    field("leader", &mut out);
    optional(status.leader.and_then(|id| members.name(id)), &mut out, string);
    field("term", &mut out);
    number(status.term, &mut out);
    number_or_null("last_log_index", status.last_log_index, &mut out);
    number_or_null("commit_index", status.commit_index, &mut out);
    number_or_null("applied_index", status.applied_index, &mut out);
    number_or_null("snapshot_index", status.snapshot_index, &mut out);
    field("voters", &mut out);
    strings(status.voters.iter().filter_map(|id| members.name(*id)), &mut out);
    Encoded { kind: "cluster_status_ok", fields: out }
}
