//! Random requests in a small world: few groups, members, topics, so that they meet often. What an
//! op names by number (a member, a deadline, an earlier request) is looked up in the state when it
//! is run.

use bytes::Bytes;
use proptest::prelude::*;
use state_machine::State;
use state_machine::command::{Acknowledged, Command, Lane, RequestId, Write};
use state_machine::groups::classic::command::{Agreed, ClassicCommand, JoinInfo, Protocol};
use state_machine::groups::command::{Deadline, Expiring, GroupCommand};
use state_machine::groups::group::Membership;
use state_machine::groups::polling::command::{PollingCommand, Subscription};
use state_machine::ids::{
    Generation, GroupId, InstanceId, MemberId, ProtocolName, TopicName, TopicPartition,
};
use state_machine::offsets::command::{
    Committer, Fence, OffsetCommand, OffsetCommit, PartitionCommit,
};
use state_machine::producers::command::ProducerCommand;
use state_machine::topics::command::{Retention, TopicCommand};
use state_machine::topics::config::Change;
use state_machine::topics::placement::Placement;
use state_machine::topics::sequences::Sequence;
use state_machine::values::Records;

const STRATEGIES: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];
const TOPICS: [&str; 2] = ["t", "u"];

/// What topics are configured with; `None`: as the nodes are.
const CONFIGS: [(&str, Option<&str>); 7] = [
    ("cleanup.policy", Some("compact")),
    ("cleanup.policy", None),
    ("max.message.bytes", Some("3")),
    ("retention.ms", Some("1000")),
    ("retention.bytes", Some("2")),
    ("segment.bytes", Some("1024")),
    ("segment.bytes", Some("too small")),
];

#[derive(Debug, Clone)]
pub enum Op {
    Topic {
        topic: usize,
        partitions: u32,
    },
    Grow {
        topic: usize,
        by: u32,
    },
    Trim {
        topic: usize,
        partition: u32,
        before: u64,
    },
    Retain {
        ms: u64,
        bytes: u64,
    },
    DeleteTopic {
        topic: usize,
    },
    AdvanceClock {
        ms: u32,
    },
    ExpireNow {
        /// A member by number; `None`: what the group waits for.
        member: Option<usize>,
    },
    Configure {
        topic: usize,
        /// Which configuration, and which of its values.
        what: usize,
        replace: bool,
    },
    Send {
        topic: usize,
        partition: u32,
        count: u32,
    },
    Append {
        topic: usize,
        partition: u32,
        count: u32,
        /// Of which producer, and how far its number is from the next one.
        producer: Option<(u64, u32)>,
        /// How long before now, in ms, if the records have their own times.
        created: Option<u64>,
    },
    MakeProducer,
    ForgetProducers {
        ms: u64,
    },
    CommitAll {
        member: Option<usize>,
        behind: i32,
        offset: u64,
    },
    Subscribe {
        name: usize,
        topics: usize,
        strategy: usize,
        instance: Option<usize>,
    },
    Poll {
        name: usize,
        max: u32,
    },
    Heartbeat {
        name: usize,
    },
    PollingCommit {
        name: usize,
        topic: usize,
        partition: u32,
        offset: u64,
        generation: Option<i32>,
    },
    Unsubscribe {
        name: usize,
        permanent: bool,
    },
    Join {
        member: Option<usize>,
        topics: usize,
        offers: usize,
        instance: Option<usize>,
        /// It is given its id first.
        id_first: bool,
    },
    Sync {
        member: usize,
        behind: i32,
    },
    Leave {
        member: usize,
        permanent: bool,
    },
    Commit {
        member: Option<usize>,
        topic: usize,
        partition: u32,
        behind: i32,
    },
    Expire {
        deadline: usize,
    },
    ExpireOld {
        deadline: usize,
    },
    Coordinator {
        node: u64,
    },
    Declare {
        consumers: usize,
        partitions: u32,
        strategy: usize,
    },
    DeleteGroup,
    DeleteOffsets {
        topic: usize,
    },
    ExpireOffsets {
        hours: u64,
    },
    Wait {
        minutes: u64,
    },
    MaxSize {
        members: u32,
    },
    InitialDelay {
        ms: u32,
    },
    Retry {
        back: usize,
    },
    Acknowledged {
        back: u64,
    },
}

/// Ops of a world where polling members (and else classic ones) are the likelier ones.
pub fn op(polling: bool) -> impl Strategy<Value = Op> {
    let name = 0..4_usize;
    let topic = 0..TOPICS.len();
    let instance = || prop::option::weighted(0.4, 0..2_usize);
    let (of_thin, of_classic) = if polling { (10, 1) } else { (1, 10) };
    prop_oneof![
        2 => (topic.clone(), 1..4_u32).prop_map(|(topic, partitions)| Op::Topic { topic, partitions }),
        1 => (topic.clone(), 1..3_u32).prop_map(|(topic, by)| Op::Grow { topic, by }),
        1 => topic.clone().prop_map(|topic| Op::DeleteTopic { topic }),
        1 => (0..100_000_u32).prop_map(|ms| Op::AdvanceClock { ms }),
        1 => prop::option::of(0..4_usize).prop_map(|member| Op::ExpireNow { member }),
        1 => (topic.clone(), 0..CONFIGS.len(), any::<bool>())
            .prop_map(|(topic, what, replace)| Op::Configure { topic, what, replace }),
        1 => (topic.clone(), 0..4_u32, 0..6_u64)
            .prop_map(|(topic, partition, before)| Op::Trim { topic, partition, before }),
        1 => (0..60_000_u64, 0..8_u64).prop_map(|(ms, bytes)| Op::Retain { ms, bytes }),
        2 => (topic.clone(), 0..4_u32, 1..4_u32)
            .prop_map(|(topic, partition, count)| Op::Send { topic, partition, count }),
        2 => (topic.clone(), 0..4_u32, 1..4_u32, prop::option::of((0..3_u64, 0..3_u32)),
            prop::option::of(0..100_000_u64))
            .prop_map(|(topic, partition, count, producer, created)| Op::Append {
                topic, partition, count, producer, created
            }),
        1 => Just(Op::MakeProducer),
        1 => (0..90_000_u64).prop_map(|ms| Op::ForgetProducers { ms }),
        1 => (prop::option::of(name.clone()), 0..2_i32, 0..4_u64)
            .prop_map(|(member, behind, offset)| Op::CommitAll { member, behind, offset }),
        of_thin => (name.clone(), 1..4_usize, prop_oneof![6 => Just(3), 2 => Just(0), 1 => 0..4_usize], instance())
            .prop_map(|(name, topics, strategy, instance)| Op::Subscribe { name, topics, strategy, instance }),
        of_thin => (name.clone(), 0..6_u32).prop_map(|(name, max)| Op::Poll { name, max }),
        of_thin => name.clone().prop_map(|name| Op::Heartbeat { name }),
        of_thin => (name.clone(), topic.clone(), 0..4_u32, 0..4_u64, prop::option::of(-1..3_i32))
            .prop_map(|(name, topic, partition, offset, generation)| Op::PollingCommit {
                name, topic, partition, offset, generation
            }),
        of_thin => (name.clone(), any::<bool>())
            .prop_map(|(name, permanent)| Op::Unsubscribe { name, permanent }),
        of_classic => (prop::option::of(name.clone()), 1..4_usize, 0..4_usize, instance(), any::<bool>())
            .prop_map(|(member, topics, offers, instance, id_first)| {
                Op::Join { member, topics, offers, instance, id_first }
            }),
        of_classic => (name.clone(), prop_oneof![9 => Just(0), 1 => 1..2_i32])
            .prop_map(|(member, behind)| Op::Sync { member, behind }),
        of_classic / 3 + 1 => (name.clone(), any::<bool>())
            .prop_map(|(member, permanent)| Op::Leave { member, permanent }),
        3 => (prop::option::of(name.clone()), topic.clone(), 0..4_u32, 0..2_i32)
            .prop_map(|(member, topic, partition, behind)| Op::Commit { member, topic, partition, behind }),
        5 => (0..16_usize).prop_map(|deadline| Op::Expire { deadline }),
        1 => (0..64_usize).prop_map(|deadline| Op::ExpireOld { deadline }),
        1 => (1..4_u64).prop_map(|node| Op::Coordinator { node }),
        1 => (0..8_usize, 0..4_u32, 0..4_usize)
            .prop_map(|(consumers, partitions, strategy)| Op::Declare { consumers, partitions, strategy }),
        1 => Just(Op::DeleteGroup),
        1 => topic.prop_map(|topic| Op::DeleteOffsets { topic }),
        1 => (0..3_u64).prop_map(|hours| Op::ExpireOffsets { hours }),
        2 => (0..90_u64).prop_map(|minutes| Op::Wait { minutes }),
        1 => (1..6_u32).prop_map(|members| Op::MaxSize { members }),
        1 => prop_oneof![Just(0), Just(3_000_u32)].prop_map(|ms| Op::InitialDelay { ms }),
        3 => (0..20_usize).prop_map(|back| Op::Retry { back }),
        1 => (0..8_u64).prop_map(|back| Op::Acknowledged { back }),
    ]
}

/// What an op comes to in a state.
pub enum Said {
    Command(Command),
    Retry(usize),
    Acknowledged(u64),
    Wait(u64),
    MaxSize(u32),
    InitialDelay(u32),
    Nothing,
}

pub fn group() -> GroupId {
    "g".into()
}

fn name(i: usize) -> MemberId {
    format!("c{i}").into()
}

fn topics(mask: usize) -> Vec<TopicName> {
    let all = TOPICS.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0);
    all.map(|(_, name)| TopicName::from(*name)).collect()
}

fn instance(i: usize) -> InstanceId {
    format!("i{i}").into()
}

fn strategy(i: usize) -> ProtocolName {
    STRATEGIES[i].into()
}

/// The member with a number among those of the group and those that are still to join; one who is
/// not there if there are fewer.
fn member(state: &State, i: usize) -> MemberId {
    let classic = state.group(&group()).and_then(|g| g.membership.classic());
    let found = classic.and_then(|c| c.members.keys().chain(c.pending_join.keys()).nth(i));
    found.cloned().unwrap_or_else(|| "stranger".into())
}

fn offers(topics: &[TopicName], which: usize, owned: Vec<(TopicName, Vec<u32>)>) -> Vec<Protocol> {
    let lists: [&[usize]; 4] = [&[0, 3], &[3], &[3, 0, 3], &[0, 1, 3]];
    let protocol = |i: &usize| Protocol {
        name: strategy(*i),
        topics: topics.to_vec(),
        owned: owned.clone(),
        generation: None,
        metadata: Bytes::new(),
    };
    lists[which].iter().map(protocol).collect()
}

fn join_info(instance_id: Option<InstanceId>, protocols: Vec<Protocol>) -> JoinInfo {
    JoinInfo {
        instance_id,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocols,
        client: None,
    }
}

/// What a member says that its group agreed on: one the truth, one something else, others nothing.
fn agreed(state: &State, i: usize) -> Agreed {
    let truth = || state.group(&group())?.membership.classic()?.protocol.clone();
    let protocol = if i == 0 { truth() } else { (i == 1).then(|| "another".into()) };
    Agreed { protocol, protocol_type: None }
}

fn sync(member: &MemberId, generation: Generation, agreed: Agreed) -> Command {
    ClassicCommand::Sync {
        group: group(),
        member: member.clone(),
        instance_id: None,
        generation,
        agreed,
        assignments: None,
    }
    .into()
}

fn trim(topic: usize, partition: u32, before: u64) -> Command {
    TopicCommand::Trim { topic: TOPICS[topic].into(), partition, before }.into()
}

fn retain(ms: u64, bytes: u64) -> Command {
    TopicCommand::Retain(Retention { ms: Some(ms), bytes: Some(bytes) }).into()
}

fn delete(topic: usize) -> Command {
    TopicCommand::Delete { topic: TOPICS[topic].into() }.into()
}

fn commit(topic: usize, partition: u32, offset: u64) -> OffsetCommit {
    OffsetCommit {
        group: group(),
        topic: TOPICS[topic].into(),
        partition,
        offset,
        leader_epoch: None,
        metadata: None,
    }
}

/// Of a partition that may be there and one that is not.
fn commit_all(member: Option<MemberId>, generation: Generation, offset: u64) -> Command {
    let commit = |partition| PartitionCommit {
        topic: TOPICS[0].into(),
        partition,
        offset,
        leader_epoch: Some(partition),
        metadata: None,
    };
    let member = member.map(|member_id| Committer { member_id, instance_id: None, generation });
    let commits = vec![commit(0), commit(9)];
    OffsetCommand::CommitAll { group: group(), member, commits }.into()
}

fn records(count: u32, created: Option<u64>) -> Records {
    Records { count, bytes: vec![b'x'; count as usize].into(), created, escapes: 0 }
}

impl Op {
    /// What an op on topics, records or producers comes to; `None`: it is on something else.
    fn on_topics(&self, state: &State) -> Option<Command> {
        Some(match *self {
            Op::Topic { topic, partitions } => {
                TopicCommand::create(TOPICS[topic], partitions).into()
            }
            Op::Grow { topic, by } => {
                let now = state.topic(&TOPICS[topic].into()).map_or(0, |t| t.partition_count());
                TopicCommand::Grow { topic: TOPICS[topic].into(), partitions: now + by }.into()
            }
            Op::Trim { topic, partition, before } => trim(topic, partition, before),
            Op::Retain { ms, bytes } => retain(ms, bytes),
            Op::DeleteTopic { topic } => delete(topic),
            Op::Configure { topic, what, replace } => {
                let (name, change) = CONFIGS[what];
                let change = change.map_or(Change::Unset, |value| Change::Set(value.into()));
                let changes = vec![(name.into(), change)];
                TopicCommand::Configure { topic: TOPICS[topic].into(), changes, replace }.into()
            }
            Op::Send { topic, partition, count } => TopicCommand::Produce {
                topic: TOPICS[topic].into(),
                placement: Placement::Partition(partition),
                new_topic_partitions: 2,
                records: records(count, None),
            }
            .into(),
            Op::Append { topic, partition, count, producer, created } => {
                let at = TopicPartition { topic: TOPICS[topic].into(), partition };
                let end = state.partition(&at).map_or(0, |log| log.end_offset());
                let end = u32::try_from(end).expect("a short log");
                TopicCommand::Append {
                    topic: at.topic,
                    partition,
                    sequence: producer.map(|(id, by)| Sequence::new(id, 0, end + by, count)),
                    records: records(count, created.map(|ms| state.now_ms().saturating_sub(ms))),
                    keyless: count == 1,
                    max_bytes: 2,
                }
                .into()
            }
            Op::AdvanceClock { ms } => Command::AdvanceClock { ms },
            Op::ExpireNow { member: i } => {
                let name = |i| member(state, i).as_str().into();
                let what = i.map_or(Expiring::Rebalance, |i| Expiring::Session(name(i)));
                GroupCommand::ExpireNow { group: group(), what }.into()
            }
            Op::MakeProducer => ProducerCommand::Make.into(),
            Op::ForgetProducers { ms } => TopicCommand::ForgetProducers { silent_ms: ms }.into(),
            _ => return None,
        })
    }

    pub fn say(&self, state: &State) -> Said {
        let generation = || state.group(&group()).map_or(0, |g| g.generation.0);
        if let Some(command) = self.on_topics(state) {
            return Said::Command(command);
        }
        Said::Command(match *self {
            Op::CommitAll { member: i, behind, offset } => {
                let generation = Generation(generation() - behind);
                commit_all(i.map(|i| member(state, i)), generation, offset)
            }
            Op::Subscribe { name: i, topics: mask, strategy: s, instance: which } => {
                PollingCommand::Subscribe {
                    group: group(),
                    member: name(i),
                    subscription: Subscription {
                        topics: topics(mask),
                        strategy: strategy(s),
                        instance_id: which.map(instance),
                        session_timeout_ms: 10_000,
                        rebalance_timeout_ms: 60_000,
                    },
                }
                .into()
            }
            Op::Poll { name: i, max } => {
                PollingCommand::Poll { group: group(), member: name(i), max_messages: max }.into()
            }
            Op::Heartbeat { name: i } => {
                PollingCommand::Heartbeat { group: group(), member: name(i) }.into()
            }
            Op::PollingCommit { name: i, topic, partition, offset, generation: given } => {
                OffsetCommand::PollingCommit {
                    commit: commit(topic, partition, offset),
                    member: name(i),
                    generation: given.map(|behind| Generation(generation() - behind)),
                }
                .into()
            }
            Op::Unsubscribe { name: i, permanent } => {
                PollingCommand::Unsubscribe { group: group(), member: name(i), permanent }.into()
            }
            Op::Join { member: i, topics: mask, offers: which, instance: seat, id_first } => {
                let id = i.map(|i| member(state, i));
                let info = join_info(seat.map(instance), offers(&topics(mask), which, Vec::new()));
                ClassicCommand::Join { group: group(), member: id, id_first, info }.into()
            }
            Op::Sync { member: i, behind } => {
                sync(&member(state, i), Generation(generation() - behind), agreed(state, i))
            }
            Op::Leave { member: i, permanent } => ClassicCommand::Leave {
                group: group(),
                member: member(state, i),
                instance_id: None,
                permanent,
            }
            .into(),
            Op::Commit { member: i, topic, partition, behind } => OffsetCommand::Commit {
                commit: commit(topic, partition, 1),
                fence: i.map(|i| Fence {
                    member_id: Some(member(state, i)),
                    generation: Some(Generation(generation() - behind)),
                }),
            }
            .into(),
            Op::Expire { deadline } => {
                let all = state.group(&group()).map_or_else(Vec::new, |g| g.deadlines());
                match all.into_iter().map(|(d, _)| d).cycle().nth(deadline) {
                    Some(deadline) => GroupCommand::Expire { group: group(), deadline }.into(),
                    None => return Said::Nothing,
                }
            }
            Op::ExpireOld { deadline } => {
                let number = (deadline / 8) as u64;
                let old = Generation(i32::try_from(number).expect("small"));
                let deadline = match deadline % 6 {
                    0 => Deadline::Session { member: name(deadline % 4) },
                    1 => Deadline::PollInterval { member: name(deadline % 4) },
                    2 => Deadline::Rebalance { epoch: number },
                    3 => Deadline::Sync { generation: old },
                    4 => Deadline::Revocation { member: name(deadline % 4), generation: old },
                    _ => Deadline::InitialDelay { epoch: number },
                };
                GroupCommand::Expire { group: group(), deadline }.into()
            }
            Op::Coordinator { node } => Command::NewCoordinator { node },
            Op::Declare { consumers, partitions, strategy: s } => GroupCommand::Declare {
                group: group(),
                topic: TOPICS[0].into(),
                consumers: (0..3).filter(|i| consumers & (1 << i) != 0).map(name).collect(),
                partitions: (0..partitions).collect(),
                strategy: strategy(s),
            }
            .into(),
            Op::DeleteGroup => GroupCommand::Delete { group: group() }.into(),
            Op::DeleteOffsets { topic } => OffsetCommand::Delete {
                group: group(),
                topic: TOPICS[topic].into(),
                partitions: None,
            }
            .into(),
            Op::ExpireOffsets { hours } => {
                OffsetCommand::Expire { retention_ms: hours * 3_600_000 }.into()
            }
            Op::Wait { minutes } => return Said::Wait(minutes * 60_000),
            Op::MaxSize { members } => return Said::MaxSize(members),
            Op::InitialDelay { ms } => return Said::InitialDelay(ms),
            Op::Retry { back } => return Said::Retry(back),
            Op::Acknowledged { back } => return Said::Acknowledged(back),
            _ => unreachable!("{self:?} is on topics"),
        })
    }
}

/// A command as one of node 1's requests.
pub fn write(command: Command, seq: u64) -> Write {
    let lane = command.lane();
    let is_leaders_own = matches!(
        command,
        Command::NewCoordinator { .. } | Command::Group(GroupCommand::Expire { .. })
    );
    let request_id =
        (!is_leaders_own).then_some(RequestId { node: 1, incarnation: 0xa, lane, seq });
    Write { request_id, command }
}

pub fn acknowledged(lane: Lane, below: u64) -> Acknowledged {
    Acknowledged { node: 1, incarnation: 0xa, lane, below }
}

/// The requests that faithful clients of all members would send now: polling consumers poll,
/// classic members join and sync as their state asks them to. Members in `silent` say nothing.
pub fn faithful(state: &State, silent: impl Fn(&MemberId) -> bool) -> Vec<Command> {
    let Some(found) = state.group(&group()) else { return Vec::new() };
    match &found.membership {
        Membership::Simple | Membership::Declared(_) => Vec::new(),
        Membership::Polling(polling) => {
            let present = polling.members.iter().filter(|(id, m)| !m.away && !silent(id));
            let poll = |id: &MemberId| PollingCommand::Poll {
                group: group(),
                member: id.clone(),
                max_messages: 3,
            };
            present.map(|(id, _)| poll(id).into()).collect()
        }
        Membership::Classic(classic) => {
            let ids =
                classic.members.keys().filter(|id| !classic.away.contains(*id) && !silent(id));
            let preparing = found.state().name() == "PreparingRebalance";
            ids.filter_map(|id| {
                if classic.pending_sync.contains(id) {
                    Some(sync(id, found.generation, Agreed::default()))
                } else if preparing && !classic.joining.contains(id) {
                    rejoin(state, id)
                } else {
                    None
                }
            })
            .collect()
        }
    }
}

/// A classic member joins again, with what it reads now.
fn rejoin(state: &State, id: &MemberId) -> Option<Command> {
    let found = state.group(&group())?;
    let member = found.membership.classic()?.members.get(id)?;
    let protocol = |p: &Protocol| Protocol {
        owned: member.assignment.clone(),
        generation: Some(found.generation),
        ..p.clone()
    };
    let info = join_info(None, member.protocols.iter().map(protocol).collect());
    let member = Some(id.clone());
    Some(ClassicCommand::Join { group: group(), member, id_first: true, info }.into())
}

/// The leader of a cooperative classic group joins again when partitions were withheld.
pub fn second_round(state: &State) -> Option<Command> {
    rejoin(state, state.group(&group())?.membership.classic()?.leader.as_ref()?)
}
