//! Which nodes are up, and where clients reach them.
//!
//! A node tells its peers where its own clients connect. A peer counts as up while there is a
//! connection with it, in either direction.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use state_machine::ids::NodeId;
use tokio::sync::watch;

/// Where clients reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its host, as clients name it.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

/// Nodes that are up.
pub type Up = BTreeMap<NodeId, Endpoint>;

/// See the [module](self). Clones are the same directory.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Vec<NodeId>,
    up: watch::Sender<Up>,
    /// How many connections there are with each peer.
    connections: Mutex<BTreeMap<NodeId, usize>>,
}

impl Directory {
    /// Of a node that knows its own endpoint, and no peer's yet. `members`: all nodes.
    pub fn new(me: NodeId, endpoint: Endpoint, members: Vec<NodeId>) -> Self {
        let (up, _) = watch::channel(Up::from([(me, endpoint)]));
        Self(Arc::new(Inner { members, up, connections: Mutex::default() }))
    }

    /// All nodes, up or not, in their order.
    pub fn members(&self) -> &[NodeId] {
        &self.0.members
    }

    /// The nodes that are up. The receiver is told of every change.
    pub fn up(&self) -> watch::Receiver<Up> {
        self.0.up.subscribe()
    }

    /// Where clients reach a node, if it is up.
    pub fn of(&self, node: NodeId) -> Option<Endpoint> {
        self.0.up.borrow().get(&node).cloned()
    }

    /// There is a connection with a peer, as long as what is returned is held.
    pub fn connected(&self, peer: NodeId, endpoint: Endpoint) -> Connected {
        let mut connections = self.connections();
        *connections.entry(peer).or_default() += 1;
        self.0.up.send_if_modified(|up| up.insert(peer, endpoint.clone()) != Some(endpoint));
        drop(connections);
        Connected { directory: self.clone(), peer }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<NodeId, usize>> {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection with a peer.
#[derive(Debug)]
pub struct Connected {
    directory: Directory,
    peer: NodeId,
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut connections = self.directory.connections();
        let left = connections.get_mut(&self.peer).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            connections.remove(&self.peer);
            self.directory.0.up.send_if_modified(|up| up.remove(&self.peer).is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Endpoint {
        Endpoint { host: "h".into(), port }
    }

    #[test]
    fn a_peer_is_up_while_there_is_a_connection_with_it() {
        let directory = Directory::new(1, at(1), vec![1, 2, 3]);
        let up = directory.up();
        let (first, second) = (directory.connected(2, at(2)), directory.connected(2, at(2)));
        drop(first);
        assert_eq!(*up.borrow(), Up::from([(1, at(1)), (2, at(2))]));
        drop(second);
        assert_eq!(*up.borrow(), Up::from([(1, at(1))]), "the last one has gone");
        let _again = directory.connected(2, at(7));
        assert_eq!(directory.of(2), Some(at(7)), "it came back elsewhere");
    }
}
