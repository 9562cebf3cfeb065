//! Signs of life: which member a request proves alive.
//!
//! Sessions are the coordinator's soft state: a heartbeat writes nothing. Whoever keeps the time
//! (the node that leads) asks here whose request it just answered, and whether the answer lets it
//! count.

use crate::command::{Command, Query, RequestId};
use crate::groups::classic::command::ClassicCommand;
use crate::groups::classic::join::member_id_for;
use crate::groups::command::GroupCommand;
use crate::ids::{GroupId, MemberId};
use crate::rejection::Rejection;
use crate::reply::{Decided, Decision};

/// Whose request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// The member; `None` where its id is made when the command is applied. Then what was
    /// [decided](Heartbeat::told) tells it.
    pub member: Option<&'a MemberId>,
    /// Whether it extends the poll interval too, and not only the session.
    pub polled: bool,
}

impl<'a> Heartbeat<'a> {
    /// A member's sign of life that extends its session.
    pub(crate) fn of(group: &'a GroupId, member: &'a MemberId) -> Self {
        Self { group, member: Some(member), polled: false }
    }

    /// A poll, or what counts as one.
    pub(crate) fn of_poll(group: &'a GroupId, member: &'a MemberId) -> Self {
        Self { polled: true, ..Self::of(group, member) }
    }

    /// The same with the member that was told its id, where it had none before.
    pub fn told(self, decided: &'a Decided) -> Self {
        let told = decided.as_ref().ok().and_then(Decision::member);
        Self { member: self.member.or(told), ..self }
    }
}

impl Command {
    /// Whose sign of life it is, if it is one and [proves_alive].
    pub fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::Offset(command) => command.heartbeat(),
            Self::Group(command) => command.heartbeat(),
            Self::Topic(_)
            | Self::KeyedLog(_)
            | Self::Register(_)
            | Self::Producer(_)
            | Self::NewCoordinator { .. }
            | Self::AdvanceClock { .. } => None,
        }
    }

    /// Which member it proves alive, if it is a [sign of life](Self::heartbeat) and [proves_alive];
    /// `request_id` is the request's. A first join names nobody: it is a sign of the member that it
    /// makes, or made when it came before.
    pub fn heard_member(&self, request_id: Option<&RequestId>) -> Option<(GroupId, MemberId)> {
        if let Self::Group(GroupCommand::Classic(ClassicCommand::Join {
            group,
            member: None,
            info,
            ..
        })) = self
        {
            return Some((group.clone(), member_id_for(request_id?, info)));
        }
        let sign = self.heartbeat()?;
        Some((sign.group.clone(), sign.member?.clone()))
    }
}

impl Query {
    /// Whose sign of life it is, if it is one and [proves_alive].
    pub fn heartbeat(&self) -> Option<Heartbeat<'_>> {
        match self {
            Self::Group(query) => query.heartbeat(),
            Self::Topic(_) | Self::KeyedLog(_) | Self::Register(_) | Self::Offset(_) => None,
        }
    }
}

/// Whether a request that ended so proves its member alive: it was taken, or refused for a reason
/// that only a member in its right generation can meet. As in Kafka, a heartbeat answered
/// REBALANCE_IN_PROGRESS does, one answered UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or
/// ILLEGAL_GENERATION does not.
pub fn proves_alive<T>(outcome: &Result<T, Rejection>) -> bool {
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
            | Rejection::UnknownConfig(_)
            | Rejection::InvalidConfig { .. }
            | Rejection::BatchTooLarge { .. }
            | Rejection::KeyMissing(_)
            | Rejection::TimestampAhead { .. }
            | Rejection::OffsetOutOfRange { .. }
            | Rejection::ProducerFenced { .. }
            | Rejection::OutOfSequence { .. }
            | Rejection::KeyNotFound(_)
            | Rejection::PreconditionFailed { .. }
            | Rejection::GroupNotFound(_)
            | Rejection::UnknownMember { .. }
            | Rejection::MemberNotNamed(_)
            | Rejection::IllegalGeneration { .. }
            | Rejection::FencedInstance { .. }
            | Rejection::InconsistentProtocol { .. }
            | Rejection::GroupFull { .. }
            | Rejection::GroupTooLarge { .. }
            | Rejection::NonEmptyGroup(_)
            | Rejection::GroupWaitsForNothing(_)
            | Rejection::GroupSubscribedToTopic { .. }
            | Rejection::UnsupportedAssignor(_)
            | Rejection::RequestOver,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Heartbeat, proves_alive};
    use crate::command::{Command, Lane, Query, RequestId, Write};
    use crate::groups::classic::command::{ClassicCommand, JoinInfo, Protocol};
    use crate::groups::command::GroupQuery;
    use crate::groups::polling::command::PollingCommand;
    use crate::state::State;

    #[test]
    fn a_poll_extends_the_poll_interval_and_a_heartbeat_does_not() {
        let poll: Command =
            PollingCommand::Poll { group: "g".into(), member: "c".into(), max_messages: 1 }.into();
        let sign = poll.heartbeat().expect("a member's request");
        assert!(sign.polled && sign.member.is_some_and(|m| m.as_str() == "c"));
        let heartbeat: Query =
            GroupQuery::PollingHeartbeat { group: "g".into(), member: "c".into() }.into();
        assert!(!heartbeat.heartbeat().expect("a member's request").polled);
        assert_eq!(Command::NewCoordinator { node: 1 }.heartbeat(), None);
        assert_eq!(Query::from(GroupQuery::Describe { group: "g".into() }).heartbeat(), None);
    }

    #[test]
    fn what_was_decided_tells_who_joined_for_the_first_time() {
        let protocol = Protocol {
            name: "range".into(),
            topics: Vec::new(),
            owned: Vec::new(),
            generation: None,
            metadata: bytes::Bytes::new(),
        };
        let info = JoinInfo {
            instance_id: Some("i".into()),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocols: vec![protocol],
            client: None,
        };
        let command: Command =
            ClassicCommand::Join { group: "g".into(), member: None, id_first: false, info }.into();
        let sign = command.heartbeat().expect("a member's request");
        assert_eq!(sign.member, None);
        let request_id =
            Some(RequestId { node: 3, incarnation: 0x1f, lane: Lane::Delayed, seq: 7 });
        let retry_shows = command.heard_member(request_id.as_ref());
        let expected = Some(("g".into(), "i-3-1f-7".into()));
        assert_eq!(retry_shows, expected, "a retry of the join is its member's sign");
        assert_eq!(command.heard_member(None), None);
        let decided = State::default().apply(&Write { request_id, command: command.clone() }, None);
        assert!(proves_alive(&decided));
        let Heartbeat { member, .. } = sign.told(&decided);
        assert_eq!(member.expect("its id").as_str(), "i-3-1f-7");
    }
}
