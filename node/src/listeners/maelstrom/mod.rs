//! Maelstrom's listener: JSON lines in, JSON lines out.
//!
//! It owns the envelope, the order of replies to one client, their numbers, and what is skipped and why.
//! Bodies become requests in [`request`], replies become bodies in [`reply`], errors get their codes in
//! [`errors`]. It knows no Raft, and of the service no more than that requests have numbers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::cluster::members::Members;
use crate::config::Config;
use crate::peers::message;
use crate::service::api::{Completion, Request, RequestNumber};

pub mod calculators;
pub mod envelope;
pub mod errors;
pub mod json;
pub mod lines;
pub mod outbox;
pub mod peers;
mod pending;
pub mod records;
pub mod replies;
pub mod requests;
pub mod stdio;

use envelope::{Envelope, Text};
use errors::BadRequest;
use pending::{AllPending, Pending, Place};
use replies::Encoded;
use requests::{Decoded, ReplyShape};

/// How much of a skipped line is logged, in characters.
const LOGGED: usize = 200;

/// What a message asks of the node.
#[derive(Debug)]
pub enum Received {
    /// Nothing more: it was answered or skipped.
    Handled,
    /// Nothing: the text ends before its object does.
    Unfinished,
    /// The node has been told who it is.
    Initialised(Members),
    /// A message of a peer.
    Peer {
        /// Its name.
        from: String,
        /// Its life.
        incarnation: u64,
        /// The message.
        data: String,
    },
    /// A client asks the service.
    Request(Caller, Request, ReplyShape),
}

/// Whom a reply goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    client: Arc<str>,
    msg_id: i64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Listener {
    config: Arc<Config>,
    members: Option<Members>,
    /// The fields of the first `init`, to know it again.
    init: Option<(String, Vec<String>)>,
    /// Replies in order: of each client, or of all where the node is alone.
    queues: BTreeMap<Arc<str>, VecDeque<Place>>,
    pending: AllPending,
    /// The one queue of a node that is alone.
    everyone: Arc<str>,
    /// Places of `cluster_status` requests that wait for their turn.
    statuses: Vec<Place>,
    next_place: u64,
    next_msg_id: u64,
    skipped: u64,
    out: String,
}

impl Listener {
    /// A listener that waits for `init`.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            members: None,
            init: None,
            queues: BTreeMap::new(),
            pending: AllPending::default(),
            everyone: "".into(),
            statuses: Vec::new(),
            next_place: 0,
            next_msg_id: 0,
            skipped: 0,
            out: String::new(),
        }
    }

    /// Takes what is to be printed.
    pub fn take_output(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// How many messages were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Counts and logs what cannot be answered.
    pub fn skip(&mut self, text: &[u8], problem: &str) {
        self.skipped += 1;
        let head: String =
            String::from_utf8_lossy(&text[..text.len().min(4 * LOGGED)]).chars().take(LOGGED).collect();
        tracing::warn!(skipped = self.skipped, line = head, "{problem}");
    }

    /// Reads one message.
    pub fn receive(&mut self, text: &[u8]) -> Received {
        let message = match Envelope::parse(text) {
            Ok(message) => message,
            Err(error) if error.is_eof() => return Received::Unfinished,
            Err(error) => {
                self.skip(text, &format!("no message: {error}"));
                return Received::Handled;
            }
        };
        let kind = message.body.get("type").and_then(|kind| serde_json::from_str::<Text<'_>>(kind).ok());
        let addressed = message.dest().zip(self.members.as_ref()).is_none_or(|(dest, m)| dest == m.my_name());
        if !addressed {
            self.skip(text, "for another node");
            return Received::Handled;
        }
        if let Some(kind) = kind.as_ref().map(|kind| kind.0.as_ref()).filter(|kind| message::is_kind(kind)) {
            return self.receive_peer(text, &message, kind);
        }
        let msg_id = message.body.get("msg_id").and_then(|id| serde_json::from_str::<i64>(id).ok());
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
        if self.members.is_none() {
            self.refuse(caller, &BadRequest::NotInitialised, message.dest());
            return Received::Handled;
        }
        let asked = requests::decode(&kind, &message.body, &self.config);
        match asked {
            Ok(Decoded::Service(request, form)) => return Received::Request(caller, request, form),
            Ok(Decoded::Status) => self.stand_in_line(caller, None),
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
        let is_peer = self.members.as_ref().is_some_and(|members| members.peer(&message.src).is_some());
        if !is_peer {
            self.skip(text, "from a node that is not a peer");
            return Received::Handled;
        }
        let incarnation = message.body.get("incarnation").and_then(|n| n.parse().ok());
        let data = message.body.get("data").and_then(|data| serde_json::from_str(data).ok());
        let (Some(incarnation), Some(data)) = (incarnation, data) else {
            self.skip(text, &format!("a {kind} without an integer `incarnation` and a string `data`"));
            return Received::Handled;
        };
        Received::Peer { from: message.src.as_ref().into(), incarnation, data }
    }

    fn receive_init(&mut self, caller: Caller, message: &Envelope<'_>) -> Received {
        let read = |name: &str| message.body.get(name);
        let node_id = read("node_id").and_then(|text| serde_json::from_str::<String>(text).ok());
        let node_ids = read("node_ids").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        let (Some(node_id), Some(node_ids)) = (node_id, node_ids) else {
            let text = "`init` has to have a string `node_id` and a list of strings `node_ids`".to_owned();
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
        let named = init
            .1
            .iter()
            .all(|name| !name.is_empty() && name.chars().count() <= state_machine::ids::MAX_NAME_LEN);
        let Some(members) = Members::new(&init.0, init.1.iter().cloned()).filter(|_| named) else {
            let text =
                format!("`node_ids` has to have names of 1 to 249 characters, `{}` among them", init.0);
            self.refuse(caller, &BadRequest::Invalid(text), message.dest());
            return Received::Handled;
        };
        self.members = Some(members.clone());
        self.init = Some(init);
        self.answer(caller, Encoded::bare("init_ok"));
        Received::Initialised(members)
    }

    /// Answers in the client's turn.
    pub fn answer(&mut self, caller: Caller, encoded: Encoded) {
        let queue = self.queue_of(&caller);
        if self.queues.get(&queue).is_none_or(VecDeque::is_empty) {
            self.print(&caller, &encoded, None);
            return;
        }
        self.stand_in_line(caller, Some(encoded));
    }

    /// Takes a place in the client's order for a reply of this listener's own; one that is not known yet is
    /// [asked for](Self::tell_status) at its turn.
    fn stand_in_line(&mut self, caller: Caller, ready: Option<Encoded>) {
        let queue = self.queue_of(&caller);
        self.next_place += 1;
        let place = Place::Listener(self.next_place);
        if ready.is_none() {
            self.statuses.push(place);
        }
        self.pending.insert(place, Pending { caller, form: None, queue: Some(queue.clone()), ready });
        self.queues.entry(queue).or_default().push_back(place);
    }

    /// Gives every `cluster_status` whose turn it is the status of now: it tells the effects of the requests
    /// before it.
    pub fn tell_status(&mut self, status: impl Fn() -> Encoded) {
        loop {
            let at_turn = |place: &Place| {
                let queue = self.pending.get(*place).and_then(|pending| pending.queue.as_ref());
                queue.and_then(|queue| self.queues.get(queue)?.front()) == Some(place)
            };
            let Some(at) = self.statuses.iter().position(at_turn) else { return };
            let place = self.statuses.remove(at);
            let Some(pending) = self.pending.get_mut(place) else { continue };
            pending.ready = Some(status());
            if let Some(queue) = pending.queue.clone() {
                self.print_ready(&queue);
            }
        }
    }

    /// Whether a reply is still owed.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Answers with an error. `as_node` is what a node calls itself that has not been told yet.
    pub fn refuse(&mut self, caller: Caller, error: &BadRequest, as_node: Option<&str>) {
        let encoded = Encoded::bad_request(error);
        if self.members.is_none() {
            self.print(&caller, &encoded, as_node);
        } else {
            self.answer(caller, encoded);
        }
    }

    /// The request of the same client that has to be executed before its next one.
    pub fn last_open(&self, caller: &Caller) -> Option<RequestNumber> {
        // A node alone executes everything in the order in which it came.
        let members = self.members.as_ref().filter(|members| members.count() > 1)?;
        debug_assert!(members.count() > 1);
        self.queues.get(&caller.client)?.iter().rev().find_map(|place| match place {
            Place::Service(id) => Some(*id),
            Place::Listener(_) => None,
        })
    }

    /// Puts a request that the service has taken into its client's order.
    pub fn submitted(&mut self, id: RequestNumber, caller: Caller, form: ReplyShape) {
        let queue = self.queue_of(&caller);
        self.queues.entry(queue.clone()).or_default().push_back(Place::Service(id));
        let pending = Pending { caller, form: Some(form), queue: Some(queue), ready: None };
        self.pending.insert(Place::Service(id), pending);
    }

    /// What became of requests.
    pub fn complete(&mut self, completions: Vec<(RequestNumber, Completion)>) {
        for (id, completion) in completions {
            let place = Place::Service(id);
            match completion {
                Completion::Delayed => self.leave_order(place),
                Completion::TooLate => {
                    self.leave_order(place);
                    self.pending.remove(place);
                }
                Completion::Done(response) => {
                    let Some(pending) = self.pending.get_mut(place) else { continue };
                    let (Some(members), Some(form)) = (&self.members, pending.form) else {
                        continue;
                    };
                    pending.ready = Some(Encoded::response(response, form, members));
                    match pending.queue.clone() {
                        Some(queue) => self.print_ready(&queue),
                        None => self.print_place(place),
                    }
                }
            }
        }
    }

    fn queue_of(&self, caller: &Caller) -> Arc<str> {
        let alone = self.members.as_ref().is_none_or(|members| members.count() == 1);
        // No client is called "", since its replies could not be sent; if one is, it is in good company.
        if alone { self.everyone.clone() } else { caller.client.clone() }
    }

    /// The request waits for its group: later ones of its client do not wait for it.
    fn leave_order(&mut self, place: Place) {
        let Some(queue) = self.pending.get_mut(place).and_then(|pending| pending.queue.take()) else {
            return;
        };
        if let Some(places) = self.queues.get_mut(&queue) {
            places.retain(|other| *other != place);
        }
        self.print_ready(&queue);
    }

    /// Prints the replies of a queue that are ready and at their turn.
    fn print_ready(&mut self, queue: &Arc<str>) {
        loop {
            let Some(places) = self.queues.get_mut(queue) else { return };
            let Some(place) = places.front().copied() else {
                self.queues.remove(queue);
                return;
            };
            if self.pending.get(place).is_none_or(|pending| pending.ready.is_none()) {
                return;
            }
            places.pop_front();
            self.print_place(place);
        }
    }

    fn print_place(&mut self, place: Place) {
        if let Some(Pending { caller, ready: Some(encoded), .. }) = self.pending.remove(place) {
            self.print(&caller, &encoded, None);
        }
    }

    fn print(&mut self, caller: &Caller, encoded: &Encoded, as_node: Option<&str>) {
        let src = self.members.as_ref().map(Members::my_name).or(as_node).unwrap_or_default();
        encoded.write_line(src, &caller.client, caller.msg_id, self.next_msg_id, &mut self.out);
        self.next_msg_id += 1;
    }
}
