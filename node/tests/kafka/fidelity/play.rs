//! The stage: a broker, connections to it, and what was asked and answered on them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use wire::kafka_protocol::messages::RequestKind;
use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use wire::kafka_protocol::messages::join_group_request::JoinGroupRequest;
use wire::kafka_protocol::protocol::StrBytes;
use wire::{errors, frame, versions};

use super::names::Names;
use super::tree;

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(20);

/// What an answer is where the connection was closed in its place.
pub const CLOSED: &str = "closed";
/// What an answer is where there was none, and the next request was answered.
pub const NOTHING: &str = "nothing";

/// A request and its answer, as they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which request: the story, what it is about, its version. No two steps have the same.
    pub name: String,
    /// The request's key.
    pub api: i16,
    /// The request's version.
    pub version: i16,
    /// What was asked; values that brokers gave have names.
    pub request: Value,
    /// What was answered, as the request; or [`CLOSED`], or [`NOTHING`].
    pub answer: Value,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer(pub Value);

impl Answer {
    /// The text at a path such as `/members/0/member_id`; empty where there is none.
    pub fn text(&self, path: &str) -> String {
        self.0.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The number at a path; -2 where there is none.
    pub fn number(&self, path: &str) -> i64 {
        self.0.pointer(path).and_then(Value::as_i64).unwrap_or(-2)
    }

    /// The code of the whole answer.
    pub fn code(&self) -> i64 {
        self.number("/error_code")
    }
}

/// A request that was sent and whose answer is still to come.
#[derive(Debug)]
#[must_use]
pub struct Sent {
    on: &'static str,
    about: String,
    api: i16,
    version: i16,
    request: Value,
    correlation: i32,
}

/// See the [module](self).
pub struct Play {
    address: String,
    connections: BTreeMap<&'static str, TcpStream>,
    correlation: i32,
    story: &'static str,
    names: Names,
    /// What was kept so far.
    pub steps: Vec<Step>,
}

impl Play {
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            connections: BTreeMap::new(),
            correlation: 0,
            story: "",
            names: Names::default(),
            steps: Vec::new(),
        }
    }

    /// Begins a story: with new connections, and names of its own.
    pub fn story(&mut self, name: &'static str) {
        (self.story, self.names) = (name, Names::default());
        self.connections.clear();
    }

    /// Asks on the connection `main`, waits, and keeps both.
    pub fn ask(
        &mut self,
        about: &str,
        api: i16,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> Answer {
        self.ask_on("main", about, api, version, request)
    }

    /// Asks on a connection, waits, and keeps both.
    pub fn ask_on(
        &mut self,
        on: &'static str,
        about: &str,
        api: i16,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> Answer {
        let sent = self.send(on, about, api, version, request);
        self.receive(sent)
    }

    /// Asks in each of these versions.
    pub fn each<R: Into<RequestKind>>(
        &mut self,
        about: &str,
        api: i16,
        versions: impl IntoIterator<Item = i16>,
        request: impl Fn(i16) -> R,
    ) {
        for version in versions {
            self.ask(about, api, version, request(version));
        }
    }

    /// Sends a request and does not wait.
    pub fn send(
        &mut self,
        on: &'static str,
        about: &str,
        api: i16,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> Sent {
        self.correlation += 1;
        let correlation = self.correlation;
        let request = request.into();
        let bytes = frame::request(api, version, correlation, Some("fidelity"), &request);
        let bytes = bytes.unwrap_or_else(|e| panic!("{} {about} {version}: {e}", self.story));
        self.write(on, &bytes);
        let about = about.to_owned();
        Sent { on, about, api, version, request: tree::of(&request), correlation }
    }

    /// Waits for the answer and keeps it.
    pub fn receive(&mut self, sent: Sent) -> Answer {
        let answer = self.read(&sent);
        self.keep(&sent, &answer);
        answer
    }

    /// Asks again and again, until the answer is so; keeps the last one.
    pub fn until<R: Into<RequestKind>>(
        &mut self,
        about: &str,
        api: i16,
        version: i16,
        request: impl Fn() -> R,
        is_so: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let begin = Instant::now();
        loop {
            let sent = self.send("main", about, api, version, request());
            let answer = self.read(&sent);
            if is_so(&answer) {
                self.keep(&sent, &answer);
                return answer;
            }
            let what = format!("{} {about}: {}", self.story, answer.0);
            assert!(begin.elapsed() < LONG, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Joins as a new member. Who is told its member id first, and to come again with it, does.
    /// What was asked first is kept, and what was answered last.
    pub fn enter(
        &mut self,
        on: &'static str,
        about: &str,
        version: i16,
        request: JoinGroupRequest,
    ) -> Answer {
        let first = self.send(on, about, versions::JOIN_GROUP, version, request.clone());
        let mut answer = self.read(&first);
        if answer.code() == i64::from(errors::MEMBER_ID_REQUIRED) {
            let own = StrBytes::from_string(answer.text("/member_id"));
            let again = request.with_member_id(own);
            let second = self.send(on, about, versions::JOIN_GROUP, version, again);
            answer = self.read(&second);
        }
        self.keep(&first, &answer);
        answer
    }

    /// Asks and keeps nothing.
    pub fn quietly(&mut self, api: i16, version: i16, request: impl Into<RequestKind>) -> Answer {
        let sent = self.send("aside", "aside", api, version, request);
        self.read(&sent)
    }

    /// Asks what no answer is owed to. Whether the connection lives on is seen by the next request.
    pub fn tell(&mut self, about: &str, api: i16, version: i16, request: impl Into<RequestKind>) {
        let sent = self.send("main", about, api, version, request);
        let next = ApiVersionsRequest::default();
        let after = self.send("main", about, versions::API_VERSIONS, 0, next);
        let answer = self.read(&after);
        let nothing = if answer.0 == CLOSED { answer } else { Answer(NOTHING.into()) };
        self.keep(&sent, &nothing);
    }

    /// Sends bytes as they are: a body behind a header of the old form, or of the new.
    pub fn raw(
        &mut self,
        about: &str,
        api: i16,
        version: i16,
        header: Header,
        body: &[u8],
    ) -> Answer {
        self.correlation += 1;
        let mut bytes = BytesMut::new();
        bytes.put_i16(api);
        bytes.put_i16(version);
        bytes.put_i32(self.correlation);
        bytes.put_i16(-1);
        if header == Header::Flexible {
            bytes.put_u8(0);
        }
        bytes.put_slice(body);
        let length = (bytes.len() as u32).to_be_bytes();
        self.write("main", &[&length[..], &bytes].concat());
        let correlation = self.correlation;
        let request = tree::bytes(body);
        let about = about.to_owned();
        let sent = Sent { on: "main", about, api, version, request, correlation };
        let known = versions::find(api).is_some_and(|api| api.serves(version));
        let answer = match self.frame("main") {
            None => Answer(CLOSED.into()),
            // Its form is not known.
            Some(bytes) if !known => Answer(tree::bytes(&bytes[4..])),
            Some(bytes) => self.decoded(&sent, bytes),
        };
        self.keep(&sent, &answer);
        answer
    }

    fn read(&mut self, sent: &Sent) -> Answer {
        match self.frame(sent.on) {
            Some(bytes) => self.decoded(sent, bytes),
            None => Answer(CLOSED.into()),
        }
    }

    fn decoded(&self, sent: &Sent, bytes: Bytes) -> Answer {
        let what = format!("{} {} v{}", self.story, sent.about, sent.version);
        let (id, reply) = frame::reply(sent.api, sent.version, bytes)
            .unwrap_or_else(|problem| panic!("{what}: {problem}"));
        assert_eq!(id, sent.correlation, "{what}: answers come in the order of requests");
        Answer(tree::of(&reply))
    }

    fn keep(&mut self, sent: &Sent, answer: &Answer) {
        let request = self.names.request(sent.api, &sent.request);
        let answer = self.names.answer(sent.api, &sent.request, &answer.0);
        let name = format!("{}: {} v{}", self.story, sent.about, sent.version);
        assert!(
            self.steps.iter().all(|step| step.name != name || step.api != sent.api),
            "twice: {name}"
        );
        self.steps.push(Step { name, api: sent.api, version: sent.version, request, answer });
    }

    fn connection(&mut self, on: &'static str) -> &mut TcpStream {
        let address = &self.address;
        self.connections.entry(on).or_insert_with(|| {
            let stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(LONG)).expect("a timeout");
            stream.set_nodelay(true).expect("an option");
            stream
        })
    }

    fn write(&mut self, on: &'static str, bytes: &[u8]) {
        // One that is closed meanwhile is found out by what is read.
        let _sent = self.connection(on).write_all(bytes);
    }

    /// The next frame of a connection; nothing where it was closed.
    fn frame(&mut self, on: &'static str) -> Option<Bytes> {
        let mut length = [0; 4];
        let mut bytes = Vec::new();
        let stream = self.connection(on);
        let read = stream.read_exact(&mut length).and_then(|()| {
            bytes.resize(u32::from_be_bytes(length) as usize, 0);
            stream.read_exact(&mut bytes)
        });
        match read {
            Ok(()) => Some(bytes.into()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{}: no answer in {LONG:?}, after {:?}", self.story, self.steps.last())
            }
            Err(_) => {
                self.connections.remove(on);
                None
            }
        }
    }
}

/// The form of a request's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    Old,
    /// With tagged fields.
    Flexible,
}

impl Step {
    /// A line of the files that are kept.
    pub fn line(&self) -> String {
        json!({"step": self.name, "request": self.request, "answer": self.answer}).to_string()
    }
}
