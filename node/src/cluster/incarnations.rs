//! Which incarnation of each peer this node listens to.
//!
//! An *incarnation* is one run of a node's process, named by a number. The rules:
//!
//! 1. A process that begins without memory draws its incarnation at random.
//! 2. A process that is started on what its predecessor had synced takes the next number
//!    ([`Storage::incarnation`](raft_store::Storage::incarnation)).
//! 3. A node that has heard one incarnation of a peer goes on to a number a little above it: that
//!    is a later incarnation with the same memory.
//! 4. It ignores every other number. A process that lost its memory must not vote or acknowledge in
//!    the name of the one that had it, and what an earlier incarnation said comes too late.
//!
//! So a node may come back with its memory as often as it likes, and without it never. Which
//! incarnations a node has heard is part of its memory: where it has a data folder, a message of a
//! new incarnation is held back until it is durable that it was heard.

use std::collections::BTreeMap;

use state_machine::ids::NodeId;
use thiserror::Error;

/// A later incarnation with the same memory has a number at most so much higher than the last one
/// that was heard. A random number meets that by chance once in 2^37 times.
const LATER: u64 = 1 << 16;

/// A message from an incarnation that this node does not listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "from incarnation {found} of node {node}, but {known} was heard before, and this is no later one with its memory"
)]
pub struct Ignored {
    /// The node.
    pub node: NodeId,
    /// The incarnation that was heard last.
    pub known: u64,
    /// The message's.
    pub found: u64,
}

/// The last incarnation of each peer that this node has heard.
#[derive(Debug, Default)]
pub struct Incarnations(BTreeMap<NodeId, u64>);

impl Incarnations {
    /// What earlier incarnations of this node had heard.
    pub fn remembered(heard: &BTreeMap<NodeId, u64>) -> Self {
        Self(heard.clone())
    }

    /// Takes note of a message that was understood. Call it for no other: a forged line must not
    /// lock a peer out.
    ///
    /// # Errors
    /// Where the message is from neither the incarnation that was heard last nor a later one with
    /// the same memory.
    pub fn hear(&mut self, from: NodeId, incarnation: u64) -> Result<(), Ignored> {
        match self.0.get(&from) {
            Some(&known) if !self.would_hear(from, incarnation) => {
                Err(Ignored { node: from, known, found: incarnation })
            }
            _ => {
                self.0.insert(from, incarnation);
                Ok(())
            }
        }
    }

    /// Whether a message of that incarnation would be listened to.
    pub fn would_hear(&self, from: NodeId, incarnation: u64) -> bool {
        let later = |known: &u64| incarnation.checked_sub(*known).is_some_and(|by| by <= LATER);
        self.0.get(&from).is_none_or(later)
    }

    /// The incarnation of a peer that was heard last, if any.
    pub fn of(&self, peer: NodeId) -> Option<u64> {
        self.0.get(&peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_incarnation_with_the_same_memory_is_heard_and_silences_the_earlier() {
        let mut incarnations = Incarnations::default();
        assert_eq!(incarnations.hear(2, 1_000), Ok(()));
        assert_eq!(incarnations.hear(2, 1_003), Ok(()), "two incarnations passed unheard");
        assert_eq!(
            incarnations.hear(2, 1_000),
            Err(Ignored { node: 2, known: 1_003, found: 1_000 })
        );
        assert_eq!(incarnations.of(2), Some(1_003));
        assert_eq!(incarnations.hear(3, 7), Ok(()), "each node has incarnations of its own");
    }

    #[test]
    fn an_incarnation_without_the_memory_of_the_one_before_is_ignored() {
        let mut incarnations = Incarnations::default();
        assert_eq!(incarnations.hear(2, 1 << 40), Ok(()));
        for found in [0, 1 << 39, (1 << 40) - 1, (1 << 40) + LATER + 1, u64::MAX] {
            assert!(incarnations.hear(2, found).is_err(), "{found}");
        }
        assert_eq!(incarnations.of(2), Some(1 << 40));
    }
}
