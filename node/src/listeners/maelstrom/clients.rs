//! What is owed to clients, each in its own order, and the lines that are printed.
//!
//! A node of a cluster answers each client in the order of that client's requests. A node that is
//! alone answers everybody in the order in which the requests came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use runtime::Instant;

use super::replies::Encoded;
use super::requests::ReplyShape;
use crate::cluster::members::Members;
use crate::config::Config;
use crate::limits;
use crate::listeners::ordered::Ordered;
use crate::service::api::{Completion, Failure, Response, ServiceError};
use crate::service::handle::Replied;

/// Whom a reply goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The client's name.
    pub client: Arc<str>,
    /// Its number for the request.
    pub msg_id: i64,
}

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// What the service says, told in this shape.
    Service(ReplyShape),
    /// The node's status at the turn of the reply.
    Status,
    /// What the listener has said already.
    Known,
}

/// Lines to be printed, in order.
#[derive(Debug, Default)]
pub struct Printer {
    src: Option<String>,
    next_msg_id: u64,
    out: String,
}

impl Printer {
    /// Gives what is to be printed to `print`, and forgets it.
    pub fn empty(&mut self, print: impl FnOnce(&str)) {
        print(&self.out);
        self.out.clear();
        // A burst should not pin its size for good.
        self.out.shrink_to(limits::KEPT_OUTPUT);
    }

    /// Prints a reply. `as_node` is what a node calls itself that has not been told its name.
    pub fn print(&mut self, as_node: Option<&str>, caller: &Caller, encoded: &Encoded) {
        let src = self.src.as_deref().or(as_node).unwrap_or_default();
        encoded.write_line(src, &caller.client, caller.msg_id, self.next_msg_id, &mut self.out);
        self.next_msg_id += 1;
    }

    /// The node is called so from now on.
    pub fn name(&mut self, src: &str) {
        self.src = Some(src.to_owned());
    }
}

/// The replies of one order.
#[derive(Debug, Default)]
struct Queue {
    /// The client whose order it is.
    name: Option<Arc<str>>,
    ordered: Ordered<(Caller, Owed), Encoded>,
}

/// All replies that are owed.
#[derive(Debug)]
pub struct Replies {
    alone: bool,
    /// By client. One, with the number 0, where the node is alone.
    queues: BTreeMap<u64, Queue>,
    clients: BTreeMap<Arc<str>, u64>,
    next_client: u64,
    /// Queues in which somebody waits for the status.
    statuses: BTreeSet<u64>,
}

impl Replies {
    /// Of a node that has just been told who is in its cluster.
    pub fn new(members: &Members) -> Self {
        Self {
            alone: members.count() == 1,
            queues: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_client: 1,
            statuses: BTreeSet::new(),
        }
    }

    /// The number of the order in which a client's replies stand.
    fn key_of(&mut self, client: &Arc<str>) -> u64 {
        if self.alone {
            return 0;
        }
        if let Some(key) = self.clients.get(client) {
            return *key;
        }
        let key = self.next_client;
        self.next_client += 1;
        self.clients.insert(client.clone(), key);
        key
    }

    /// A reply is owed: the number of its order, and its own number there.
    pub fn owe(&mut self, owed: Owed, caller: Caller) -> (u64, u64) {
        let key = self.key_of(&caller.client);
        if owed == Owed::Status {
            self.statuses.insert(key);
        }
        let queue = self.queues.entry(key).or_default();
        if queue.name.is_none() && !self.alone {
            queue.name = Some(caller.client.clone());
        }
        (key, queue.ordered.owe((caller, owed)))
    }

    /// A reply of the listener's own: printed at once, or at its turn.
    pub fn answer_own(&mut self, caller: Caller, encoded: Encoded, printer: &mut Printer) {
        let key = if self.alone { Some(0) } else { self.clients.get(&caller.client).copied() };
        let idle =
            key.and_then(|key| self.queues.get(&key)).is_none_or(|queue| queue.ordered.is_idle());
        if idle {
            printer.print(None, &caller, &encoded);
            return;
        }
        let (key, number) = self.owe(Owed::Known, caller);
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.ordered.answer(number, encoded);
        }
    }

    /// The service has replied. What comes too long after its request's deadline is not said.
    pub fn complete(
        &mut self,
        replied: Replied,
        now: Instant,
        members: &Members,
        config: &Config,
        printer: &mut Printer,
    ) {
        let Replied { client: key, number, deadline, completion } = replied;
        let Some(queue) = self.queues.get_mut(&key) else { return };
        match completion {
            Completion::Delayed => queue.ordered.detach(number),
            Completion::Done(_) if now > deadline + limits::LATE_ANSWER => {
                queue.ordered.forget(number);
            }
            Completion::Done(response) => {
                if let Some((_, Owed::Service(shape))) = queue.ordered.owed(number) {
                    let response = as_client_takes_it(response, *shape, config);
                    let encoded = Encoded::response(response, *shape, members);
                    queue.ordered.answer(number, encoded);
                }
            }
        }
        self.print_ready(key, printer);
    }

    /// Gives every status that is at its turn.
    pub fn tell_status(&mut self, status: impl Fn() -> Encoded, printer: &mut Printer) {
        let waiting: Vec<u64> = self.statuses.iter().copied().collect();
        for key in waiting {
            while let Some(queue) = self.queues.get_mut(&key)
                && let Some((number, (_, Owed::Status), false)) = queue.ordered.first()
            {
                queue.ordered.answer(number, status());
                self.print_ready(key, printer);
            }
            if self.queues.get(&key).is_none_or(|queue| queue.ordered.is_idle()) {
                self.statuses.remove(&key);
            }
        }
    }

    fn print_ready(&mut self, key: u64, printer: &mut Printer) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        while let Some(((caller, _), encoded)) = queue.ordered.pop() {
            printer.print(None, &caller, &encoded);
        }
        if queue.ordered.is_empty()
            && let Some(Queue { name: Some(name), .. }) = self.queues.remove(&key)
        {
            self.clients.remove(&name);
        }
    }

    /// Whether no reply is owed.
    pub fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.ordered.is_empty())
    }
}

/// A client of the `kafka` workload moves its position when it commits, and takes a definite
/// refusal for messages that were skipped. So it is never told one.
fn as_client_takes_it(response: Response, shape: ReplyShape, config: &Config) -> Response {
    match response {
        Err(Failure::Service(ServiceError::NotAvailable { timeout_ms }))
            if shape.is_log_commit() =>
        {
            Err(ServiceError::TimedOut { timeout_ms }.into())
        }
        Err(Failure::Service(ServiceError::Overloaded { .. })) if shape.is_log_commit() => {
            Err(ServiceError::timed_out(config.request_timeout).into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use state_machine::reply::Reply;

    use super::*;

    #[test]
    fn regression_a_reply_that_is_known_too_late_is_not_printed() {
        let members = Members::new("n1", ["n1".to_owned()]).expect("it is one of them");
        let config = Config::parse_from(["cohort"]).expect("no flags");
        let deadline = Instant::from_millis(4_000);
        let tick = Duration::from_millis(1);
        for (now, lines) in [
            (deadline, 2),
            (deadline + limits::LATE_ANSWER, 2),
            // The one behind it does not wait for it.
            (deadline + limits::LATE_ANSWER + tick, 1),
        ] {
            let (mut replies, mut printer) = (Replies::new(&members), Printer::default());
            let owed = Owed::Service(ReplyShape { ok: "unsubscribe_ok", partition: None });
            let caller = |msg_id| Caller { client: "c".into(), msg_id };
            let (client, number) = replies.owe(owed, caller(1));
            replies.answer_own(caller(2), Encoded::bare("topology_ok"), &mut printer);
            let completion = Completion::Done(Ok(Reply::Done));
            let replied = Replied { client, number, deadline, completion };
            replies.complete(replied, now, &members, &config, &mut printer);
            printer.empty(|text| assert_eq!(text.lines().count(), lines, "{text}"));
            assert!(replies.is_empty());
        }
    }
}
