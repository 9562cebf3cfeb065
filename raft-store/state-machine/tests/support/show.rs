//! Events, replies and groups as a trace prints them.

use std::fmt::Write as _;

use bytes::Bytes;
use state_machine::command::RequestId;
use state_machine::event::Event;
use state_machine::groups::classic::event::ClassicEvent;
use state_machine::groups::classic::members::{DelayedKind, Phase};
use state_machine::groups::classic::reply::ClassicReply;
use state_machine::groups::command::Deadline;
use state_machine::groups::event::{GroupEvent, RebalanceReason};
use state_machine::groups::group::{Group, Membership};
use state_machine::groups::polling::event::PollingEvent;
use state_machine::groups::polling::reply::{PollingReply, PollingView};
use state_machine::groups::reply::{Description, GroupReply};
use state_machine::ids::TopicPartition;
use state_machine::keyed_logs::event::KeyedLogEvent;
use state_machine::keyed_logs::reply::KeyedLogReply;
use state_machine::offsets::committed::CommittedOffset;
use state_machine::offsets::event::OffsetEvent;
use state_machine::offsets::reply::OffsetReply;
use state_machine::producers::event::ProducerEvent;
use state_machine::producers::reply::ProducerReply;
use state_machine::registers::event::RegisterEvent;
use state_machine::registers::reply::RegisterReply;
use state_machine::rejection::Rejection;
use state_machine::reply::{Decided, Decision, Outcome, Reply};
use state_machine::topics::event::TopicEvent;
use state_machine::topics::reply::{OffsetsFound, ReadPart, TopicReply};
use state_machine::values::{StoredBatch, TopicPartitions};

use super::words::HEAD_BYTES;

pub fn time(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

fn numbers(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some((_, to)) if *to + 1 == *n => *to = *n,
            _ => runs.push((*n, *n)),
        }
    }
    let run = |(from, to): &(u32, u32)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}..{to}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

/// Bytes that are text.
fn plain(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn partitions(list: &TopicPartitions) -> String {
    if list.is_empty() {
        return "-".to_owned();
    }
    let topic = |(topic, of_topic): &(_, Vec<u32>)| format!("{topic}:{}", numbers(of_topic));
    list.iter().map(topic).collect::<Vec<_>>().join("+")
}

fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|i| i.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}

fn option<T: std::fmt::Display>(item: Option<T>) -> String {
    item.map_or_else(|| "-".to_owned(), |i| i.to_string())
}

fn request_id(request_id: Option<&RequestId>) -> String {
    option(request_id.map(|o| format!("n{}#{}", o.node, o.seq)))
}

fn reason(reason: &RebalanceReason) -> String {
    match reason {
        RebalanceReason::MemberJoined(member) => format!("member_joined({member})"),
        RebalanceReason::MemberRejoined(member) => format!("member_rejoined({member})"),
        RebalanceReason::MemberRemoved(member) => format!("member_removed({member})"),
        RebalanceReason::TopicChanged(topic) => format!("topic_changed({topic})"),
        RebalanceReason::SyncTimedOut => "sync_timed_out".to_owned(),
    }
}

/// Only what a reader wants to see: lengths and metadata are in the commands.
pub fn event(event: &Event) -> String {
    match event {
        Event::Topic(event) => topic_event(event),
        Event::KeyedLog(KeyedLogEvent::Appended { key, offset, timestamp, .. }) => {
            format!("appended {key} {offset} at={timestamp}")
        }
        Event::KeyedLog(KeyedLogEvent::Committed { key, offset }) => {
            format!("committed {key} {offset}")
        }
        Event::Register(RegisterEvent::Written { key, value }) => {
            format!("register_written {key} {}", value.text)
        }
        Event::Offset(OffsetEvent::Committed { group, topic, partition, committed }) => {
            format!("offset_committed {group} {topic}-{partition} {}", offset_of(committed))
        }
        Event::Offset(OffsetEvent::Removed { group, topic, partition }) => {
            format!("offset_removed {group} {topic}-{partition}")
        }
        Event::Producer(ProducerEvent::Made { id }) => format!("producer_made {id}"),
        Event::Group { group, event } => group_event(group.as_str(), event),
        Event::ClockAdvanced { ms } => format!("clock_advanced {ms}"),
        Event::CoordinatorChanged { node } => format!("coordinator_changed n{node}"),
    }
}

fn topic_event(event: &TopicEvent) -> String {
    match event {
        TopicEvent::Created { topic, partitions, config, .. } => {
            let set = config.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("topic_created {topic} partitions={partitions}{}", set.collect::<String>())
        }
        TopicEvent::Grown { topic, partitions, .. } => {
            format!("topic_grown {topic} partitions={partitions}")
        }
        TopicEvent::Configured { topic, config } => {
            let set = config.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("topic_configured {topic}{}", set.collect::<String>())
        }
        TopicEvent::Deleted { topic, .. } => format!("topic_deleted {topic}"),
        TopicEvent::Trimmed { topic, partition, start, segments, .. } => {
            format!("trimmed {topic}-{partition} start={start} segments={segments:?}")
        }
        TopicEvent::Appended { topic, partition, offset, timestamp, sequence, .. } => {
            let sequence = sequence.map(|s| {
                format!(" producer={} epoch={} seq={}..{}", s.producer, s.epoch, s.first, s.last)
            });
            let sequence = sequence.unwrap_or_default();
            format!("appended {topic}-{partition} {offset} at={timestamp}{sequence}")
        }
        TopicEvent::ProducersForgotten { topic, partition, producers } => {
            format!("producers_forgotten {topic}-{partition} {producers:?}")
        }
    }
}

fn group_event(group: &str, event: &GroupEvent) -> String {
    match event {
        GroupEvent::Polling(event) => polling_event(group, event),
        GroupEvent::Classic(event) => classic_event(group, event),
        GroupEvent::Declared { strategy, assignments, .. } => {
            format!("declared {group} strategy={strategy} {}", declaration(assignments))
        }
        GroupEvent::SeatTaken { instance_id, from, to } => {
            format!("seat_taken {group} instance={instance_id} {from} -> {to}")
        }
        GroupEvent::SeatKept { member } => format!("seat_kept {group}/{member}"),
        GroupEvent::MemberRemoved { member, reason } => {
            format!("member_removed {group}/{member} reason={}", reason.name())
        }
        GroupEvent::RebalanceStarted { reason: why, timeout_ms, initial } => {
            let initial = initial.map(|i| format!(" initial_delay={}", time(i.delay_ms.into())));
            let (why, timeout) = (reason(why), time((*timeout_ms).into()));
            format!(
                "rebalance_started {group} {why} timeout={timeout}{}",
                initial.unwrap_or_default()
            )
        }
        GroupEvent::Assigned { generation, targets } => {
            let targets = targets.iter().map(|(id, t)| format!(" {id}>{}", partitions(t)));
            format!("assigned {group} generation={generation}{}", targets.collect::<String>())
        }
        GroupEvent::RebalanceCompleted { generation } => {
            format!("rebalance_completed {group} generation={generation}")
        }
        GroupEvent::Answered { member, request_id: whose, outcome: answer } => {
            format!("answered {group}/{member} {} {}", request_id(whose.as_ref()), outcome(answer))
        }
        GroupEvent::Removed => format!("group_removed {group}"),
    }
}

fn polling_event(group: &str, event: &PollingEvent) -> String {
    match event {
        PollingEvent::Subscribed { member, subscription } => {
            let instance = subscription.instance_id.as_ref().map(|i| format!(" instance={i}"));
            let topics = list(&subscription.topics);
            format!("subscribed {group}/{member} topics={topics}{}", instance.unwrap_or_default())
        }
        PollingEvent::Reconciled { member, generation, revoked, assigned } => {
            let (gave, got) = (partitions(revoked), partitions(assigned));
            format!("reconciled {group}/{member} generation={generation} gave_up={gave} got={got}")
        }
        PollingEvent::Polled { member, spans } => {
            let spans = spans.iter().map(|s| format!("{} {}..{}", s.partition, s.from, s.to));
            format!("polled {group}/{member} {}", list(spans))
        }
        PollingEvent::TopicDropped { topic } => format!("topic_dropped {group} {topic}"),
    }
}

fn classic_event(group: &str, event: &ClassicEvent) -> String {
    match event {
        ClassicEvent::Joined { member, info, waits } => {
            let offers =
                list(info.protocols.iter().map(|p| format!("{}({})", p.name, list(&p.topics))));
            let waits = if waits.is_some() { " waits" } else { "" };
            format!("joined {group}/{member} offers={offers}{waits}")
        }
        ClassicEvent::IdGiven { member, session_timeout_ms } => {
            format!("id_given {group}/{member} session={}", time((*session_timeout_ms).into()))
        }
        ClassicEvent::IdForgotten { member, reason } => {
            format!("id_forgotten {group}/{member} {}", reason.name())
        }
        ClassicEvent::RebalanceExtended { timeout_ms, initial } => match initial {
            Some(initial) => {
                format!(
                    "rebalance_extended {group} initial_delay={}",
                    time(initial.delay_ms.into())
                )
            }
            None => format!("rebalance_extended {group} timeout={}", time((*timeout_ms).into())),
        },
        ClassicEvent::JoinCompleted { generation, protocol, leader } => {
            format!(
                "join_completed {group} generation={generation} protocol={protocol} leader={leader}"
            )
        }
        ClassicEvent::Emptied { generation } => format!("emptied {group} generation={generation}"),
        ClassicEvent::Given { assignments } => {
            let given = |(member, bytes): &(_, Bytes)| format!("{member}>{}", plain(bytes));
            format!("given {group} {}", list(assignments.iter().map(given)))
        }
        ClassicEvent::SyncWaits { member, .. } => format!("sync_waits {group}/{member}"),
        ClassicEvent::SyncFetched { member } => format!("sync_fetched {group}/{member}"),
    }
}

fn declaration<I: std::fmt::Display>(assignments: &[(I, Vec<u32>)]) -> String {
    let one = |(id, owned): &(I, Vec<u32>)| {
        format!("{id}>{}", if owned.is_empty() { "-".to_owned() } else { numbers(owned) })
    };
    let all = assignments.iter().map(one).collect::<Vec<_>>().join(" ");
    if all.is_empty() { "-".to_owned() } else { all }
}

fn view(view: &PollingView) -> String {
    let PollingView { generation, state, assignment } = view;
    format!("generation={generation} {} {}", state.name(), partitions(assignment))
}

fn batches(batches: &[StoredBatch]) -> String {
    let batch = |b: &StoredBatch| {
        format!("{}:{}", b.base_offset, String::from_utf8_lossy(&b.bytes[HEAD_BYTES..]))
    };
    list(batches.iter().map(batch))
}

pub fn decided(decided: &Decided) -> String {
    match decided {
        Ok(Decision::Delayed { member }) => format!("waits as {member}"),
        Ok(Decision::Reply(found)) => reply(found),
        Err(rejection) => refused(rejection),
    }
}

pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Ok(found) => reply(found),
        Err(rejection) => refused(rejection),
    }
}

fn refused(rejection: &Rejection) -> String {
    format!("refused {} ({rejection})", error_name(rejection))
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Done => "ok".to_owned(),
        Reply::Topic(TopicReply::Appended { partition, offset }) => {
            format!("appended partition={partition} offset={offset}")
        }
        Reply::Topic(TopicReply::Listed(topics)) => {
            list(topics.iter().map(|(name, n)| format!("{name}={n}")))
        }
        Reply::Topic(TopicReply::Fetched { found, high_watermark }) => {
            format!("[{}] high_watermark={high_watermark}", batches(&found.batches))
        }
        Reply::Topic(TopicReply::Produced { offset, start, appended }) => {
            let appended = appended.map(|at| format!(" at={at}")).unwrap_or_default();
            format!("produced offset={offset} start={start}{appended}")
        }
        Reply::Topic(TopicReply::Described(topics)) => list(topics.iter().map(|(name, found)| {
            let found = found.as_ref().map(|f| {
                let set = f.config.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("{}/log {}{}", f.partitions, f.first_log.0, set.collect::<String>())
            });
            format!("{name}={}", option(found))
        })),
        Reply::Topic(TopicReply::Read(parts)) => list(parts.iter().map(|part| match part {
            Ok(ReadPart { found, start, high_watermark }) => {
                format!("{start}..{high_watermark} [{}]", batches(&found.batches))
            }
            Err(rejection) => refused(rejection),
        })),
        Reply::Topic(TopicReply::Offsets(found)) => list(found.iter().map(|found| match found {
            Ok(OffsetsFound { start, end, newest, within, .. }) => {
                let within = within.as_ref().map(|w| format!("{:?}", w.offsets()));
                format!("{start}..{end} newest={} within={}", option(*newest), option(within))
            }
            Err(rejection) => refused(rejection),
        })),
        Reply::Producer(ProducerReply::Made { id }) => format!("producer {id}"),
        Reply::Offset(OffsetReply::CommittedAll(found)) => list(
            found
                .iter()
                .map(|(at, found)| format!("{at}={}", option(found.as_ref().map(offset_of)))),
        ),
        Reply::Offset(OffsetReply::Commits(done)) => list(
            done.iter().map(|refusal| refusal.as_ref().map_or_else(|| "ok".to_owned(), refused)),
        ),
        // A keyed log is one partition.
        Reply::KeyedLog(KeyedLogReply::Appended { offset }) => {
            format!("appended partition=0 offset={offset}")
        }
        Reply::KeyedLog(KeyedLogReply::Messages(logs)) => {
            list(logs.iter().map(|(key, found)| format!("{key} [{}]", batches(&found.batches))))
        }
        Reply::KeyedLog(KeyedLogReply::Committed(offsets)) => {
            list(offsets.iter().map(|(key, offset)| format!("{key}={offset}")))
        }
        Reply::Register(RegisterReply::Value(value)) => value.to_string(),
        Reply::Offset(OffsetReply::Committed { offset, metadata }) => {
            let metadata = metadata.as_ref().map(|m| format!(" metadata={m}"));
            format!("committed {offset}{}", metadata.unwrap_or_default())
        }
        Reply::Group(reply) => group_reply(reply),
    }
}

/// A committed offset, with the epoch of the leader that it was read from.
fn offset_of(committed: &CommittedOffset) -> String {
    let epoch = committed.leader_epoch.map(|epoch| format!("(epoch {epoch})"));
    format!("{}{}", committed.offset, epoch.unwrap_or_default())
}

fn group_reply(reply: &GroupReply) -> String {
    match reply {
        GroupReply::Declared { assignments, revoked } => {
            let revoked = revoked.as_ref().map(|r| format!(" revoked {}", declaration(r)));
            format!("{}{}", declaration(assignments), revoked.unwrap_or_default())
        }
        GroupReply::Polling(PollingReply::Told(told)) => view(told),
        GroupReply::Polling(PollingReply::Polled { view: told, records }) => {
            let spans = records.iter().map(|(partition, found)| {
                format!("{partition} {}..{}", found.extent.from, found.extent.to)
            });
            format!("{} records {}", view(told), list(spans))
        }
        GroupReply::Classic(ClassicReply::Joined {
            generation,
            protocol,
            leader,
            member_id,
            members,
            replaced,
        }) => {
            // Only a leader of Kafka's own protocol is told of it.
            let is_told_bytes = members.iter().any(|m| !m.metadata.is_empty());
            let members = members.iter().map(|m| {
                let instance = m.instance_id.as_ref().map(|i| format!("[{i}]")).unwrap_or_default();
                let metadata = plain(&m.metadata);
                let metadata = if metadata.is_empty() { metadata } else { format!("={metadata}") };
                format!("{}{instance}({}){metadata}", m.member_id, list(&m.topics))
            });
            let members = list(members);
            let replaced = replaced.as_ref().filter(|_| is_told_bytes);
            let replaced = replaced.map(|id| format!(" replaced={id}")).unwrap_or_default();
            format!(
                "joined {member_id} generation={generation} {protocol} leader={leader} members={members}{replaced}"
            )
        }
        GroupReply::Classic(ClassicReply::IdGiven { member_id }) => format!("id {member_id}"),
        GroupReply::Classic(ClassicReply::Synced { assignment, given }) => {
            let given = plain(given);
            let given = if given.is_empty() { given } else { format!(" given {given}") };
            format!("synced {}{given}", partitions(assignment))
        }
        GroupReply::Listed(groups) => list(
            groups
                .iter()
                .map(|(id, kind, state)| format!("{id}({} {})", kind.name(), state.name())),
        ),
        GroupReply::Described(description) => described(description),
    }
}

/// Kafka's names, by the table of `docs/protocol.md`.
fn error_name(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::UnknownTopic(_) | Rejection::UnknownPartition { .. } => {
            "UNKNOWN_TOPIC_OR_PARTITION"
        }
        Rejection::TopicAlreadyExists(_) => "TOPIC_ALREADY_EXISTS",
        Rejection::TopicCannotShrink { .. }
        | Rejection::OffsetBeyondEnd { .. }
        | Rejection::InvalidAssignment { .. }
        | Rejection::AssignorFailed { .. } => "INVALID_REQUEST",
        Rejection::UnknownConfig(_) | Rejection::InvalidConfig { .. } => "INVALID_CONFIG",
        Rejection::BatchTooLarge { .. } => "MESSAGE_TOO_LARGE",
        Rejection::KeyMissing(_) => "INVALID_RECORD",
        Rejection::TimestampAhead { .. } => "INVALID_TIMESTAMP",
        Rejection::OffsetOutOfRange { .. } => "OFFSET_OUT_OF_RANGE",
        Rejection::ProducerFenced { .. } => "INVALID_PRODUCER_EPOCH",
        Rejection::OutOfSequence { .. } => "OUT_OF_ORDER_SEQUENCE_NUMBER",
        Rejection::KeyNotFound(_) => "KEY_NOT_FOUND",
        Rejection::PreconditionFailed { .. } => "PRECONDITION_FAILED",
        Rejection::GroupNotFound(_) => "GROUP_ID_NOT_FOUND",
        Rejection::UnknownMember { .. } | Rejection::MemberNotNamed(_) => "UNKNOWN_MEMBER_ID",
        Rejection::IllegalGeneration { .. } => "ILLEGAL_GENERATION",
        Rejection::RebalanceInProgress(_) | Rejection::NotAssigned { .. } => {
            "REBALANCE_IN_PROGRESS"
        }
        Rejection::FencedInstance { .. } => "FENCED_INSTANCE_ID",
        Rejection::InconsistentProtocol { .. } => "INCONSISTENT_GROUP_PROTOCOL",
        Rejection::GroupFull { .. } | Rejection::GroupTooLarge { .. } => "GROUP_MAX_SIZE_REACHED",
        Rejection::NonEmptyGroup(_) => "NON_EMPTY_GROUP",
        Rejection::GroupWaitsForNothing(_) => "INVALID_REQUEST",
        Rejection::GroupSubscribedToTopic { .. } => "GROUP_SUBSCRIBED_TO_TOPIC",
        Rejection::UnsupportedAssignor(_) => "UNSUPPORTED_ASSIGNOR",
        Rejection::RequestOver => "REQUEST_TIMED_OUT",
    }
}

fn described(d: &Description) -> String {
    let mut out = format!(
        "{} {} {} strategy={} generation={} leader={} coordinator={} rebalances={} last_hour={}",
        d.group,
        d.kind.name(),
        d.state.name(),
        option(d.strategy.as_ref()),
        d.generation,
        option(d.leader.as_ref()),
        option(d.coordinator.map(|n| format!("n{n}"))),
        d.rebalances,
        d.rebalances_last_hour,
    );
    for m in &d.members {
        let instance = m.instance_id.as_ref().map(|i| format!(" instance={i}")).unwrap_or_default();
        let (topics, assignment) = (list(&m.topics), partitions(&m.assignment));
        write!(out, "\n           member {}{instance} topics={topics} {assignment}", m.member_id)
            .expect("a string");
    }
    for o in &d.offsets {
        let metadata = o.metadata.as_ref().map(|m| format!(" metadata={m}")).unwrap_or_default();
        write!(
            out,
            "\n           offset {} committed={} position={} end={} lag={} {:.1}% owner={}{metadata}",
            o.partition,
            option(o.committed),
            option(o.position),
            o.log_end_offset,
            o.lag(),
            o.lag_percent(),
            option(o.member_id.as_ref()),
        )
        .expect("a string");
    }
    out
}

pub fn deadline(deadline: &Deadline) -> String {
    match deadline {
        Deadline::Session { member } => format!("session {member}"),
        Deadline::PollInterval { member } => format!("poll-interval {member}"),
        Deadline::Rebalance { epoch } => format!("rebalance epoch={epoch}"),
        Deadline::Sync { generation } => format!("sync generation={generation}"),
        Deadline::Revocation { member, generation } => {
            format!("revocation {member} generation={generation}")
        }
        Deadline::InitialDelay { epoch } => format!("initial-delay epoch={epoch}"),
    }
}

pub fn group(name: &str, group: &Group) -> String {
    let mut out = format!(
        "{name} {} {} strategy={} generation={} epoch={}",
        group.kind().name(),
        group.state().name(),
        option(group.strategy()),
        group.generation,
        group.epoch,
    );
    match &group.membership {
        Membership::Simple => {}
        Membership::Declared(declared) => {
            for (id, owned) in &declared.assignments {
                write!(out, "\n           {id} {}", numbers(owned)).expect("a string");
            }
        }
        Membership::Polling(polling) => {
            if let Some(rebalance) = polling.rebalance.as_ref().filter(|r| !r.holding.is_empty()) {
                write!(out, " waits_for={}", list(&rebalance.holding)).expect("a string");
            }
            for (id, m) in &polling.members {
                let position =
                    |(p, at): (&TopicPartition, &Option<u64>)| format!("{p}@{}", option(*at));
                let holds = list(m.assigned.iter().map(position));
                write!(out, "\n           {id} generation={} holds {holds}", m.generation)
                    .expect("a string");
                if m.assignment() != m.target {
                    write!(out, " target {}", partitions(&m.target)).expect("a string");
                }
                if let Some(instance_id) = &m.instance_id {
                    write!(out, " instance={instance_id}").expect("a string");
                }
                if m.away {
                    out.push_str(" away");
                }
            }
        }
        Membership::Classic(classic) => {
            write!(out, " leader={}", option(classic.leader.as_ref())).expect("a string");
            if let Phase::Preparing { initial: Some(initial), .. } = classic.phase {
                write!(out, " initial_delay={}", time(initial.delay.delay_ms.into()))
                    .expect("a string");
            }
            for (id, m) in &classic.members {
                write!(out, "\n           {id} reads {}", partitions(&m.assignment))
                    .expect("a string");
                match m.delayed.as_ref().map(|d| (d.kind, request_id(d.request_id.as_ref()))) {
                    Some((DelayedKind::Join, whose)) => write!(out, " join waits {whose}"),
                    Some((DelayedKind::Sync, whose)) => write!(out, " sync waits {whose}"),
                    None if classic.pending_sync.contains(id) => write!(out, " has to sync"),
                    None if classic.away.contains(id) => write!(out, " away"),
                    None => Ok(()),
                }
                .expect("a string");
            }
            for id in classic.pending_join.keys() {
                write!(out, "\n           {id} is to join").expect("a string");
            }
        }
    }
    out
}
