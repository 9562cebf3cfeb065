//! The words of a trace: one line becomes one request.
//!
//! A line is `[at TIME] [nN#SEQ] VERB WORDS… NAME=VALUE…`. `nN#SEQ` is the request's request id, so
//! that the same one twice is a retry. Members are written `group/member`, partitions `topic-0`,
//! lists with commas, ranges `0..5` (both included), times `10s`, `5m`, `1h`, `250` (ms).

use std::collections::BTreeMap;

use state_machine::command::{Acknowledged, Command, Lane, Query, RequestId};
use state_machine::groups::command::{Deadline, Expiring, GroupCommand, GroupQuery};
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::{Generation, GroupId, MemberId, PartitionId, TopicName, TopicPartition};
use state_machine::keyed_logs::command::{KeyedLogCommand, KeyedLogQuery};
use state_machine::offsets::command::{
    Committer, Fence, OffsetCommand, OffsetCommit, OffsetQuery, PartitionCommit,
};
use state_machine::producers::command::ProducerCommand;
use state_machine::registers::command::{RegisterCommand, RegisterQuery};
use state_machine::registers::register::RegisterValue;
use state_machine::topics::command::{OffsetAt, ReadFrom, TopicCommand, TopicQuery};
use state_machine::topics::sequences::Sequence;
use state_machine::values::{Records, TopicPartitions};

mod classic;
mod topics;

/// What a line asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    Command(Command),
    Query(Query),
    /// `expire`, with the group's own epoch or generation filled in where the line has none.
    Expire(GroupId, ExpireWhat),
    Acknowledged(Acknowledged),
    Limits {
        max_size: Option<u32>,
        initial_delay_ms: Option<u32>,
    },
    /// Time passes.
    Nothing,
    ShowGroup(GroupId),
    ShowDeadlines(GroupId),
    ShowSessions,
    /// All that a snapshot holds goes through bytes and comes back.
    Restore,
}

#[derive(Debug, Clone)]
pub enum ExpireWhat {
    Deadline(Deadline),
    Rebalance,
    InitialDelay,
    Sync,
    Revocation(MemberId),
}

/// A line, taken apart.
#[derive(Debug, Clone)]
pub struct Line {
    pub at_ms: Option<u64>,
    pub request_id: Option<RequestId>,
    pub ask: Ask,
}

struct Words<'a> {
    line: &'a str,
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        let (named, plain): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|w| w.contains('='));
        let named = named.into_iter().map(|w| w.split_once('=').expect("was checked")).collect();
        Self { line, plain, named }
    }

    fn plain(&self, i: usize) -> &'a str {
        self.plain.get(i).unwrap_or_else(|| panic!("`{}`: word {i} is missing", self.line))
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let text = self.named.get(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("`{}`: {name} is no number", self.line)))
    }

    fn time(&self, name: &str, default_ms: u64) -> u32 {
        let ms = self.named.get(name).map_or(default_ms, |t| time(t));
        u32::try_from(ms).expect("a time-out")
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.named.get(name).copied()
    }

    fn member(&self, i: usize) -> (GroupId, MemberId) {
        let (group, member) = self.plain(i).split_once('/').unwrap_or_else(|| {
            panic!("`{}`: `{}` is not group/member", self.line, self.plain(i));
        });
        (group.into(), member.into())
    }
}

pub fn time(text: &str) -> u64 {
    let units = [("ms", 1.0), ("h", 3_600_000.0), ("m", 60_000.0), ("s", 1_000.0)];
    let unit = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)));
    let (number, ms) = unit.unwrap_or((text, &1.0));
    (number.parse::<f64>().unwrap_or_else(|_| panic!("`{text}` is no time")) * ms).round() as u64
}

fn partition(text: &str) -> TopicPartition {
    let (topic, partition) =
        text.rsplit_once('-').unwrap_or_else(|| panic!("`{text}` is not topic-0"));
    TopicPartition {
        topic: topic.into(),
        partition: partition.parse().expect("a partition's number"),
    }
}

fn numbers(text: &str) -> Vec<PartitionId> {
    if text.is_empty() {
        return Vec::new();
    }
    let one = |text: &str| text.parse::<u32>().expect("a number");
    text.split(',')
        .flat_map(|part| match part.split_once("..") {
            Some((from, to)) => one(from)..=one(to),
            None => one(part)..=one(part),
        })
        .collect()
}

fn names<T: for<'a> From<&'a str>>(text: &str) -> Vec<T> {
    text.split(',').filter(|name| !name.is_empty()).map(T::from).collect()
}

/// `t:0,1+u:2` are t-0, t-1, u-2; `-` is none.
fn by_topic(text: &str) -> TopicPartitions {
    if text == "-" {
        return Vec::new();
    }
    let topic = |part: &str| {
        let (topic, of_topic) = part.split_once(':').expect("topic:partitions");
        (TopicName::from(topic), numbers(of_topic))
    };
    text.split('+').map(topic).collect()
}

/// The head of a Kafka record batch has so many bytes.
pub const HEAD_BYTES: usize = 61;

/// A batch whose head is as Kafka's, as far as a store of records looks at it. What follows is the
/// message itself, in place of records.
pub fn records(message: &str, count: u32) -> Records {
    let mut bytes = vec![0; HEAD_BYTES];
    bytes.extend_from_slice(message.as_bytes());
    let len = u32::try_from(bytes.len() - 12).expect("a short message");
    bytes[8..12].copy_from_slice(&len.to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    Records { count, bytes: bytes.into(), created: None, escapes: 0 }
}

/// A batch of an idempotent producer, if the line names one.
fn sequence(w: &Words<'_>, count: u32) -> Option<Sequence> {
    let producer = w.number("producer")?;
    let (epoch, first) = (w.number("epoch").unwrap_or(0), w.number("seq").unwrap_or(0));
    Some(Sequence::new(producer, epoch, first, count))
}

/// Commits of all that is written `topic-0=offset`.
fn commits(w: &Words<'_>) -> Vec<PartitionCommit> {
    let one = |(at, offset): (&&str, &&str)| {
        let TopicPartition { topic, partition } = partition(at);
        let offset = offset.parse().expect("an offset");
        let leader_epoch = w.number("epoch");
        PartitionCommit { topic, partition, offset, leader_epoch, metadata: None }
    };
    w.named.iter().filter(|(name, _)| name.contains('-')).map(one).collect()
}

fn register(text: &str) -> RegisterValue {
    RegisterValue { text: text.into(), canonical: text.into() }
}

impl Line {
    pub fn parse(line: &str) -> Self {
        let mut rest = line.trim();
        let mut at_ms = None;
        let mut request_id = None;
        if let Some(after) = rest.strip_prefix("at ") {
            let (when, after) = after.trim_start().split_once(' ').unwrap_or((after, "wait"));
            at_ms = Some(time(when));
            rest = after.trim_start();
        }
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some((node, seq)) = first.strip_prefix('n').and_then(|w| w.split_once('#')) {
            let verb = after.split_whitespace().next().unwrap_or("");
            let lane =
                if matches!(verb, "join" | "sync") { Lane::Delayed } else { Lane::Immediate };
            let (node, seq) =
                (node.parse().expect("a node"), seq.parse().expect("a request's number"));
            request_id = Some(RequestId { node, incarnation: 0xa, lane, seq });
            rest = after;
        }
        Self { at_ms, request_id, ask: ask(&Words::new(rest)) }
    }
}

fn command(command: impl Into<Command>) -> Ask {
    Ask::Command(command.into())
}

fn query(query: impl Into<Query>) -> Ask {
    Ask::Query(query.into())
}

/// What only listeners of Kafka's own clients ask; `None`: another verb.
fn of_kafka(w: &Words<'_>) -> Option<Ask> {
    Some(match w.plain(0) {
        "append" => {
            let TopicPartition { topic, partition } = partition(w.plain(1));
            let count = w.number("count").unwrap_or(1);
            let mut records = records(w.plain(2), count);
            records.created = w.number("created");
            command(TopicCommand::Append {
                topic,
                partition,
                sequence: sequence(w, count),
                records,
                keyless: w.has("keyless"),
                max_bytes: w.number("most").unwrap_or(u32::MAX),
            })
        }
        "producer" => command(ProducerCommand::Make),
        "forget-producers" => {
            command(TopicCommand::ForgetProducers { silent_ms: w.time("silent", 0).into() })
        }
        "describe-topics" => {
            let topics = w.plain.get(1).map(|topics| names(topics));
            query(TopicQuery::Describe { topics })
        }
        "read-from" => {
            let from = |(at, offset): (&&str, &&str)| {
                let TopicPartition { topic, partition } = partition(at);
                let offset = offset.parse().expect("an offset");
                ReadFrom { topic, partition, offset, max_bytes: u32::MAX }
            };
            let named = w.named.iter().filter(|(name, _)| name.contains('-'));
            let max_bytes = w.number("bytes").unwrap_or(u32::MAX);
            query(TopicQuery::Read { partitions: named.map(from).collect(), max_bytes })
        }
        "offsets" => {
            let TopicPartition { topic, partition } = partition(w.plain(1));
            let from = w.number("from").unwrap_or(0);
            let since = w.number("since").map(|time| (time, from));
            query(TopicQuery::Offsets { partitions: vec![OffsetAt { topic, partition, since }] })
        }
        "commit-all" => command(OffsetCommand::CommitAll {
            group: w.plain(1).into(),
            member: w.text("member").map(|member| Committer {
                member_id: member.into(),
                instance_id: w.text("instance").map(Into::into),
                generation: Generation(w.number("generation").unwrap_or(-1)),
            }),
            commits: commits(w),
        }),
        "committed-all" => query(OffsetQuery::FetchAll {
            group: w.plain(1).into(),
            partitions: w.text("of").map(by_topic),
        }),
        _ => return None,
    })
}

fn ask(w: &Words<'_>) -> Ask {
    match w.plain(0) {
        "log-send" => command(KeyedLogCommand::Send {
            key: w.plain(1).into(),
            records: records(w.plain(2), 1),
        }),
        "log-poll" => query(KeyedLogQuery::Poll { offsets: offsets(w) }),
        "log-commit" => command(KeyedLogCommand::Commit { offsets: offsets(w) }),
        "log-committed" => query(KeyedLogQuery::Committed { keys: names(w.plain(1)) }),
        "write" => {
            command(RegisterCommand::Write { key: w.plain(1).into(), value: register(w.plain(2)) })
        }
        "cas" => command(RegisterCommand::Cas {
            key: w.plain(1).into(),
            from: w.plain(2).into(),
            to: register(w.plain(3)),
            create_if_not_exists: w.has("create"),
        }),
        "read" => query(RegisterQuery::Read { key: w.plain(1).into() }),
        "coordinator" => command(Command::NewCoordinator {
            node: w.plain(1).trim_start_matches('n').parse().expect("a node"),
        }),
        "advance-clock" => command(Command::AdvanceClock {
            ms: u32::try_from(time(w.plain(1))).expect("not that long"),
        }),
        "floor" => Ask::Acknowledged(Acknowledged {
            node: w.plain(1).trim_start_matches('n').parse().expect("a node"),
            incarnation: 0xa,
            lane: if w.has("waiting") { Lane::Delayed } else { Lane::Immediate },
            below: w.number("below").expect("below="),
        }),
        "limits" => Ask::Limits {
            max_size: w.number("max_size"),
            initial_delay_ms: w
                .text("initial_delay")
                .map(|t| u32::try_from(time(t)).expect("a delay")),
        },
        "wait" => Ask::Nothing,
        "restore" => Ask::Restore,
        "show" => Ask::ShowGroup(w.plain(1).into()),
        "deadlines" => Ask::ShowDeadlines(w.plain(1).into()),
        "sessions" => Ask::ShowSessions,
        _ => topics::of_topics(w)
            .or_else(|| of_kafka(w))
            .or_else(|| classic::of_members(w))
            .unwrap_or_else(|| of_groups(w)),
    }
}

fn offsets<K: for<'a> From<&'a str>>(w: &Words<'_>) -> Vec<(K, u64)> {
    w.named.iter().map(|(key, offset)| (K::from(key), offset.parse().expect("an offset"))).collect()
}

fn commit(w: &Words<'_>, group: GroupId) -> OffsetCommit {
    let (at, offset) = w
        .named
        .iter()
        .find(|(name, _)| name.contains('-'))
        .unwrap_or_else(|| panic!("`{}`: topic-0=offset is missing", w.line));
    let TopicPartition { topic, partition } = partition(at);
    let offset = offset.parse().expect("an offset");
    let (leader_epoch, metadata) = (None, w.text("metadata").map(Into::into));
    OffsetCommit { group, topic, partition, offset, leader_epoch, metadata }
}

fn of_groups(w: &Words<'_>) -> Ask {
    let generation = || w.number("generation").map(Generation);
    let instance_id = || w.text("instance").map(Into::into);
    match w.plain(0) {
        "commit" => {
            let commit = commit(w, w.plain(1).into());
            let member_id = w.text("member").map(MemberId::from);
            let is_fenced = member_id.is_some() || generation().is_some();
            let fence = is_fenced.then(|| Fence { member_id, generation: generation() });
            command(OffsetCommand::Commit { commit, fence })
        }
        "thin-commit" => {
            let (group, member) = w.member(1);
            command(OffsetCommand::PollingCommit {
                commit: commit(w, group),
                member,
                generation: generation(),
            })
        }
        "fetch-offset" => {
            let TopicPartition { topic, partition } = partition(w.plain(2));
            query(OffsetQuery::Fetch { group: w.plain(1).into(), topic, partition })
        }
        "declare" => command(GroupCommand::Declare {
            group: w.plain(1).into(),
            topic: w.text("topic").unwrap_or("default").into(),
            consumers: names(w.text("consumers").unwrap_or("")),
            partitions: numbers(w.text("partitions").unwrap_or("")),
            strategy: w.text("strategy").unwrap_or("range").into(),
        }),
        "subscribe" => {
            let (group, member) = w.member(1);
            let subscription = Subscription {
                topics: names(w.text("topics").unwrap_or("t")),
                strategy: w.text("strategy").unwrap_or("range").into(),
                instance_id: instance_id(),
                session_timeout_ms: w.time("session", 45_000),
                rebalance_timeout_ms: w.time("rebalance", 300_000),
            };
            command(PollingCommand::Subscribe { group, member, subscription })
        }
        "poll" => {
            let (group, member) = w.member(1);
            command(PollingCommand::Poll {
                group,
                member,
                max_messages: w.number("max").unwrap_or(10),
            })
        }
        "heartbeat" => {
            let (group, member) = w.member(1);
            match generation() {
                None => query(GroupQuery::PollingHeartbeat { group, member }),
                Some(generation) => query(GroupQuery::ClassicHeartbeat {
                    group,
                    member,
                    instance_id: instance_id(),
                    generation,
                }),
            }
        }
        "unsubscribe" => {
            let (group, member) = w.member(1);
            command(PollingCommand::Unsubscribe { group, member, permanent: w.has("permanent") })
        }
        "expire" => expire(w),
        "end" => end(w),
        "list" => query(GroupQuery::List),
        "describe" => query(GroupQuery::Describe { group: w.plain(1).into() }),
        "delete-group" => command(GroupCommand::Delete { group: w.plain(1).into() }),
        "delete-offsets" => command(OffsetCommand::Delete {
            group: w.plain(1).into(),
            topic: w.plain(2).into(),
            partitions: w.text("partitions").map(numbers),
        }),
        "expire-offsets" => command(OffsetCommand::Expire {
            retention_ms: time(w.text("retention").expect("retention=")),
        }),
        other => panic!("`{}`: unknown verb `{other}`", w.line),
    }
}

/// `end g/c`: a session; `end g`: what the group waits for.
fn end(w: &Words<'_>) -> Ask {
    let (group, what) = match w.plain(1).split_once('/') {
        Some((group, member)) => (group, Expiring::Session(member.into())),
        None => (w.plain(1), Expiring::Rebalance),
    };
    command(GroupCommand::ExpireNow { group: group.into(), what })
}

fn expire(w: &Words<'_>) -> Ask {
    let what = match w.plain(2) {
        "session" => ExpireWhat::Deadline(Deadline::Session { member: w.plain(3).into() }),
        "poll-interval" => {
            ExpireWhat::Deadline(Deadline::PollInterval { member: w.plain(3).into() })
        }
        "rebalance" => match w.number("epoch") {
            Some(epoch) => ExpireWhat::Deadline(Deadline::Rebalance { epoch }),
            None => ExpireWhat::Rebalance,
        },
        "initial-delay" => match w.number("epoch") {
            Some(epoch) => ExpireWhat::Deadline(Deadline::InitialDelay { epoch }),
            None => ExpireWhat::InitialDelay,
        },
        "sync" => match w.number("generation") {
            Some(g) => ExpireWhat::Deadline(Deadline::Sync { generation: Generation(g) }),
            None => ExpireWhat::Sync,
        },
        "revocation" => match w.number("generation") {
            Some(g) => ExpireWhat::Deadline(Deadline::Revocation {
                member: w.plain(3).into(),
                generation: Generation(g),
            }),
            None => ExpireWhat::Revocation(w.plain(3).into()),
        },
        other => panic!("`{}`: unknown deadline `{other}`", w.line),
    };
    Ask::Expire(w.plain(1).into(), what)
}
