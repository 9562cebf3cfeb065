//! Who may commit which offset. The kinds' own rules are in their folders.

use super::group::{Group, Membership};
use crate::ids::{Generation, GroupId, MemberId, TopicPartition};
use crate::offsets::command::{Committer, Fence};
use crate::rejection::Rejection;

/// What a member claims when it commits.
pub(super) struct Claim<'a> {
    pub id: &'a GroupId,
    /// The group's generation.
    pub current: Generation,
    /// The empty name where none is given.
    pub member: &'a MemberId,
    /// The generation that it names, if it names one.
    pub given: Option<Generation>,
    pub partition: &'a TopicPartition,
}

impl Claim<'_> {
    /// The refusal of another generation than the member's.
    pub(super) fn illegal(&self, given: Generation, current: Generation) -> Rejection {
        Rejection::IllegalGeneration { group: self.id.clone(), given, current }
    }

    /// The refusal of a partition that is not the member's.
    pub(super) fn not_assigned(&self) -> Rejection {
        Rejection::NotAssigned {
            group: self.id.clone(),
            member: self.member.clone(),
            partition: self.partition.clone(),
        }
    }
}

impl Group {
    /// Whether an offset of a partition may be committed. `fence`: as whom, if not as an
    /// administrator.
    ///
    /// # Errors
    /// In Kafka's order: [`Rejection::UnknownMember`] (or [`Rejection::FencedInstance`]),
    /// [`Rejection::IllegalGeneration`], [`Rejection::RebalanceInProgress`],
    /// [`Rejection::NotAssigned`].
    pub(crate) fn may_commit(
        &self,
        id: &GroupId,
        fence: Option<&Fence>,
        partition: &TopicPartition,
    ) -> Result<(), Rejection> {
        let Some(Fence { member_id, generation }) = fence else {
            return match &self.membership {
                // As in Kafka, who does not name itself is no member.
                Membership::Classic(classic) if !classic.members.is_empty() => {
                    Err(Rejection::MemberNotNamed(id.clone()))
                }
                Membership::Simple
                | Membership::Declared(_)
                | Membership::Polling(_)
                | Membership::Classic(_) => Ok(()),
            };
        };
        let nobody = MemberId::default();
        let member = member_id.as_ref().unwrap_or(&nobody);
        let claim = Claim { id, current: self.generation, member, given: *generation, partition };
        match &self.membership {
            Membership::Simple | Membership::Declared(_) => {
                Err(Rejection::unknown_member(id, member))
            }
            Membership::Polling(polling) => polling.may_commit(&claim),
            Membership::Classic(classic) => classic.may_commit(&claim),
        }
    }

    /// Whether a member may commit at all; `None`: an administrator. Whose a partition is, only the
    /// members of such a group know.
    ///
    /// # Errors
    /// As [`may_commit`](Self::may_commit), but for the partition.
    pub(crate) fn may_commit_all(
        &self,
        id: &GroupId,
        member: Option<&Committer>,
    ) -> Result<(), Rejection> {
        match (&self.membership, member) {
            (Membership::Classic(classic), Some(member)) => {
                classic.may_commit_all(id, self.generation, member)
            }
            (
                Membership::Simple | Membership::Declared(_) | Membership::Polling(_),
                Some(member),
            ) => Err(Rejection::unknown_member(id, &member.member_id)),
            (_, None) if self.has_members() => Err(Rejection::MemberNotNamed(id.clone())),
            (_, None) => Ok(()),
        }
    }
}
