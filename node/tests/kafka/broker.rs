//! A broker as a child process, and a client that speaks its bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use wire::frame;
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(30);

/// A folder of this test's own, which goes with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cohort-kafka-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A broker that serves.
pub struct Broker {
    pub child: Child,
    pub address: String,
    /// Where it answers over HTTP, if anywhere.
    pub admin: Option<String>,
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.args(["serve", "--kafka", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

impl Broker {
    /// In memory, with these settings.
    pub fn dev(settings: &[&str]) -> Self {
        let mut command = command();
        command.arg("--dev").args(settings);
        Self::run(command)
    }

    pub fn run(command: Command) -> Self {
        Self::run_all(vec![command]).remove(0)
    }

    /// Several at once: none of a cluster serves before a majority runs.
    pub fn run_all(commands: Vec<Command>) -> Vec<Self> {
        let start = |mut command: Command| command.spawn().expect("the binary starts");
        let children: Vec<Child> = commands.into_iter().map(start).collect();
        children.into_iter().map(Self::ready).collect()
    }

    fn ready(mut child: Child) -> Self {
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(ready["ready"], true, "{line}");
        let address = ready["kafka"].as_str().expect("an address").to_owned();
        let admin = ready["admin"].as_str().map(str::to_owned);
        Self { child, address, admin }
    }

    pub fn connect(&self) -> Client {
        Client::to(&self.address)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    correlation: i32,
}

impl Client {
    pub fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, correlation: 0 }
    }

    /// Sends a request and does not wait.
    pub fn send(&mut self, key: i16, version: i16, request: impl Into<RequestKind>) -> i32 {
        self.correlation += 1;
        let request = request.into();
        let bytes = frame::request(key, version, self.correlation, Some("test"), &request);
        self.stream.write_all(&bytes.expect("a request")).expect("it reads");
        self.correlation
    }

    /// The next reply, which is to that request.
    pub fn receive(&mut self, key: i16, version: i16, correlation: i32) -> ResponseKind {
        let bytes = self.frame().expect("a reply");
        let (id, reply) = frame::reply(key, version, bytes).expect("a reply");
        assert_eq!(id, correlation, "replies come in the order of requests");
        reply
    }

    /// The bytes of the next frame; nothing where the connection was closed.
    pub fn frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes.into())
    }
}

/// Asks a client, which is a name, and waits: `ask!(client, Fetch FETCH 12, request)`.
macro_rules! ask {
    ($client:ident, $kind:ident $key:ident $version:literal, $request:expr) => {{
        let correlation = $client.send(wire::versions::$key, $version, $request);
        $crate::broker::received!($client, $kind $key $version, correlation)
    }};
}

/// Waits for the answer to a request that was sent.
macro_rules! received {
    ($client:ident, $kind:ident $key:ident $version:literal, $correlation:expr) => {
        match $client.receive(wire::versions::$key, $version, $correlation) {
            wire::kafka_protocol::messages::ResponseKind::$kind(reply) => reply,
            other => panic!("another reply: {other:?}"),
        }
    };
}

/// Joins a group as a new member, which is given its id first: `enter!(client, 5, request)`.
macro_rules! enter {
    ($client:ident, $version:literal, $request:expr) => {{
        let request: wire::kafka_protocol::messages::JoinGroupRequest = $request;
        let given = $crate::broker::ask!($client, JoinGroup JOIN_GROUP $version, request.clone());
        assert_eq!(given.error_code, wire::errors::MEMBER_ID_REQUIRED);
        let request = request.with_member_id(given.member_id);
        $crate::broker::ask!($client, JoinGroup JOIN_GROUP $version, request)
    }};
}

pub(crate) use {ask, enter, received};
