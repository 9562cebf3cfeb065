//! Delayed requests: a join or a sync whose group is not ready is answered later, as are Kafka's
//! delayed operations.
//!
//! The replicated state decides that a request is delayed, and an event carries its answer later.
//! Around that a node has to know two things, and this module owns both. [`DelayTimes`]: how much
//! longer such a request may take than others, at the node that took it in. [`DelayedReplies`]:
//! where its answer goes, at the leader.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_store::StateMachine;
use state_machine::command::{Command, RequestId};
use state_machine::event::Event;
use state_machine::groups::classic::command::ClassicCommand;
use state_machine::groups::classic::reply::ClassicReply;
use state_machine::groups::command::GroupCommand;
use state_machine::groups::event::GroupEvent;
use state_machine::groups::reply::GroupReply;
use state_machine::ids::{GroupId, MemberId};
use state_machine::reply::{Outcome, Reply};

use super::api::Request;
use super::round::ReplyTo;
use crate::limits;

/// How long members that joined through this node may take for a rebalance. Also where the
/// replicated state of this node is behind, a sync has its member's own time.
#[derive(Debug, Default)]
pub(super) struct DelayTimes {
    /// Rebalance time-outs in ms.
    joined: BTreeMap<(GroupId, MemberId), u32>,
}

impl DelayTimes {
    /// How much longer a request may take than one that is answered at once: a join or a sync waits
    /// for the other members, so it has their time.
    pub(super) fn of(&self, request: &Request, machine: &StateMachine) -> Duration {
        let ms = match classic(request) {
            Some(ClassicCommand::Join { info, .. }) => info.rebalance_timeout_ms,
            Some(ClassicCommand::Sync { group, member, .. }) => {
                let here = self.joined.get(&(group.clone(), member.clone())).copied();
                here.or_else(|| known_elsewhere(machine, group, member))
                    .unwrap_or(limits::UNKNOWN_REBALANCE_TIMEOUT_MS)
            }
            Some(ClassicCommand::Leave { .. }) | None => 0,
        };
        Duration::from_millis(ms.into())
    }

    /// A request was answered. If it was a join, its member's time is remembered.
    pub(super) fn learn(&mut self, request: &Request, reply: &Reply) {
        let (
            Some(ClassicCommand::Join { group, info, .. }),
            Reply::Group(GroupReply::Classic(ClassicReply::Joined { member_id, .. })),
        ) = (classic(request), reply)
        else {
            return;
        };
        if self.joined.len() >= limits::REMEMBERED_JOINS {
            self.joined.clear();
        }
        self.joined.insert((group.clone(), member_id.clone()), info.rebalance_timeout_ms);
    }
}

/// A classic member's request: no other is delayed.
fn classic(request: &Request) -> Option<&ClassicCommand> {
    match request {
        Request::Command(Command::Group(GroupCommand::Classic(command))) => Some(command),
        Request::Command(_) | Request::Query(_) => None,
    }
}

/// What a member said when it joined through another node, as far as this node has applied it.
fn known_elsewhere(machine: &StateMachine, group: &GroupId, member: &MemberId) -> Option<u32> {
    machine.read(|state| {
        let classic = state.group(group)?.membership.classic()?;
        Some(classic.members.get(member)?.rebalance_timeout_ms)
    })
}

/// Where the answers of delayed requests go, while this node leads. A retry after a change of
/// leader finds its answer in the replicated state.
#[derive(Debug, Default)]
pub(super) struct DelayedReplies(BTreeMap<RequestId, ReplyTo>);

impl DelayedReplies {
    /// The request waits for its group.
    pub(super) fn insert(&mut self, request_id: RequestId, reply_to: ReplyTo) {
        self.0.insert(request_id, reply_to);
    }

    /// The answer that an event carries, if it is one to a request that waits here.
    pub(super) fn answered(&mut self, event: Event) -> Option<(ReplyTo, Outcome)> {
        match event {
            Event::Group {
                event: GroupEvent::Answered { request_id: Some(id), outcome, .. },
                ..
            } => Some((self.0.remove(&id)?, outcome)),
            _ => None,
        }
    }
}
