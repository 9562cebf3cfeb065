//! Polling consumers: a consumer only polls, the coordinator assigns, and a poll is a sign of life.
//! On the wire they are called thin consumers.
//!
//! The model is KIP-848's, for eager groups too. The group has a *target* for each member, computed
//! anew with each generation (`groups/target.rs`). Each member has what it was told: its *assigned*
//! partitions, and the generation in which it was told them. The two meet when the member asks
//! (`groups/reconcile.rs`). What it holds and should not, it gives up with a poll. What it should
//! hold and nobody else still holds, it gets. So a partition has one holder at any time, and a
//! member that was never told of a partition does not hold it.
//!
//! Eager and cooperative groups differ in one thing: when the generation begins. In an eager group
//! it begins when everyone has given up everything ([`Rebalance::holding`] is empty). In a
//! cooperative group it begins at once.
//!
//! Where `docs/protocol.md` is silent:
//! * A member that holds nothing has nothing to give up: an eager rebalance does not wait for it.
//! * A heartbeat tells a new generation and new partitions, but gives nothing up. Only a poll does,
//!   or a `subscribe`, which is a restart. A member that still has to give something up stays in
//!   its generation.
//! * A static member whose seat is kept while it is away (it unsubscribed, or polled too slowly)
//!   holds up nobody: what its seat has to give up is given up at once. It has to subscribe before
//!   its other requests are taken.
//! * A member that changes its instance id keeps its place under the new one. If the new one has a
//!   seat already, the member takes that seat and gives up its own.
//! * The last member's going begins no new generation: the next member's coming does.
//! * The partitions of a topic that was removed are nobody's at once.
//!
//! [`Rebalance::holding`]: members::Rebalance::holding

use crate::groups::group::Group;
use crate::ids::{GroupId, MemberId};
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;
use crate::transition::Transition;

mod advance;
pub mod command;
mod deadlines;
pub mod event;
mod evolve;
pub(super) mod expire;
mod fence;
pub(super) mod heartbeat;
mod index;
mod invariants;
pub mod members;
mod poll;
pub(super) mod rebalance;
pub mod reply;
mod stored;
mod subscribe;
mod targets;
mod unsubscribe;

use command::PollingCommand;
use members::Polling;

pub(super) fn decide(tx: &mut Transition<'_>, command: &PollingCommand) -> Outcome {
    match command {
        PollingCommand::Subscribe { group, member, subscription } => {
            subscribe::subscribe(tx, group, member, subscription)
        }
        PollingCommand::Poll { group, member, max_messages } => {
            poll::poll(tx, group, member, *max_messages)
        }
        PollingCommand::Heartbeat { group, member } => heartbeat::heartbeat(tx, group, member),
        PollingCommand::Unsubscribe { group, member, permanent } => {
            unsubscribe::unsubscribe(tx, group, member, *permanent)
        }
    }
}

/// A polling group and its members, for a request of one of them.
pub(crate) fn members_of<'a>(
    state: &'a State,
    id: &GroupId,
    member: &MemberId,
) -> Result<(&'a Group, &'a Polling), Rejection> {
    let group = state.group(id).ok_or_else(|| Rejection::unknown_member(id, member))?;
    let members =
        group.membership.polling().ok_or_else(|| Rejection::unknown_member(id, member))?;
    Ok((group, members))
}
