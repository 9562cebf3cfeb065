//! The way to a service: how listeners submit requests, and how replies come back.
//!
//! The service runs as a task of its own. A listener holds a [`Handle`] and opens a [`Connection`]
//! for itself, or one for each of its sockets. It submits requests on the connection, and takes
//! replies from it. It names each request by a client and a number of its own; the reply bears the
//! same. Neither end ever waits for the other: both leave what they have in a queue and wake the
//! other's task.
//!
//! Requests of one client of a connection are executed in the order in which they were submitted.
//! Replies come in any order; [`Ordered`](crate::listeners::ordered) puts them right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::Instant;
use runtime::durations::Measured;
use state_machine::command::Query;
use state_machine::ids::{NodeId, TopicPartition};
use tokio::sync::{Notify, watch};

use super::api::{Completion, Request, Response, Status};
use super::rebalances::{Rebalanced, Rebalances};
use super::status::StatusSource;
use super::watching::{Leadership, Waiter, Watching};

/// Which connection of a service.
pub(super) type ConnectionId = u64;

/// Where the reply to a request goes: which connection, which of its clients, which of that
/// client's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) connection: ConnectionId,
    pub(super) client: u64,
    pub(super) number: u64,
}

/// A request on its way to the service.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) sender: Sender,
    pub(super) request: Request,
    /// About how many bytes the request takes.
    pub(super) bytes: usize,
    pub(super) received: Instant,
}

/// What became of a request.
#[derive(Debug)]
pub struct Replied {
    /// The client, as it was named to [`Connection::submit`].
    pub client: u64,
    /// The request, as it was numbered there.
    pub number: u64,
    /// When the request had to be answered at the latest.
    pub deadline: Instant,
    /// What is to be said.
    pub completion: Completion,
}

/// What becomes of a connection's delayed requests when this node leads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delayed {
    /// They wait on, at whoever leads then.
    Forwarded,
    /// They end: their clients go to the leader themselves.
    Ended,
}

/// What waits for the service.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) opened: Vec<(ConnectionId, Arc<Replies>, Delayed)>,
    pub(super) submissions: Vec<Submission>,
    pub(super) closed: Vec<ConnectionId>,
    /// The leadership is to go to another node, if this one has it.
    pub(super) hands_over: Option<Heir>,
    bytes: usize,
    connections: ConnectionId,
}

/// Who leads next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heir {
    /// The follower that has the most of the log: the node is about to end.
    Any,
    /// This one.
    Node(NodeId),
}

/// What waits for a connection's listener.
#[derive(Debug, Default)]
pub(super) struct Replies {
    queue: Mutex<Vec<Replied>>,
    notify: Notify,
}

/// What handles, connections and the service share.
#[derive(Debug)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    notify: Notify,
    /// How many bytes the requests take that the service has taken in and not answered.
    in_flight: AtomicUsize,
    pub(super) status: StatusSource,
    pub(super) watching: Watching,
    pub(super) rebalances: Rebalances,
}

impl Shared {
    pub(super) fn new(status: StatusSource) -> Self {
        Self {
            inbox: Mutex::default(),
            notify: Notify::new(),
            in_flight: AtomicUsize::new(0),
            status,
            watching: Watching::default(),
            rebalances: Rebalances::default(),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was left for the service.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Takes what was left for the service.
    pub(super) fn take(&self) -> Inbox {
        let mut inbox = self.inbox();
        let (connections, bytes) = (inbox.connections, 0);
        std::mem::replace(&mut *inbox, Inbox { connections, bytes, ..Inbox::default() })
    }

    /// The service says how many bytes its requests take.
    pub(super) fn set_in_flight(&self, bytes: usize) {
        self.in_flight.store(bytes, Ordering::Relaxed);
    }
}

/// A way to a service. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct Handle(pub(super) Arc<Shared>);

impl Handle {
    /// Opens a connection whose requests are forwarded to whoever leads.
    pub fn connect(&self) -> Connection {
        self.open(Delayed::Forwarded)
    }

    /// Opens a connection whose delayed requests end with
    /// [`ServiceError::NotLeading`](super::api::ServiceError) when this node does not lead.
    pub fn connect_to_leader(&self) -> Connection {
        self.open(Delayed::Ended)
    }

    fn open(&self, delayed: Delayed) -> Connection {
        let replies = Arc::<Replies>::default();
        let mut inbox = self.0.inbox();
        inbox.connections += 1;
        let id = inbox.connections;
        inbox.opened.push((id, replies.clone(), delayed));
        drop(inbox);
        Connection { id, shared: self.0.clone(), replies }
    }

    /// The node is about to end: if it leads, it hands its leadership over as soon as it can.
    pub fn resign(&self) {
        self.0.inbox().hands_over = Some(Heir::Any);
        self.0.notify.notify_one();
    }

    /// If this node leads, it hands its leadership to another as soon as it can.
    pub fn hand_over(&self, to: NodeId) {
        self.0.inbox().hands_over = Some(Heir::Node(to));
        self.0.notify.notify_one();
    }

    /// About how many bytes the requests take that were submitted and are not answered.
    pub fn in_flight_bytes(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed) + self.0.inbox().bytes
    }

    /// Who leads. The receiver is told of every change.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.watching.leadership()
    }

    /// Begins to wait for records of partitions, which come through this node as long as it leads.
    /// Begin before you read: what comes after the read ends the wait.
    pub fn wait_for_records(&self, partitions: Vec<TopicPartition>) -> RecordWait {
        let waiter = self.0.watching.wait_for(partitions.clone());
        RecordWait { shared: self.0.clone(), partitions, waiter }
    }

    /// Begins to wait for a change of any group, which comes through this node as long as it leads.
    /// Begin before you read: what comes after the read ends the wait.
    pub fn group_changed(&self) -> GroupWait {
        GroupWait(self.0.watching.groups())
    }

    /// Answers a read from what this node has applied, at once. That is current only for who knows
    /// it, from [`RecordWait::woken`] or [`is_current`](Self::is_current). `None`: the read has to
    /// be submitted, to be answered or to fail.
    pub fn answer_from_applied(&self, query: impl Into<Query>) -> Option<Response> {
        self.0.status.answer(&query.into())
    }

    /// Waits until it is known that this node, which leads as far as it knows, has applied all that
    /// was acknowledged before the call. `false`: it may have not. It does not wait for the round
    /// under way, so requests that were submitted before may be answered later.
    pub async fn is_current(&self) -> bool {
        self.0.status.is_current().await
    }

    /// What this node knows of the cluster, without asking anybody.
    pub fn status(&self) -> Status {
        self.0.status.now()
    }

    /// How long syncs of the log took, if it is on a disk.
    pub fn syncs(&self) -> Option<Measured> {
        self.0.status.syncs()
    }

    /// Rebalances that this node saw while it led, by their reasons.
    pub fn rebalances(&self) -> Vec<Rebalanced> {
        self.0.rebalances.seen()
    }
}

/// A wait for a change of any group.
#[derive(Debug)]
pub struct GroupWait(watch::Receiver<()>);

impl GroupWait {
    /// Waits until there may be something new.
    pub async fn happened(mut self) {
        if self.0.changed().await.is_err() {
            // The service has ended, and nothing will happen.
            std::future::pending::<()>().await;
        }
    }
}

/// A wait for records. It ends when it is dropped.
#[derive(Debug)]
pub struct RecordWait {
    shared: Arc<Shared>,
    partitions: Vec<TopicPartition>,
    waiter: Arc<Waiter>,
}

impl RecordWait {
    /// Waits until there may be something new; whether what this node has applied is current then,
    /// for any read that was begun when this wait was. Cancelling it loses nothing.
    pub async fn woken(&self) -> bool {
        self.waiter.woken().await
    }
}

impl Drop for RecordWait {
    fn drop(&mut self) {
        self.shared.watching.give_up(&self.partitions, &self.waiter);
    }
}

/// A listener's own queue of replies, and the way for its requests.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    shared: Arc<Shared>,
    replies: Arc<Replies>,
}

impl Connection {
    /// Submits a request that came in at `received`. `client` and `number` come back with the
    /// reply; of one client the numbers have to differ while their requests are open.
    pub fn submit(&self, client: u64, number: u64, request: Request, received: Instant) {
        let sender = Sender { connection: self.id, client, number };
        let bytes = request.approximate_bytes();
        let mut inbox = self.shared.inbox();
        inbox.bytes += bytes;
        inbox.submissions.push(Submission { sender, request, bytes, received });
        drop(inbox);
        self.shared.notify.notify_one();
    }

    /// No more requests will come. The service finishes what it can without them, and gives up the
    /// rest.
    pub fn close(&self) {
        self.shared.inbox().closed.push(self.id);
        self.shared.notify.notify_one();
    }

    /// Waits until there are replies. Cancelling it loses nothing.
    pub async fn replied(&self) {
        self.replies.notify.notified().await;
    }

    /// Takes the replies that have come, in the order in which they became known.
    pub fn take_replies(&self) -> Vec<Replied> {
        std::mem::take(&mut *self.replies.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The service's ends of all connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: BTreeMap<ConnectionId, Outlet>,
}

#[derive(Debug)]
struct Outlet {
    replies: Arc<Replies>,
    delayed: Delayed,
    /// Not handed over yet.
    fresh: Vec<Replied>,
}

impl Connections {
    pub(super) fn open(&mut self, id: ConnectionId, replies: Arc<Replies>, delayed: Delayed) {
        self.open.insert(id, Outlet { replies, delayed, fresh: Vec::new() });
    }

    /// Whether a connection's delayed requests end with the leadership.
    pub(super) fn ends_delayed(&self, id: ConnectionId) -> bool {
        self.open.get(&id).is_some_and(|outlet| outlet.delayed == Delayed::Ended)
    }

    /// A reply, to be handed over with the next [`flush`](Self::flush).
    pub(super) fn reply(&mut self, to: Sender, deadline: Instant, completion: Completion) {
        let Sender { connection, client, number } = to;
        if let Some(outlet) = self.open.get_mut(&connection) {
            outlet.fresh.push(Replied { client, number, deadline, completion });
        }
    }

    /// Hands over what has become known, and wakes the listeners.
    pub(super) fn flush(&mut self) {
        for outlet in self.open.values_mut().filter(|outlet| !outlet.fresh.is_empty()) {
            let mut queue = outlet.replies.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.append(&mut outlet.fresh);
            drop(queue);
            outlet.replies.notify.notify_one();
        }
    }
}
