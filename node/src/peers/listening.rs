//! Whom of its peers a node listens to, and that it does not forget it.
//!
//! Which incarnations count is [`Incarnations`]' rule. This module applies it to what comes in.
//! Where a node has a data folder, a message of a new incarnation is held back until it is durable
//! that it was heard: what the node does for the message counts on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_store::{RaftLog, Storage};
use state_machine::ids::NodeId;
use tokio::sync::Notify;

use super::transport::{Received, Transport};
use crate::cluster::incarnations::Incarnations;

/// See the [module](self).
pub(super) struct Listening {
    listened: Mutex<Listened>,
    /// Where it is kept which incarnations were heard.
    log: RaftLog,
    /// It is durable that an incarnation was heard.
    learned: Notify,
}

/// What has come of peers.
#[derive(Default)]
struct Listened {
    incarnations: Incarnations,
    skipped: u64,
    /// Messages of incarnations of which it is not yet durable that they were heard.
    held_back: Vec<Received>,
    /// It is durable that their incarnations were heard.
    released: Vec<Received>,
}

impl Listened {
    /// Whether this node listens to the incarnation that sent a message.
    fn hear(&mut self, received: &Received) -> bool {
        let Err(ignored) = self.incarnations.hear(received.from, received.incarnation) else {
            return true;
        };
        self.skipped += 1;
        tracing::warn!(skipped = self.skipped, %ignored, "a peer's message");
        false
    }

    /// Whether a message is of an incarnation that was not heard before.
    fn is_news(&self, received: &Received) -> bool {
        self.incarnations.of(received.from) != Some(received.incarnation)
    }
}

impl Listening {
    /// With what earlier incarnations of this node had heard.
    pub(super) fn new(storage: &Storage) -> Self {
        let incarnations = Incarnations::remembered(storage.heard());
        let listened = Mutex::new(Listened { incarnations, ..Listened::default() });
        Self { listened, log: storage.log.clone(), learned: Notify::new() }
    }

    /// Waits for messages, and gives those of incarnations that this node listens to. Dropping the
    /// wait loses none.
    pub(super) async fn receive(self: &Arc<Self>, transport: &dyn Transport) -> Vec<Received> {
        loop {
            let received = tokio::select! {
                biased;
                () = self.learned.notified() => std::mem::take(&mut self.lock().released),
                received = transport.receive() => self.heard(received),
            };
            if !received.is_empty() {
                return received;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listened> {
        self.listened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the messages that this node listens to, and that need not be held back.
    fn heard(self: &Arc<Self>, received: Vec<Received>) -> Vec<Received> {
        let mut listened = self.lock();
        let mut heard = Vec::with_capacity(received.len());
        for received in received {
            if !self.log.is_kept() || !listened.is_news(&received) {
                heard.extend(Some(received).filter(|received| listened.hear(received)));
                continue;
            }
            let (from, incarnation) = (received.from, received.incarnation);
            let same = |held: &Received| (held.from, held.incarnation) == (from, incarnation);
            let begun = listened.held_back.iter().any(same);
            listened.held_back.push(received);
            if !begun {
                // It ends when the log has answered, which it does even where it has failed.
                let _task = runtime::spawn(self.clone().learn(from, incarnation));
            }
        }
        heard
    }

    /// Makes it durable that an incarnation is heard, and releases its messages. What the node does
    /// for these messages counts on it.
    async fn learn(self: Arc<Self>, from: NodeId, incarnation: u64) {
        if self.lock().incarnations.would_hear(from, incarnation)
            && let Err(error) = self.log.heard(from, incarnation).await
        {
            // The service looks after a log that has failed.
            tracing::error!(%error, "nothing is kept any more");
            return;
        }
        let mut listened = self.lock();
        let same = |held: &mut Received| (held.from, held.incarnation) == (from, incarnation);
        let released: Vec<Received> = listened.held_back.extract_if(.., same).collect();
        for received in released {
            if listened.hear(&received) {
                listened.released.push(received);
            }
        }
        drop(listened);
        self.learned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use raft_store::{StateMachine, WalSizes};
    use runtime::Host;
    use runtime::files::simulated::SimFiles;

    use std::time::Duration;

    use super::super::message::{Message, RpcRequest};
    use super::super::transport::{Inbox, Receiving};
    use super::*;

    const SYNC: Duration = Duration::from_millis(20);

    /// What peers say comes from the test, and what is said to them goes nowhere.
    #[derive(Clone, Default)]
    struct Line(Arc<Inbox>);

    impl Line {
        fn says(&self, from: NodeId, incarnation: u64) {
            let message = Message::Request(1, RpcRequest::Probe(None));
            self.0.deliver(Received { from, incarnation, message }, 0);
        }
    }

    impl Transport for Line {
        fn send(&self, _to: NodeId, _message: &Message) {}

        fn receive(&self) -> Receiving<'_> {
            Box::pin(self.0.take())
        }
    }

    /// A node that is started on a disk; `None`: in memory.
    async fn start(disk: Option<&SimFiles>) -> (Arc<Listening>, Line) {
        let mut storage = Storage::default();
        if let Some(disk) = disk {
            let sizes = WalSizes { segment: 64 * 1024, zeroed: 8 * 1024 };
            let files = Arc::new(disk.clone());
            let opened = Storage::open(files, StateMachine::default(), sizes).await;
            storage = opened.expect("this node's folder");
            let names = ["n1".to_owned(), "n2".to_owned(), "n3".to_owned()];
            storage.belong_to("n1", &names).expect("this node's folder");
        }
        (Arc::new(Listening::new(&storage)), Line::default())
    }

    /// Whom this node hears within a time.
    async fn heard_within(
        (node, line): &(Arc<Listening>, Line),
        time: Duration,
    ) -> Vec<(NodeId, u64)> {
        let received = tokio::select! {
            biased;
            received = node.receive(line) => received,
            () = runtime::sleep(time) => Vec::new(),
        };
        received.iter().map(|received| (received.from, received.incarnation)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_incarnation_is_held_back_until_it_is_durable_that_it_was_heard() {
        let (host, disk) = (Host::new(1, 0), SimFiles::new(1));
        disk.slow_syncs(SYNC..=SYNC);
        let node = host.scope(start(Some(&disk))).await;
        host.scope(async {
            node.1.says(2, 70);
            node.1.says(2, 70);
            assert_eq!(heard_within(&node, SYNC / 2).await, [], "not synced yet");
            let heard = heard_within(&node, Duration::from_secs(1)).await;
            assert_eq!(heard, [(2, 70), (2, 70)], "none is lost");
            node.1.says(2, 70);
            assert_eq!(heard_within(&node, Duration::ZERO).await, [(2, 70)], "it is known now");
        })
        .await;
        host.kill();
        disk.crash_keeping(&mut |_| false);
        host.revive();
        let node = host.scope(start(Some(&disk))).await;
        host.scope(async {
            // 9 may be later, but not with the memory of 70: a node that was wiped.
            node.1.says(2, 9);
            node.1.says(2, 71);
            let heard = heard_within(&node, Duration::from_secs(1)).await;
            assert_eq!(heard, [(2, 71)], "a restart does not forget who was heard");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_without_a_folder_hears_at_once() {
        let node = start(None).await;
        node.1.says(3, 5);
        node.1.says(3, 4);
        assert_eq!(heard_within(&node, Duration::ZERO).await, [(3, 5)]);
    }
}
