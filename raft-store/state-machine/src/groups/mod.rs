//! Consumer groups: what they are, and who decides what about them.
//!
//! A group is a set of committed offsets, a generation, and one of four kinds of membership
//! ([`group`]):
//!
//! * *Simple*: it has committed offsets and nothing else.
//! * *Declared*: the caller names all consumers and partitions in one request ([`declared`]).
//! * *Polling*: a consumer only polls, and the coordinator assigns, as in KIP-848 ([`polling`]). On
//!   the wire this kind is called `thin`.
//! * *Classic*: Kafka's classic protocol, in which a member assigns ([`classic`]).
//!
//! Each kind has a folder or file of its own. What holds for all kinds stands here, a subject a
//! file: what may be committed (`fence`), what runs out (`deadlines`, `expire`), what a topic's
//! change means (`topic_changed`), what is told (`describe`). Two parts know no kind of group at
//! all, and are there for every kind whose coordinator assigns: who shall hold what (`target`), and
//! how members get there (`reconcile`).

use crate::rejection::Rejection;
use crate::reply::{Answered, Decided, Reply};
use crate::state::State;
use crate::transition::Transition;

mod by_topic;
pub mod classic;
pub mod command;
mod deadlines;
mod declare;
pub mod declared;
mod delete;
mod describe;
pub mod event;
mod evolve;
mod expire;
mod fence;
pub mod group;
pub(crate) mod invariants;
mod list;
mod members;
pub mod polling;
mod reconcile;
pub mod reply;
mod target;
mod topic_changed;

use crate::ids::GroupId;
use command::{GroupCommand, GroupQuery};
use group::Group;
pub(crate) use topic_changed::topic_changed;

pub(crate) fn decide(tx: &mut Transition<'_>, command: &GroupCommand) -> Decided {
    let reply: Reply = match command {
        GroupCommand::Polling(command) => polling::decide(tx, command)?,
        GroupCommand::Classic(command) => return classic::decide(tx, command),
        GroupCommand::Declare { group, topic, consumers, partitions, strategy } => {
            declare::declare(tx, group, topic, consumers, partitions, strategy)?
        }
        GroupCommand::Expire { group, deadline } => expire::expire(tx, group, deadline)?,
        GroupCommand::ExpireNow { group, what } => expire::expire_now(tx, group, what)?,
        GroupCommand::Delete { group } => delete::delete(tx, group)?,
    };
    Ok(reply.into())
}

pub(crate) fn query(state: &State, query: &GroupQuery) -> Answered {
    let reply: Reply = match query {
        GroupQuery::List => list::list(state)?,
        GroupQuery::Describe { group } => describe::describe(state, group)?,
        GroupQuery::PollingHeartbeat { group, member } => {
            return polling::heartbeat::query(state, group, member);
        }
        GroupQuery::ClassicHeartbeat { group, member, instance_id, generation } => {
            classic::heartbeat::query(state, group, member, instance_id.as_ref(), *generation)?
        }
    };
    Ok(reply.into())
}

fn existing<'a>(state: &'a State, group: &GroupId) -> Result<&'a Group, Rejection> {
    state.group(group).ok_or_else(|| Rejection::GroupNotFound(group.clone()))
}
