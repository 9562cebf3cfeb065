//! From frames with their times to the operations of a history.
//!
//! A request becomes operations when its answer is there, or when its connection has broken. Its
//! operations were invoked when the whole request had been read, and completed when the whole
//! answer had. The module knows no socket.
//!
//! What an answer promises counts, not what it says. So these are recorded as operations whose
//! outcome is unknown: a send with `acks` 0 or 1, which a change of leader may undo; a send of a
//! transaction, which may be aborted. Members of groups of newer protocols commit with an epoch of
//! their own instead of the group's generation, so their commits are recorded without both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};
use wire::frame;
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use wire::versions::{self, API_VERSIONS};

use super::ends::TopicIds;
use super::sessions::Sessions;
use super::spool::Full;
use crate::dialects::Answer;
use crate::dialects::json::definite;
use crate::dialects::kafka::Told;
use crate::dialects::kafka::understand::{TopicNames, asked, understand};
use crate::history::{Micros, Op, Outcome};

/// AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit.
const TRANSACTIONS: [i16; 4] = [24, 25, 26, 28];
/// ConsumerGroupHeartbeat and StreamsGroupHeartbeat: each begins with the group's name.
const NEWER_GROUPS: [i16; 2] = [68, 88];
/// What clients say as they like.
const TEXTS: [&str; 3] = ["message", "key", "metadata"];
/// How long such a text may be to be kept as it is, in bytes.
const LONGEST: usize = 128;

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// A client connected.
    Opened {
        /// Which connection, counted from 0.
        connection: u64,
        /// The broker that it leads to.
        node: String,
    },
    /// A whole request was read.
    Request {
        /// Its connection.
        connection: u64,
        /// Which request of the connection, counted from 0.
        number: u64,
        /// When.
        at: Micros,
        /// The request, its length in front.
        frame: Bytes,
    },
    /// The whole answer to it was read.
    Answer {
        /// Its connection.
        connection: u64,
        /// Which request of the connection it answers.
        number: u64,
        /// When.
        at: Micros,
        /// The answer, its length in front.
        frame: Bytes,
    },
    /// The connection is over.
    Closed {
        /// Which.
        connection: u64,
        /// When.
        at: Micros,
    },
}

impl Event {
    /// How many bytes it keeps.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Request { frame, .. } | Self::Answer { frame, .. } => frame.len(),
            Self::Opened { node, .. } => node.len(),
            Self::Closed { .. } => 0,
        }
    }

    /// When it was; a connection that opens says nothing of it.
    pub(super) fn at(&self) -> Option<Micros> {
        match self {
            Self::Request { at, .. } | Self::Answer { at, .. } | Self::Closed { at, .. } => {
                Some(*at)
            }
            Self::Opened { .. } => None,
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    at: Micros,
    frame: Bytes,
}

#[derive(Debug)]
struct Connection {
    node: String,
    waiting: BTreeMap<u64, Waiting>,
}

/// What was recorded.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The operations, in no order.
    pub(crate) ops: Vec<Op>,
    /// Whether anybody used a transaction.
    pub(crate) transactions: bool,
    /// Answers that could not be understood, or whose requests could not, by the key.
    pub(crate) not_understood: BTreeMap<i16, u64>,
    /// Partitions in other answers that could not be understood.
    pub(crate) untold: u64,
    /// When and why the recording ended before the watch; none if it did not.
    pub(crate) full: Option<Full>,
    /// How many requests there were of each kind that is not understood, by their key.
    pub(crate) unknown: BTreeMap<i16, u64>,
}

/// Records what happens.
#[derive(Debug)]
pub(super) struct Recorder {
    recorded: Recorded,
    /// When the last one was completed.
    last: Micros,
    connections: HashMap<u64, Connection>,
    sessions: HashMap<String, Sessions>,
    names: TopicNames,
    newer_groups: BTreeSet<String>,
    ids: TopicIds,
    /// How many more operations and fetched records are kept.
    room: usize,
}

impl Recorder {
    /// A recorder of so many operations and fetched records.
    pub(super) fn new(room: usize) -> Self {
        Self {
            recorded: Recorded::default(),
            last: 0,
            connections: HashMap::new(),
            sessions: HashMap::new(),
            names: TopicNames::default(),
            newer_groups: BTreeSet::new(),
            ids: TopicIds::default(),
            room,
        }
    }

    /// Takes what happened next, and says whether there is room for more.
    pub(super) fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Opened { connection, node } => {
                self.connections.insert(connection, Connection { node, waiting: BTreeMap::new() });
            }
            Event::Request { connection, number, at, frame } => {
                self.note(&frame);
                // What a broker understands is no operation, and is asked in versions of any age.
                let is_told = key(&frame) != Some(API_VERSIONS);
                if let Some(connection) = self.connections.get_mut(&connection).filter(|_| is_told)
                {
                    connection.waiting.insert(number, Waiting { at, frame });
                }
            }
            Event::Answer { connection, number, at, frame } => {
                self.answered(connection, number, at, frame);
            }
            Event::Closed { connection, at } => {
                if let Some(closed) = self.connections.remove(&connection) {
                    self.given_up(connection, closed, Some(at));
                }
            }
        }
        self.room > 0
    }

    /// The recording is over: nobody knows any more what becomes of requests that wait.
    pub(super) fn finish(mut self) -> Recorded {
        if self.room == 0 {
            let why = "it has as many operations as it may have".to_owned();
            self.recorded.full = Some(Full { at: self.last, why });
        }
        for (connection, open) in std::mem::take(&mut self.connections) {
            self.given_up(connection, open, None);
        }
        self.recorded.untold = self.names.untold();
        self.recorded
    }

    /// What the kind of a request tells, whoever understands its body.
    fn note(&mut self, frame: &Bytes) {
        let Some(key) = key(frame) else { return };
        if versions::find(key).is_some() {
            return;
        }
        *self.recorded.unknown.entry(key).or_default() += 1;
        self.recorded.transactions |= TRANSACTIONS.contains(&key);
        if NEWER_GROUPS.contains(&key)
            && let Some(group) = first_text(frame)
        {
            self.newer_groups.insert(group);
        }
    }

    fn answered(&mut self, id: u64, number: u64, at: Micros, frame: Bytes) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(waiting) = connection.waiting.remove(&number) else { return };
        let node = connection.node.clone();
        let Some((head, request)) = read(&waiting.frame) else {
            if let Some(key) = key(&waiting.frame).filter(|key| versions::find(*key).is_some()) {
                *self.recorded.not_understood.entry(key).or_default() += 1;
            }
            return;
        };
        let reply = frame::reply(head.key, head.version, frame.slice(4..));
        let Ok((_, reply)) = reply else {
            *self.recorded.not_understood.entry(head.key).or_default() += 1;
            self.unanswered(&Whose::new(id, node, &head, waiting.at), &request, Some(at));
            return;
        };
        let request = match (request, &reply) {
            (RequestKind::Fetch(asked), ResponseKind::Fetch(told)) => {
                let sessions = self.sessions.entry(node.clone()).or_default();
                match sessions.whole(&asked, told) {
                    Some(whole) => RequestKind::Fetch(whole),
                    None => {
                        *self.recorded.not_understood.entry(head.key).or_default() += 1;
                        return;
                    }
                }
            }
            (request, _) => request,
        };
        self.identify(&reply, (waiting.at, at));
        let promises = promises(&request);
        self.recorded.transactions |= is_transactional(&request);
        let whose = Whose::new(id, node, &head, waiting.at);
        for Told { f, args, answer } in understand(&mut self.names, &request, &reply, head.version)
        {
            let is_kept = promises && args.get("transactional").is_none();
            let mut op = whose.op(f, args, Some(at));
            answered(&mut op, answer, is_kept);
            self.push(op);
        }
    }

    /// Looks whether topics are still those that they were.
    fn identify(&mut self, reply: &ResponseKind, span: (Micros, Micros)) {
        let ResponseKind::Metadata(reply) = reply else { return };
        for topic in &reply.topics {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            let deletion = self.ids.told(name, topic.topic_id.into_bytes(), span);
            deletion.into_iter().for_each(|op| self.push(op));
        }
    }

    /// Requests that nobody will answer.
    fn given_up(&mut self, id: u64, connection: Connection, at: Option<Micros>) {
        for waiting in connection.waiting.into_values() {
            let Some((head, request)) = read(&waiting.frame) else { continue };
            self.recorded.transactions |= is_transactional(&request);
            let whose = Whose::new(id, connection.node.clone(), &head, waiting.at);
            self.unanswered(&whose, &request, at);
        }
    }

    fn unanswered(&mut self, whose: &Whose, request: &RequestKind, at: Option<Micros>) {
        for (f, args) in asked(&mut self.names, request) {
            self.push(whose.op(f, args, at));
        }
    }

    fn push(&mut self, mut op: Op) {
        let of_newer = op.f == "commit_offset"
            && op.args["group"].as_str().is_some_and(|group| self.newer_groups.contains(group));
        if let Some(args) = op.args.as_object_mut() {
            if of_newer {
                args.retain(|field, _| {
                    !matches!(field.as_str(), "member_id" | "generation" | "instance_id")
                });
            }
            TEXTS.into_iter().for_each(|field| args.get_mut(field).into_iter().for_each(shorten));
        }
        let fetched = op.result.as_mut().and_then(|result| result.get_mut("records"));
        let records = fetched.and_then(Value::as_array_mut);
        self.room = self.room.saturating_sub(1 + records.as_ref().map_or(0, |all| all.len()));
        for record in records.into_iter().flatten() {
            record.get_mut("message").map(shorten);
        }
        self.last = op.complete_us.unwrap_or(self.last);
        self.recorded.ops.push(op);
    }
}

/// The key of a request.
fn key(frame: &Bytes) -> Option<i16> {
    frame.get(4..6)?.first_chunk().copied().map(i16::from_be_bytes)
}

/// The header and the body of a request that is understood.
fn read(frame: &Bytes) -> Option<(frame::Head, RequestKind)> {
    let head = frame::head(frame.slice(4..)).ok()?;
    let mut bare = head.clone();
    bare.body = Bytes::new();
    Some((bare, frame::decode(head).ok()?))
}

/// The text that a body begins with, of a request whose header and body have compact fields.
fn first_text(frame: &Bytes) -> Option<String> {
    let client = frame.get(12..14)?.first_chunk().copied().map(i16::from_be_bytes)?;
    // The header's tagged fields are none, in all clients that there are.
    let at = 14 + usize::try_from(client).unwrap_or(0) + 1;
    let length = usize::from(*frame.get(at)?);
    // Names of 127 bytes and more take two bytes of length.
    let (length, at) = match length {
        0x80.. => (length & 0x7f | usize::from(*frame.get(at + 1)?) << 7, at + 2),
        _ => (length, at + 1),
    };
    let text = frame.get(at..at + length.checked_sub(1)?)?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

/// Whether the answer to a request promises that what it says stays so.
fn promises(request: &RequestKind) -> bool {
    match request {
        RequestKind::Produce(asked) => asked.acks == -1,
        _ => true,
    }
}

fn is_transactional(request: &RequestKind) -> bool {
    match request {
        RequestKind::Produce(asked) => asked.transactional_id.is_some(),
        RequestKind::InitProducerId(asked) => asked.transactional_id.is_some(),
        _ => false,
    }
}

/// Whose a request is, and when it came.
struct Whose {
    process: String,
    node: String,
    at: Micros,
}

impl Whose {
    fn new(connection: u64, node: String, head: &frame::Head, at: Micros) -> Self {
        let client = head.client_id.as_deref().filter(|id| !id.is_empty()).unwrap_or("client");
        Self { process: format!("{client}-{connection}"), node, at }
    }

    /// An operation of it whose outcome is not known.
    fn op(&self, f: &str, args: Value, completed: Option<Micros>) -> Op {
        Op {
            id: 0,
            process: self.process.clone(),
            node: self.node.clone(),
            f: f.to_owned(),
            args,
            invoke_us: self.at,
            complete_us: completed,
            outcome: Outcome::Info,
            result: None,
            code: None,
            error: None,
        }
    }
}

fn answered(op: &mut Op, answer: Answer, is_kept: bool) {
    match answer {
        Answer::Ok(result) if is_kept => {
            op.outcome = Outcome::Ok;
            op.result = Some(result);
        }
        Answer::Ok(_) => {}
        Answer::Error { code, error } => {
            op.outcome = if definite(code) { Outcome::Fail } else { Outcome::Info };
            (op.code, op.error) = (Some(code), error);
        }
    }
}

/// Keeps of a long text only what tells it from others.
fn shorten(value: &mut Value) {
    let text = match value {
        Value::String(text) => text,
        Value::Object(fields) => match fields.get("base64").and_then(Value::as_str) {
            Some(text) => text,
            None => return,
        },
        _ => return,
    };
    if text.len() > LONGEST {
        let digest = blake3::hash(text.as_bytes()).to_hex();
        *value = json!({ "blake3": &digest[..32], "bytes": text.len() });
    }
}

#[cfg(test)]
mod tests {
    use wire::batch::{Record, build};
    use wire::kafka_protocol::messages::offset_commit_request::{
        OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    use wire::kafka_protocol::messages::produce_request::{
        PartitionProduceData, ProduceRequest, TopicProduceData,
    };
    use wire::kafka_protocol::messages::{OffsetCommitRequest, ProduceResponse};
    use wire::kafka_protocol::protocol::StrBytes;
    use wire::versions::{OFFSET_COMMIT, PRODUCE};

    use super::*;

    fn s(text: &str) -> StrBytes {
        StrBytes::from_string(text.to_owned())
    }

    fn recorder() -> Recorder {
        let mut recorder = Recorder::new(1_000);
        recorder.take(Event::Opened { connection: 4, node: "b".to_owned() });
        recorder
    }

    fn request(number: u64, frame: Bytes) -> Event {
        Event::Request { connection: 4, number, at: 10 + number, frame }
    }

    fn of(key: i16, version: i16, body: &RequestKind) -> Bytes {
        frame::request(key, version, 1, Some("me"), body).expect("a request")
    }

    fn commit() -> Bytes {
        let topic = OffsetCommitRequestTopic::default()
            .with_name(s("t").into())
            .with_partitions(vec![OffsetCommitRequestPartition::default()]);
        let body = OffsetCommitRequest::default()
            .with_group_id(s("g").into())
            .with_member_id(s("m"))
            .with_generation_id_or_member_epoch(7)
            .with_topics(vec![topic]);
        of(OFFSET_COMMIT, 8, &RequestKind::OffsetCommit(body))
    }

    /// A request that nobody reads: with a compact header, and a body that begins with a name.
    fn unread(key: i16, name: &str) -> Bytes {
        let mut frame = vec![0, 0, 0, 0];
        frame.extend(key.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 1, 0, 2, b'm', b'e', 0, name.len() as u8 + 1]);
        frame.extend(name.as_bytes());
        frame.into()
    }

    #[test]
    fn members_of_newer_groups_commit_in_nobodys_name() {
        for (key, named) in [(68, "other"), (68, "g"), (88, "g")] {
            let mut recorder = recorder();
            recorder.take(request(0, unread(key, named)));
            recorder.take(request(1, commit()));
            let recorded = recorder.finish();
            let [op] = &recorded.ops[..] else { panic!("{:?}", recorded.ops) };
            assert_eq!(op.args.get("member_id").is_some(), named == "other", "{op:?}");
            assert_eq!(op.args.get("generation").is_some(), named == "other", "{op:?}");
            assert_eq!((op.process.as_str(), op.outcome), ("me-4", Outcome::Info));
            assert!(!recorded.transactions);
            assert_eq!(recorded.unknown, BTreeMap::from([(key, 1)]));
        }
    }

    #[test]
    fn a_connection_that_breaks_leaves_its_requests_open() {
        let mut recorder = recorder();
        recorder.take(request(0, unread(28, "id")));
        recorder.take(request(1, commit()));
        recorder.take(Event::Closed { connection: 4, at: 90 });
        let recorded = recorder.finish();
        assert_eq!((recorded.ops[0].invoke_us, recorded.ops[0].complete_us), (11, Some(90)));
        assert!(recorded.transactions);
    }

    #[test]
    fn an_answer_that_cannot_be_read_leaves_its_request_open() {
        let mut recorder = recorder();
        recorder.take(request(0, commit()));
        let frame = Bytes::from_static(&[0, 0, 0, 5, 0, 0, 0, 1, 9]);
        recorder.take(Event::Answer { connection: 4, number: 0, at: 90, frame });
        let recorded = recorder.finish();
        assert_eq!(recorded.not_understood, BTreeMap::from([(OFFSET_COMMIT, 1)]));
        assert_eq!((recorded.ops.len(), recorded.ops[0].outcome), (1, Outcome::Info));
    }

    #[test]
    fn long_texts_are_kept_as_their_hash() {
        let record = |text: String| Record { value: Some(text.into()), ..Record::default() };
        let records = build(&[record("a".repeat(129))], 0, None);
        let data = PartitionProduceData::default().with_records(Some(records));
        let topic =
            TopicProduceData::default().with_name(s("t").into()).with_partition_data(vec![data]);
        let body = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
        let mut recorder = recorder();
        recorder.take(request(0, of(PRODUCE, 9, &RequestKind::Produce(body))));
        let reply = ResponseKind::Produce(ProduceResponse::default());
        let frame = frame::encode(PRODUCE, 9, 1, &reply).expect("an answer");
        recorder.take(Event::Answer { connection: 4, number: 0, at: 90, frame });
        let recorded = recorder.finish();
        let message = &recorded.ops[0].args["message"];
        assert_eq!(message["bytes"], 129);
        assert_eq!(message["blake3"].as_str().map(str::len), Some(32));
        assert_eq!(recorded.ops[0].outcome, Outcome::Info, "the answer left it out");
    }
}
