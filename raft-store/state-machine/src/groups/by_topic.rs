//! Which groups name a topic, so that nothing that concerns one topic has to look at all groups.

use std::collections::{BTreeMap, BTreeSet};

use super::classic::event::ClassicEvent;
use super::event::GroupEvent;
use super::group::{Group, Membership};
use super::polling::event::PollingEvent;
use crate::ids::{GroupId, MemberId, TopicName};

/// By topic, the groups that name it ([`Group::names`]). It follows from the groups: it is not
/// written, and is made anew where they are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ByTopic(BTreeMap<TopicName, BTreeSet<GroupId>>);

impl ByTopic {
    /// Looks at all groups.
    pub(super) fn of<'a>(groups: impl Iterator<Item = (&'a GroupId, &'a Group)>) -> Self {
        let mut found = Self::default();
        for (id, group) in groups {
            for topic in group.topics() {
                found.set(topic, id, true);
            }
        }
        found
    }

    /// Says whether a group names a topic.
    pub(super) fn set(&mut self, topic: &TopicName, group: &GroupId, names: bool) {
        if names {
            self.0.entry(topic.clone()).or_default().insert(group.clone());
        } else if let Some(groups) = self.0.get_mut(topic) {
            groups.remove(group);
            if groups.is_empty() {
                self.0.remove(topic);
            }
        }
    }

    /// The groups that name a topic, in order.
    pub(super) fn groups(&self, topic: &TopicName) -> impl Iterator<Item = &GroupId> + use<'_> {
        self.0.get(topic).into_iter().flatten()
    }

    /// How many topics the groups name together.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

/// Whose topics an event may change.
pub(super) enum Readers<'a> {
    /// Nobody's.
    None,
    /// Those of a member of a polling group.
    Member(&'a MemberId),
    /// Perhaps everyone's.
    All,
}

impl GroupEvent {
    /// Whose topics it may change.
    pub(super) fn changes_topics_of(&self) -> Readers<'_> {
        match self {
            Self::Polling(PollingEvent::Subscribed { member, .. })
            | Self::MemberRemoved { member, .. } => Readers::Member(member),
            Self::Classic(ClassicEvent::JoinCompleted { .. } | ClassicEvent::Emptied { .. })
            | Self::Declared { .. }
            | Self::Removed => Readers::All,
            Self::Polling(
                PollingEvent::Reconciled { .. }
                | PollingEvent::Polled { .. }
                | PollingEvent::TopicDropped { .. },
            )
            | Self::Classic(
                // What it offers counts from the end of the join phase on.
                ClassicEvent::Joined { .. }
                | ClassicEvent::IdGiven { .. }
                | ClassicEvent::IdForgotten { .. }
                | ClassicEvent::RebalanceExtended { .. }
                | ClassicEvent::Given { .. }
                | ClassicEvent::SyncWaits { .. }
                | ClassicEvent::SyncFetched { .. },
            )
            | Self::SeatTaken { .. }
            | Self::SeatKept { .. }
            | Self::RebalanceStarted { .. }
            | Self::Assigned { .. }
            | Self::RebalanceCompleted { .. }
            | Self::Answered { .. } => Readers::None,
        }
    }
}

impl Group {
    /// Whether a member reads a topic, or an offset of it is committed.
    pub fn names(&self, topic: &TopicName) -> bool {
        self.subscribes_to(topic) || self.offsets.has(topic)
    }

    /// All that it names, some of it twice.
    fn topics(&self) -> impl Iterator<Item = &TopicName> {
        let (polling, classic) = (self.membership.polling(), self.membership.classic());
        let polling = polling.into_iter().flat_map(|polling| polling.subscribed.keys());
        let classic = classic.into_iter().flat_map(|classic| &classic.subscribed);
        polling.chain(classic).chain(self.offsets.iter().map(|(topic, _)| topic))
    }

    /// What readers name.
    pub(super) fn topics_of(&self, readers: &Readers<'_>) -> Vec<TopicName> {
        match (readers, &self.membership) {
            (Readers::None, _) => Vec::new(),
            (Readers::Member(member), Membership::Polling(polling)) => {
                polling.members.get(*member).map_or_else(Vec::new, |member| member.topics.clone())
            }
            (Readers::Member(_) | Readers::All, _) => self.topics().cloned().collect(),
        }
    }
}
