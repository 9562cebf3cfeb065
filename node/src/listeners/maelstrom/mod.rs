//! The Maelstrom listener: JSON lines in, JSON lines out.
//!
//! Everything of Maelstrom's pipe is in this folder: [`stdio`] (the loop over standard input and
//! output), [`lines`], [`envelope`], [`requests`], [`replies`] and their order ([`clients`]),
//! [`errors`], and messages of peers ([`peers`]), which come in by the same pipe. This file reads
//! one message and says what it asks for. It also owns what is skipped and why. The listener knows
//! no Raft.

use std::sync::Arc;

use runtime::Instant;
use state_machine::ids::{MAX_NAME_LEN, NodeId};

use crate::cluster::members::Members;
use crate::config::Config;
use crate::limits;
use crate::peers::message::{self, Message};
use crate::service::api::Status;
use crate::service::handle::{Connection, Replied};

pub mod calculators;
pub mod clients;
pub mod envelope;
pub mod errors;
pub mod json;
pub mod lines;
pub mod outbox;
pub mod peers;
mod plain;
pub mod records;
pub mod replies;
pub mod requests;
pub mod stdio;

use clients::{Caller, Owed, Printer, Replies};
use envelope::{Envelope, Text};
use errors::BadRequest;
use records::Encoder;
use replies::Encoded;
use requests::Decoded;

/// What a message asks of the node.
#[derive(Debug)]
pub enum Received {
    /// Nothing more: it was answered, submitted or skipped.
    Handled,
    /// A client's request was submitted to the service.
    Submitted,
    /// Nothing: the text ends before its object does.
    Unfinished,
    /// The node has been told who it is.
    Initialised(Members),
    /// A message of a peer.
    Peer {
        /// The peer.
        from: NodeId,
        /// Its incarnation.
        incarnation: u64,
        /// The message.
        message: Message,
    },
}

/// See the [module](self).
#[derive(Debug)]
pub struct Listener {
    config: Arc<Config>,
    encoder: Encoder,
    members: Option<Members>,
    /// The fields of the first `init`, to know it again.
    init: Option<(String, Vec<String>)>,
    /// The replies that are owed. There are none before `init`.
    replies: Option<Replies>,
    connection: Option<Connection>,
    printer: Printer,
    skipped: u64,
}

impl Listener {
    /// A listener that waits for `init`.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            encoder: Encoder::default(),
            members: None,
            init: None,
            replies: None,
            connection: None,
            printer: Printer::default(),
            skipped: 0,
        }
    }

    /// The service is there: requests go to it from now on.
    pub fn connect(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    /// The way to the service, once it is there.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Gives what is to be printed to `print`, and forgets it.
    pub fn print_output(&mut self, print: impl FnOnce(&str)) {
        self.printer.empty(print);
    }

    /// Counts and logs what cannot be answered.
    pub fn skip(&mut self, text: &[u8], problem: &str) {
        self.skipped += 1;
        let text = &text[..text.len().min(4 * limits::LOGGED_LINE)];
        let head: String =
            String::from_utf8_lossy(text).chars().take(limits::LOGGED_LINE).collect();
        tracing::warn!(skipped = self.skipped, line = head, "{problem}");
    }

    /// Reads one message that came in at `now`.
    pub fn receive(&mut self, text: &[u8], now: Instant) -> Received {
        let message = match Envelope::parse(text) {
            Ok(message) => message,
            Err(error) if error.is_eof() => return Received::Unfinished,
            Err(error) => {
                self.skip(text, &format!("no message: {error}"));
                return Received::Handled;
            }
        };
        let kind = message.body.get("type").and_then(Text::of);
        let addressed =
            message.dest().zip(self.members.as_ref()).is_none_or(|(dest, m)| dest == m.my_name());
        if !addressed {
            self.skip(text, "for another node");
            return Received::Handled;
        }
        if let Some(kind) =
            kind.as_ref().map(|kind| kind.0.as_ref()).filter(|kind| message::is_kind(kind))
        {
            return self.receive_peer(text, &message, kind);
        }
        let msg_id = message.body.get("msg_id").and_then(envelope::integer);
        let (Some(msg_id), None) = (msg_id, message.body.get("in_reply_to")) else {
            self.skip(text, "no request: expected an integer `msg_id`, and no `in_reply_to`");
            return Received::Handled;
        };
        let caller = Caller { client: message.src.as_ref().into(), msg_id };
        let Some(Text(kind)) = kind else {
            let problem = match message.body.get("type") {
                Some(_) => "field `type` has to be a string",
                None => "field `type` is missing",
            };
            self.refuse(caller, &BadRequest::Invalid(problem.into()), message.dest());
            return Received::Handled;
        };
        if kind == "init" {
            return self.receive_init(caller, &message);
        }
        self.receive_request(caller, &kind, &message, now)
    }

    fn receive_request(
        &mut self,
        caller: Caller,
        kind: &str,
        message: &Envelope<'_>,
        now: Instant,
    ) -> Received {
        let (Some(replies), Some(connection)) = (&mut self.replies, &self.connection) else {
            self.refuse(caller, &BadRequest::NotInitialised, message.dest());
            return Received::Handled;
        };
        match requests::decode(kind, &message.body, &self.config, &mut self.encoder) {
            Ok(Decoded::Service(request, shape)) => {
                let (client, number) = replies.owe(Owed::Service(shape), caller);
                connection.submit(client, number, request, now);
                return Received::Submitted;
            }
            Ok(Decoded::Status) => {
                // It is told at its turn, see `tell_status`.
                replies.owe(Owed::Status, caller);
            }
            Ok(Decoded::Echo(text)) => {
                let fields = format!("\"echo\":{text}");
                self.answer(caller, Encoded { kind: "echo_ok", fields }.limited());
            }
            Ok(Decoded::Topology) => self.answer(caller, Encoded::bare("topology_ok")),
            Ok(Decoded::Computed(kind, fields)) => self.answer(caller, Encoded { kind, fields }),
            Err(error) => self.refuse(caller, &error, None),
        }
        Received::Handled
    }

    fn receive_peer(&mut self, text: &[u8], message: &Envelope<'_>, kind: &str) -> Received {
        let Some(from) = self.members.as_ref().and_then(|members| members.peer(&message.src))
        else {
            self.skip(text, "from a node that is not a peer");
            return Received::Handled;
        };
        let incarnation = message.body.get("incarnation").and_then(|n| n.parse().ok());
        let data = message.body.get("data").and_then(Text::of);
        let (Some(incarnation), Some(Text(data))) = (incarnation, data) else {
            self.skip(
                text,
                &format!("a {kind} without an integer `incarnation` and a string `data`"),
            );
            return Received::Handled;
        };
        match peers::decode(&data) {
            Ok(message) => Received::Peer { from, incarnation, message },
            Err(error) => {
                self.skip(text, &error.to_string());
                Received::Handled
            }
        }
    }

    fn receive_init(&mut self, caller: Caller, message: &Envelope<'_>) -> Received {
        let read = |name: &str| message.body.get(name);
        let node_id = read("node_id").and_then(|text| serde_json::from_str::<String>(text).ok());
        let node_ids =
            read("node_ids").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        let (Some(node_id), Some(node_ids)) = (node_id, node_ids) else {
            let text =
                "`init` has to have a string `node_id` and a list of strings `node_ids`".to_owned();
            self.refuse(caller, &BadRequest::Invalid(text), message.dest());
            return Received::Handled;
        };
        let init = (node_id, node_ids);
        if let Some(first) = &self.init {
            if *first == init {
                self.answer(caller, Encoded::bare("init_ok"));
            } else {
                let error = BadRequest::InitialisedAlready(first.0.clone());
                self.refuse(caller, &error, None);
            }
            return Received::Handled;
        }
        let named =
            init.1.iter().all(|name| !name.is_empty() && name.chars().count() <= MAX_NAME_LEN);
        let Some(members) = Members::new(&init.0, init.1.iter().cloned()).filter(|_| named) else {
            let text = format!(
                "`node_ids` has to have names of 1 to 249 characters, `{}` among them",
                init.0
            );
            self.refuse(caller, &BadRequest::Invalid(text), message.dest());
            return Received::Handled;
        };
        self.init = Some(init);
        self.replies = Some(Replies::new(&members));
        self.printer.name(members.my_name());
        self.members = Some(members.clone());
        self.answer(caller, Encoded::bare("init_ok"));
        Received::Initialised(members)
    }

    /// Answers in the client's turn.
    fn answer(&mut self, caller: Caller, encoded: Encoded) {
        match &mut self.replies {
            Some(replies) => replies.answer_own(caller, encoded, &mut self.printer),
            None => self.printer.print(None, &caller, &encoded),
        }
    }

    /// Answers with an error. `as_node` is what a node calls itself that has not been told yet.
    fn refuse(&mut self, caller: Caller, error: &BadRequest, as_node: Option<&str>) {
        let encoded = Encoded::bad_request(error);
        match &mut self.replies {
            Some(replies) => replies.answer_own(caller, encoded, &mut self.printer),
            None => self.printer.print(as_node, &caller, &encoded),
        }
    }

    /// The service has replied: what is at its client's turn is printed, unless it is `now` too
    /// late for it.
    pub fn complete(&mut self, replied: Vec<Replied>, now: Instant) {
        let (Some(replies), Some(members)) = (&mut self.replies, &self.members) else { return };
        for replied in replied {
            replies.complete(replied, now, members, &self.config, &mut self.printer);
        }
    }

    /// Gives every `cluster_status` whose turn it is the status of now: it tells the effects of the
    /// requests before it.
    pub fn tell_status(&mut self, status: impl Fn() -> Status) {
        let (Some(replies), Some(members)) = (&mut self.replies, &self.members) else { return };
        replies.tell_status(|| replies::status(&status(), members), &mut self.printer);
    }

    /// Whether no reply is owed.
    pub fn is_idle(&self) -> bool {
        self.replies.as_ref().is_none_or(Replies::is_empty)
    }
}
