//! What is answered: to a command the same on every node, to a query by the node that read.
//!
//! There are two readers, and each has its type. A listener turns a [`Reply`] into an answer on its
//! wire; it has one arm a domain, and a domain's replies stand in its own `reply.rs`. The service
//! reads what only it has to act on: a [`Decision`] says that a command's request may wait for its
//! group, an [`Answer`] says that a query has to be proposed as a command. A listener never sees
//! those two.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::groups::polling::reply::PollingReply;
use crate::groups::reply::GroupReply;
use crate::ids::MemberId;
use crate::keyed_logs::reply::KeyedLogReply;
use crate::offsets::reply::OffsetReply;
use crate::producers::reply::ProducerReply;
use crate::registers::reply::RegisterReply;
use crate::rejection::Rejection;
use crate::topics::reply::TopicReply;
use crate::values::{Extent, Found, StoredBatch};

/// How a request ended: done, or refused with no change at all.
pub type Outcome = Result<Reply, Rejection>;

/// What became of a command when it was applied.
pub type Decided = Result<Decision, Rejection>;

/// What became of a query.
pub type Answered = Result<Answer, Rejection>;

/// What was done, or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "an arm a domain")]
pub enum Reply {
    /// Done; there is nothing more to say.
    Done,
    Topic(TopicReply),
    KeyedLog(KeyedLogReply),
    Register(RegisterReply),
    Offset(OffsetReply),
    Group(GroupReply),
    Producer(ProducerReply),
}

/// What a command that was not refused came to. The dedup table remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It is done.
    Reply(Reply),
    /// Its request is delayed: it waits for its group, and an event carries the answer later.
    Delayed {
        /// The member that waits, with its new id if it had none.
        member: MemberId,
    },
}

/// What a query that was not refused came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was read.
    Reply(Reply),
    /// Reading is not enough: this has to be proposed in its place.
    NeedsCommand(Command),
}

impl Decision {
    /// The member that it names as the one it is for.
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Delayed { member } => Some(member),
            Self::Reply(Reply::Group(reply)) => reply.member(),
            Self::Reply(
                Reply::Done
                | Reply::Topic(_)
                | Reply::KeyedLog(_)
                | Reply::Register(_)
                | Reply::Offset(_)
                | Reply::Producer(_),
            ) => None,
        }
    }
}

impl Reply {
    /// Puts the records into a reply that says where they lie: `read` gives the batches of an
    /// extent.
    ///
    /// # Errors
    /// That of `read`.
    pub fn fill<E>(
        &mut self,
        mut read: impl FnMut(&Extent) -> Result<Vec<StoredBatch>, E>,
    ) -> Result<(), E> {
        let mut fill = |found: &mut Found| {
            found.batches = read(&found.extent)?;
            Ok(())
        };
        match self {
            Self::Topic(TopicReply::Fetched { found, .. }) => fill(found),
            Self::Topic(TopicReply::Read(parts)) => {
                parts.iter_mut().flatten().try_for_each(|part| fill(&mut part.found))
            }
            Self::Topic(TopicReply::Offsets(found)) => {
                found.iter_mut().flatten().filter_map(|at| at.within.as_mut()).try_for_each(fill)
            }
            Self::KeyedLog(KeyedLogReply::Messages(logs)) => {
                logs.iter_mut().try_for_each(|(_, found)| fill(found))
            }
            Self::Group(GroupReply::Polling(PollingReply::Polled { records, .. })) => {
                records.iter_mut().try_for_each(|(_, found)| fill(found))
            }
            Self::Done
            | Self::Topic(_)
            | Self::KeyedLog(_)
            | Self::Register(_)
            | Self::Offset(_)
            | Self::Group(_)
            | Self::Producer(_) => Ok(()),
        }
    }
}

impl From<Reply> for Decision {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<TopicReply> for Reply {
    fn from(reply: TopicReply) -> Self {
        Self::Topic(reply)
    }
}

impl From<KeyedLogReply> for Reply {
    fn from(reply: KeyedLogReply) -> Self {
        Self::KeyedLog(reply)
    }
}

impl From<RegisterReply> for Reply {
    fn from(reply: RegisterReply) -> Self {
        Self::Register(reply)
    }
}

impl From<OffsetReply> for Reply {
    fn from(reply: OffsetReply) -> Self {
        Self::Offset(reply)
    }
}

impl From<GroupReply> for Reply {
    fn from(reply: GroupReply) -> Self {
        Self::Group(reply)
    }
}
