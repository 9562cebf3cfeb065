//! Which member of a consumer group reads which partition.
//!
//! Six assignors, deciding as Apache Kafka's do: the client-side `range`, `roundrobin`, `sticky`
//! and `cooperative-sticky`, and KIP-848's server-side `range-server` and `uniform-server`.
//! [`by_name`] finds them.
//!
//! Everything here is a pure function of a [`Group`]: no I/O, no clock, no randomness, and no hash
//! table is ever iterated, so equal inputs give equal outputs on every node. The order of members
//! and topics in the input has no influence. Where Kafka's output depends on the order of a Java
//! hash map, this crate takes members by id and topics by name. The crate deliberately does not
//! know generations' meaning beyond their order, how members join, or what a revocation costs; that
//! is the coordinator's business.
//!
//! ```
//! use assignors::{Group, Member, Topic, by_name};
//!
//! let everything: std::sync::Arc<[u32]> = [0].into();
//! let group = Group {
//!     topics: vec![Topic::new("orders", 7)],
//!     members: ["c1", "c2", "c3"].map(|id| Member::new(id, everything.clone())).into(),
//! };
//! let assignment = by_name("range").expect("a known name").assign(&group)?;
//! let first: Vec<u32> = assignment.members[0].iter().map(|partition| partition.partition).collect();
//! assert_eq!(first, [0, 1, 2]);
//! # Ok::<(), assignors::AssignError>(())
//! ```

mod assignment;
mod bits;
mod cooperative;
mod error;
mod group;
mod racks;
mod range;
mod roster;
mod round_robin;
mod sticky;
mod uniform;

pub use assignment::Assignment;
pub use cooperative::CooperativeSticky;
pub use error::AssignError;
pub use group::{Group, Member, Topic, TopicId, TopicPartition};
pub use range::{Range, RangeServer};
pub use round_robin::RoundRobin;
pub use sticky::Sticky;
pub use sticky::loads::{Loads, name_order};
pub use uniform::UniformServer;

/// A rule that decides who reads what.
///
/// Implementations are pure and deterministic: the result depends on the *set* of members and
/// topics alone.
pub trait Assignor: Send + Sync {
    /// The name that members propose and [`by_name`] finds, as in Kafka.
    fn name(&self) -> &'static str;

    /// Assigns every partition of every subscribed topic to one subscribed member.
    ///
    /// Fails only for an input that no group can have, such as two members with one id.
    fn assign(&self, group: &Group) -> Result<Assignment, AssignError>;
}

static ALL: [&dyn Assignor; 6] = [
    &Range,
    &RoundRobin,
    &Sticky,
    &CooperativeSticky,
    &RangeServer,
    &UniformServer { always_general: false },
];

/// All assignors, client-side ones first.
pub fn all() -> &'static [&'static dyn Assignor] {
    &ALL
}

/// The assignor with this [name](Assignor::name), or `None`.
pub fn by_name(name: &str) -> Option<&'static dyn Assignor> {
    ALL.iter().copied().find(|assignor| assignor.name() == name)
}
