//! KIP-848's server-side `uniform`, here called `uniform-server`.
//!
//! Sticky to the previous *target*, which the coordinator wrote itself; so there are no disputed
//! claims, no generations and no racks. [`equal`] serves groups in which everyone subscribes to
//! every topic that anyone subscribes to; [`unequal`] the others. A subscription to a topic that
//! does not exist is an error.

mod equal;
mod unequal;

use crate::roster::{MemberOrder, Roster, Subscribers};
use crate::{AssignError, Assignment, Assignor, Group};

/// The server-side uniform assignor of Kafka, here called `uniform-server`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UniformServer {
    /// Take the way for different subscriptions even if all are equal. Both ways balance and stick;
    /// they differ in who keeps what. Kafka's coordinator, and [`by_name`](crate::by_name), leave
    /// it false.
    pub always_general: bool,
}

impl Assignor for UniformServer {
    fn name(&self) -> &'static str {
        "uniform-server"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::ById)?;
        roster.require_topics()?;
        Ok(match roster.classes.len() {
            0 => Assignment::default(),
            1 if !self.always_general => equal::assign(&roster),
            _ => unequal::assign(&roster, &Subscribers::new(&roster)),
        })
    }
}
