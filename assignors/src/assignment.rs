//! The output of an assignor.

use crate::TopicPartition;

/// Who reads what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The partitions of each member, in the order of [`Group::members`](crate::Group::members);
    /// each list is sorted by topic index and partition.
    pub members: Vec<Vec<TopicPartition>>,
    /// Partitions that change owner, each with the index of its new owner, sorted by partition.
    ///
    /// `cooperative-sticky` alone fills this: such a partition is in *nobody's* list in this round,
    /// because the old owner may still be reading it; it is handed out in the round after the old
    /// owner gave it up (KIP-429). For all other assignors the list is empty.
    pub transferring: Vec<(TopicPartition, usize)>,
}

impl Assignment {
    /// The whole target: every list with the partitions in it that a cooperative round still
    /// withholds.
    ///
    /// Equal to `members` for assignors that withhold nothing.
    pub fn target(&self) -> Vec<Vec<TopicPartition>> {
        self.clone().into_target()
    }

    /// As [`target`](Self::target), without copying the lists.
    pub fn into_target(self) -> Vec<Vec<TopicPartition>> {
        let Self { mut members, transferring } = self;
        let mut touched: Vec<usize> = Vec::with_capacity(transferring.len());
        for (partition, owner) in transferring {
            members[owner].push(partition);
            touched.push(owner);
        }
        touched.sort_unstable();
        touched.dedup();
        for owner in touched {
            members[owner].sort_unstable();
        }
        members
    }
}
