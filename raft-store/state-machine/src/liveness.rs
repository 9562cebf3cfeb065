//! Signs of life: which member a request proves alive.
//!
//! Dedup are the coordinator's soft state: a heartbeat writes nothing. Whoever keeps the time (the node
//! that leads) asks here whose request it just answered, and whether the answer lets it count.

use crate::command::{Command, Query, RequestId};
use crate::groups::classic::member_id_for;
use crate::ids::{GroupId, MemberId};
use crate::reply::{Outcome, Rejection, Reply};

/// Whose request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// The member; `None` where its id is made when the command is applied: then the outcome tells it
    /// ([`Reply::member`]).
    pub member: Option<&'a MemberId>,
    /// Whether it extends the poll interval too, and not only the session.
    pub polled: bool,
}

impl Command {
    /// Whose sign of life it is, if it is one and [proves_alive]. `subscribe` begins the poll interval anew,
    /// as it begins everything anew for a consumer that restarts.
    pub fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        let sign = |group, member, polled| Some(Heartbeat { group, member, polled });
        match self {
            Self::Subscribe { group, member, .. } | Self::Poll { group, member, .. } => {
                sign(group, Some(member), true)
            }
            Self::PollingHeartbeat { group, member }
            | Self::Unsubscribe { group, member, .. }
            | Self::SyncGroup { group, member, .. }
            | Self::LeaveGroup { group, member, .. } => sign(group, Some(member), false),
            Self::PollingCommit { commit, member, .. } => sign(&commit.group, Some(member), false),
            Self::CommitOffset { commit, fence } => {
                let member = fence.as_ref()?.member_id.as_ref()?;
                sign(&commit.group, Some(member), false)
            }
            Self::JoinGroup { group, member, .. } => sign(group, member.as_ref(), false),
            Self::LogSend { .. }
            | Self::LogCommit { .. }
            | Self::CreateTopic { .. }
            | Self::CreatePartitions { .. }
            | Self::DeleteTopic { .. }
            | Self::Produce { .. }
            | Self::DeclareGroup { .. }
            | Self::RegisterWrite { .. }
            | Self::RegisterCas { .. }
            | Self::NewCoordinator { .. }
            | Self::Expire { .. }
            | Self::DeleteGroup { .. }
            | Self::DeleteOffsets { .. }
            | Self::ExpireOffsets { .. } => None,
        }
    }
}

impl Command {
    /// Which member it proves alive, if it is a [sign of life](Self::heartbeat) and proves_alive; `request_id` is the request's. A
    /// first join names nobody: it is a sign of the member that it makes, or made when it came before.
    pub fn heard_member(&self, request_id: Option<&RequestId>) -> Option<(GroupId, MemberId)> {
        if let Self::JoinGroup { group, member: None, instance_id, .. } = self {
            return Some((group.clone(), member_id_for(request_id?, instance_id.as_ref())));
        }
        let sign = self.heartbeat()?;
        Some((sign.group.clone(), sign.member?.clone()))
    }
}

impl Query {
    /// Whose sign of life it is, if it is one and [proves_alive].
    pub fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::PollingHeartbeat { group, member } | Self::Heartbeat { group, member, .. } => {
                Some(Heartbeat { group, member: Some(member), polled: false })
            }
            Self::LogPoll { .. }
            | Self::LogCommitted { .. }
            | Self::ListTopics
            | Self::Fetch { .. }
            | Self::FetchOffset { .. }
            | Self::RegisterRead { .. }
            | Self::ListGroups
            | Self::DescribeGroup { .. } => None,
        }
    }
}

impl Reply {
    /// The member that a reply names as the one it is for.
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Delayed { member } | Self::Joined { member_id: member, .. } => Some(member),
            Self::Done
            | Self::Appended { .. }
            | Self::LogMessages(_)
            | Self::LogCommitted(_)
            | Self::Topics(_)
            | Self::Fetched { .. }
            | Self::Committed { .. }
            | Self::Register(_)
            | Self::Declared { .. }
            | Self::Polling(_)
            | Self::Polled { .. }
            | Self::NeedsCommand
            | Self::Synced { .. }
            | Self::Groups(_)
            | Self::Described(_) => None,
        }
    }
}

/// Whether a request with this outcome proves its member alive: it was taken, or refused for a reason that
/// only a member in its right generation can meet. As in Kafka, a heartbeat answered REBALANCE_IN_PROGRESS
/// proves_alive, one answered UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION does not.
pub fn proves_alive(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) => true,
        Err(
            Rejection::RebalanceInProgress(_)
            | Rejection::NotAssigned { .. }
            | Rejection::OffsetBeyondEnd { .. }
            | Rejection::InvalidAssignment { .. }
            | Rejection::AssignorFailed { .. },
        ) => true,
        Err(
            Rejection::UnknownTopic(_)
            | Rejection::UnknownPartition { .. }
            | Rejection::TopicAlreadyExists(_)
            | Rejection::TopicCannotShrink { .. }
            | Rejection::KeyNotFound(_)
            | Rejection::PreconditionFailed { .. }
            | Rejection::GroupNotFound(_)
            | Rejection::UnknownMember { .. }
            | Rejection::MemberNotNamed(_)
            | Rejection::IllegalGeneration { .. }
            | Rejection::FencedInstance { .. }
            | Rejection::InconsistentProtocol { .. }
            | Rejection::GroupFull { .. }
            | Rejection::NonEmptyGroup(_)
            | Rejection::GroupSubscribedToTopic { .. }
            | Rejection::UnsupportedAssignor(_)
            | Rejection::RequestOver,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::proves_alive;
    use crate::command::{Command, Lane, Query, RequestId, Write};
    use crate::reply::Reply;
    use crate::state::State;

    #[test]
    fn a_poll_extends_the_poll_interval_and_a_heartbeat_does_not() {
        let poll = Command::Poll { group: "g".into(), member: "c".into(), max_messages: 1 };
        let sign = poll.heartbeat().expect("a member's request");
        assert!(sign.polled && sign.member.is_some_and(|m| m.as_str() == "c"));
        let heartbeat = Query::PollingHeartbeat { group: "g".into(), member: "c".into() };
        assert!(!heartbeat.heartbeat().expect("a member's request").polled);
        assert_eq!(Command::NewCoordinator { node: 1 }.heartbeat(), None);
        assert_eq!(Query::DescribeGroup { group: "g".into() }.heartbeat(), None);
    }

    #[test]
    fn the_outcome_tells_who_joined_for_the_first_time() {
        let command = Command::JoinGroup {
            group: "g".into(),
            member: None,
            instance_id: Some("i".into()),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocols: vec![crate::command::Protocol {
                name: "range".into(),
                topics: Vec::new(),
                owned: Vec::new(),
                generation: None,
            }],
        };
        assert_eq!(command.heartbeat().expect("a member's request").member, None);
        let request_id = Some(RequestId { node: 3, incarnation: 0x1f, lane: Lane::Delayed, seq: 7 });
        let retry_shows = command.heard_member(request_id.as_ref());
        assert_eq!(
            retry_shows,
            Some(("g".into(), "i-3-1f-7".into())),
            "a retry of the join is its member's sign"
        );
        assert_eq!(command.heard_member(None), None);
        let outcome = State::default().apply(&Write { request_id, command }, None);
        assert!(proves_alive(&outcome));
        let member = outcome.as_ref().ok().and_then(Reply::member).expect("its id");
        assert_eq!(member.as_str(), "i-3-1f-7");
    }
}
