//! Kafka's classic protocol: members join, the group's leader assigns, members fetch what it
//! assigned.
//!
//! The states and the order of checks are Kafka's (`ClassicGroup`, `GroupMetadataManager`), with
//! two differences that follow from where this runs. Nothing is rolled back at a change of
//! coordinator: the join phase and the delayed requests are part of the replicated state. And ids
//! are made from the request's request id, so that a join that a node retries is the same join.
//! Clients whose replies are lost send another one: Kafka's own are given an id first (KIP-394,
//! `id_first`). Such ids are replicated too: a new coordinator knows whom a join phase waits for.
//!
//! Where `docs/protocol.md` is silent:
//! * A static member that left without `permanent` is *away*: its seat stays until its session
//!   ends, but no rebalance waits for it, and its old id is unknown until it joins again. If it
//!   leads a group that waits for its assignment, the rebalance begins anew.
//! * A static member that comes back with other topics under the elected protocol sets off a
//!   rebalance. (Kafka leaves that to the client, which joins a second time.)
//! * A change of a topic that the group reads sets off a rebalance here, not at the group's leader.
//! * A member may commit what is not assigned to anybody, as a cooperative consumer does for
//!   partitions that it just gave up, but not what is another's in this generation.
//! * A member that was given an id and leaves before it has joined sets off no rebalance. (In Kafka
//!   the members of a Stable group join anew.)
//! * Where the leader goes, the member with the smallest id that has joined follows; a tie in the
//!   vote for the protocol is won by the smallest name.

use crate::groups::group::Group;
use crate::ids::{GroupId, MemberId};
use crate::rejection::Rejection;
use crate::reply::Decided;
use crate::state::State;
use crate::transition::Transition;

pub mod command;
mod deadlines;
pub mod event;
mod evolve;
pub(super) mod expire;
mod fence;
pub(super) mod heartbeat;
mod invariants;
pub(crate) mod join;
pub(super) mod leave;
pub mod members;
pub(super) mod rebalance;
mod replace;
pub mod reply;
pub(super) mod sync;

use command::ClassicCommand;
use members::Classic;

pub(super) fn decide(tx: &mut Transition<'_>, command: &ClassicCommand) -> Decided {
    match command {
        ClassicCommand::Join { group, member, id_first, info } => {
            join::join(tx, group, member.as_ref(), *id_first, info.clone())
        }
        ClassicCommand::Sync { group, member, instance_id, generation, agreed, assignments } => {
            let (instance_id, assignments) = (instance_id.as_ref(), assignments.as_ref());
            sync::sync(tx, group, member, instance_id, *generation, agreed, assignments)
        }
        ClassicCommand::Leave { group, member, instance_id, permanent } => {
            Ok(leave::leave(tx, group, member, instance_id.as_ref(), *permanent)?.into())
        }
    }
}

/// A classic group and its members, for a request of one of them.
fn members_of<'a>(
    state: &'a State,
    id: &GroupId,
    member: &MemberId,
) -> Result<(&'a Group, &'a Classic), Rejection> {
    let group = state.group(id).ok_or_else(|| Rejection::unknown_member(id, member))?;
    let members =
        group.membership.classic().ok_or_else(|| Rejection::unknown_member(id, member))?;
    Ok((group, members))
}
