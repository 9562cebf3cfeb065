//! What all kinds of groups with members make of what happens to all of them.
//!
//! A kind that can have members implements [`Members`]. So an event that every kind knows reaches
//! the right one in one place (`Membership::members_mut`).

use super::classic::event::InitialDelay;
use crate::ids::{Generation, InstanceId, MemberId};
use crate::values::TopicPartitions;

/// How the members of one kind of group change. Decides nothing.
pub(super) trait Members {
    /// A static member came back under another name.
    fn seat_taken(&mut self, instance_id: &InstanceId, from: &MemberId, to: &MemberId);
    /// A static member went, its seat stays.
    fn seat_kept(&mut self, id: &MemberId);
    /// A member went, and its seat with it.
    fn removed(&mut self, id: &MemberId);
    /// A rebalance began.
    fn rebalance_started(&mut self, timeout_ms: u32, initial: Option<InitialDelay>);
    /// It is known who shall read what in a generation; `targets` are as in
    /// [`GroupEvent::Assigned`](super::event::GroupEvent::Assigned).
    fn assigned(&mut self, generation: Generation, targets: &[(MemberId, TopicPartitions)]);
    /// A rebalance is over.
    fn rebalance_completed(&mut self);
}
