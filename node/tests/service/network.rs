//! The network between the services of a trace: it carries messages, and holds or loses those that
//! the trace names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use cohort::peers::message::Message;
use cohort::peers::transport::{Inbox, Received, Receiving, Transport};
use state_machine::ids::NodeId;

/// A message on its way.
#[derive(Debug)]
pub struct Sent {
    pub from: NodeId,
    pub to: NodeId,
    pub incarnation: u64,
    pub message: Message,
}

/// What happens to the next messages of a kind on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub from: NodeId,
    pub to: NodeId,
    /// A message's kind, or `any`.
    pub kind: String,
    /// How many messages it is for; `None`: all, until `heal`.
    pub count: Option<u32>,
    /// Kept for `release`, or lost.
    pub hold: bool,
}

#[derive(Debug, Default)]
pub struct Wire {
    /// Sent and not looked at yet.
    pub fresh: Vec<Sent>,
    pub held: Vec<Sent>,
    pub rules: Vec<Rule>,
    /// Links that are cut.
    pub cut: BTreeSet<(NodeId, NodeId)>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    Held,
    Lost,
}

impl Wire {
    /// What becomes of a message by the rules of now.
    pub fn fate(&mut self, sent: &Sent) -> Fate {
        if self.cut.contains(&(sent.from, sent.to)) {
            return Fate::Lost;
        }
        let matches = |rule: &&mut Rule| {
            (rule.from, rule.to) == (sent.from, sent.to)
                && (rule.kind == "any" || rule.kind == sent.message.kind())
                && rule.count != Some(0)
        };
        let Some(rule) = self.rules.iter_mut().find(matches) else { return Fate::Delivered };
        rule.count = rule.count.map(|count| count - 1);
        if rule.hold { Fate::Held } else { Fate::Lost }
    }
}

/// The network of all nodes. Clones are the same network.
#[derive(Debug, Clone, Default)]
pub struct Network(Arc<Mutex<Wire>>);

impl Network {
    pub fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("no service panicked")
    }
}

/// One node's end of the network.
#[derive(Debug, Clone)]
pub struct End {
    pub network: Network,
    pub me: NodeId,
    pub incarnation: u64,
    pub inbox: Arc<Inbox>,
}

impl End {
    pub fn deliver(&self, sent: Sent) {
        let Sent { from, incarnation, message, .. } = sent;
        self.inbox.deliver(Received { from, incarnation, message }, 0);
    }
}

impl Transport for End {
    fn send(&self, to: NodeId, message: &Message) {
        let (from, incarnation, message) = (self.me, self.incarnation, message.clone());
        self.network.lock().fresh.push(Sent { from, to, incarnation, message });
    }

    fn receive(&self) -> Receiving<'_> {
        Box::pin(self.inbox.take())
    }
}
