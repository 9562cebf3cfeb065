//! The Kafka listener: unmodified Kafka clients over TCP.
//!
//! A connection's bytes become requests (`connection`), one file an API says what each means
//! (`api`), and the crate `wire` knows their form. This folder owns what is Kafka's: versions,
//! error codes, what is told of nodes and topics. It knows no Raft; who leads it learns from the
//! service's handle.
//!
//! Requests of a connection are submitted in the order in which they came, and answered in that
//! order. Several may be under way, so that an idempotent producer's batches share a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use state_machine::ids::NodeId;

use connection::Closed;
use counters::Counters;

use crate::cluster::directory::{Directory, Endpoint, Up};
use crate::config::Bounds;
use crate::limits;
use crate::service::handle::Handle;
use crate::service::watching::Leadership;

mod api;
mod ask;
mod connection;
pub mod counters;
mod errors;
mod faults;
mod pipeline;
pub mod server;

pub use faults::{Failing, Faults};

/// What the listener is told when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// This node.
    pub node: NodeId,
    /// Where clients reach each node of the cluster, this one too.
    pub directory: Directory,
    /// Topics are made when a client that allows it asks for one that is not there (Kafka's
    /// `auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// So many partitions a topic gets if nobody says how many (Kafka's `num.partitions`).
    pub partitions: u32,
    /// A batch of records has at most so many bytes (Kafka's `message.max.bytes`).
    pub max_batch: usize,
    /// Bounds of session time-outs (Kafka's `group.min.session.timeout.ms` and its maximum).
    pub session_timeout: Bounds,
    /// Records older than so many ms are dropped (Kafka's `retention.ms`).
    pub retention_ms: Option<u64>,
    /// Records beyond so many bytes a partition are dropped (Kafka's `retention.bytes`).
    pub retention_bytes: Option<u64>,
    /// A segment has about so many bytes (Kafka's `segment.bytes`).
    pub segment_bytes: u32,
    /// So many connections are open at most. Later ones are closed at once.
    pub connections: usize,
    /// What tests put in; `None`: this is no test.
    pub faults: Option<Arc<Faults>>,
}

/// Whether requests of this kind can be made to fail ([`Faults::fail`]).
pub(crate) fn can_be_made_fail(api: i16) -> bool {
    api::is_for_the_leader(api)
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) settings: Settings,
    pub(crate) handle: Handle,
    /// Bytes of requests that have come, in part or whole, and are not taken yet.
    input_bytes: Arc<AtomicUsize>,
    /// Bytes of replies that clients have not taken yet.
    reply_bytes: Arc<AtomicUsize>,
    owed: Owed,
    counters: Counters,
}

/// How many answers all clients are owed. Clones are the same number.
#[derive(Debug, Clone, Default)]
pub struct Owed(Arc<AtomicUsize>);

impl Owed {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes, or what else is counted, that somebody holds among all.
#[derive(Debug)]
struct Held {
    all: Arc<AtomicUsize>,
    own: usize,
}

impl Held {
    fn new(all: &Arc<AtomicUsize>) -> Self {
        Self { all: all.clone(), own: 0 }
    }

    /// Holds an answer of so many bytes until it is dropped; `None`: it is small. `is_cut`: it is as
    /// large as the answers of others left it room.
    ///
    /// # Errors
    /// Where it is large, and what clients have not taken leaves no room for it.
    fn answer(all: &Arc<AtomicUsize>, bytes: usize, is_cut: bool) -> Result<Option<Self>, Closed> {
        if bytes < limits::KAFKA_REPLY_COUNTED {
            return Ok(None);
        }
        let mut held = Self::new(all);
        let all = held.set(bytes);
        if all > limits::KAFKA_REPLIES && bytes >= limits::KAFKA_WRITE && !is_cut {
            return Err(Closed::Refused("the replies of all connections take too many bytes"));
        }
        Ok(Some(held))
    }

    /// From now on it is so many; how many all hold.
    fn set(&mut self, own: usize) -> usize {
        let before = std::mem::replace(&mut self.own, own);
        self.all.fetch_add(own, Ordering::Relaxed);
        self.all.fetch_sub(before, Ordering::Relaxed) - before
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Broker {
    fn new(settings: Settings, handle: Handle, owed: Owed, counters: Counters) -> Self {
        let (input_bytes, reply_bytes) = (Arc::default(), Arc::default());
        Self { settings, handle, input_bytes, reply_bytes, owed, counters }
    }

    /// How many bytes the next answer to a fetch may have. Fetches leave room for other answers.
    fn fetch_bytes(&self) -> u32 {
        let left = limits::KAFKA_FETCHED.saturating_sub(self.reply_bytes.load(Ordering::Relaxed));
        u32::try_from(left).unwrap_or(u32::MAX).min(limits::KAFKA_FETCH_BYTES)
    }

    /// Who leads, as this node knows. A leader that is not up is none: clients would be sent to a
    /// node that cannot serve them.
    fn leadership(&self) -> Leadership {
        let now = *self.handle.leadership().borrow();
        let is_up = |leader: &NodeId| self.endpoint(*leader).is_some();
        Leadership { leader: now.leader.filter(is_up), ..now }
    }

    /// Whether this node leads.
    fn leads(&self) -> bool {
        self.leadership().leader == Some(self.settings.node)
    }

    /// Who leads, once somebody does; or that nobody does after a while.
    async fn leadership_in_time(&self) -> Leadership {
        let (mut leads, mut up) = (self.handle.leadership(), self.settings.directory.up());
        let known = async {
            loop {
                // What changes from now on is seen by the waits below.
                leads.mark_unchanged();
                up.mark_unchanged();
                let now = self.leadership();
                if now.leader.is_some() {
                    return now;
                }
                let changed = tokio::select! {
                    changed = leads.changed() => changed,
                    changed = up.changed() => changed,
                };
                if changed.is_err() {
                    return now;
                }
            }
        };
        tokio::select! {
            biased;
            known = known => known,
            () = runtime::sleep(limits::KAFKA_LEADER_WAIT) => self.leadership(),
        }
    }

    /// Where clients reach a node.
    fn endpoint(&self, node: NodeId) -> Option<Endpoint> {
        self.settings.directory.of(node)
    }

    /// The nodes that are up, and where clients reach them.
    fn up(&self) -> Up {
        self.settings.directory.up().borrow().clone()
    }

    /// All nodes, up or not: each has everything.
    fn members(&self) -> &[NodeId] {
        self.settings.directory.members()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_answers_that_nobody_takes_are_bounded_whatever_they_are_to() {
        let all = Arc::<AtomicUsize>::default();
        let large = limits::KAFKA_REPLIES / 4;
        let mut held: Vec<_> = (0..4).map(|_| Held::answer(&all, large, false)).collect();
        assert!(held.iter().all(|held| matches!(held, Ok(Some(_)))));
        assert!(Held::answer(&all, limits::KAFKA_WRITE, false).is_err(), "there is no room");
        assert!(matches!(Held::answer(&all, limits::KAFKA_WRITE, true), Ok(Some(_))), "a fetch's");
        assert!(matches!(Held::answer(&all, limits::KAFKA_WRITE - 1, false), Ok(Some(_))));
        assert!(matches!(Held::answer(&all, limits::KAFKA_REPLY_COUNTED - 1, false), Ok(None)));
        assert_eq!(all.load(Ordering::Relaxed), limits::KAFKA_REPLIES, "dropped ones do not count");
        held.pop();
        assert!(matches!(Held::answer(&all, large, false), Ok(Some(_))));
    }
}
