//! The targets of polling groups, so that a trace can show all of them where an event has only
//! those that changed.

use std::collections::BTreeMap;

use state_machine::State;
use state_machine::event::Event;
use state_machine::groups::event::GroupEvent;
use state_machine::groups::polling::event::PollingEvent;
use state_machine::ids::{GroupId, MemberId};
use state_machine::values::TopicPartitions;

/// The target of each member of each polling group.
#[derive(Debug, PartialEq, Eq)]
pub struct Targets(BTreeMap<GroupId, BTreeMap<MemberId, TopicPartitions>>);

impl Targets {
    pub fn of(state: &State) -> Self {
        let groups = state.groups().filter_map(|(id, group)| {
            let members = group.membership.polling()?.members.iter();
            let targets = members.map(|(id, member)| (id.clone(), member.target.clone()));
            Some((id.clone(), targets.collect()))
        });
        Self(groups.collect())
    }

    /// Follows an event. One that tells new targets has those of all members then.
    pub fn complete(&mut self, event: &mut Event) {
        let Event::Group { group, event } = event else { return };
        if let GroupEvent::Polling(PollingEvent::Subscribed { member, .. }) = event {
            self.0.entry(group.clone()).or_default().entry(member.clone()).or_default();
        }
        let Some(members) = self.0.get_mut(group) else { return };
        match event {
            GroupEvent::Polling(PollingEvent::TopicDropped { topic }) => {
                members.values_mut().for_each(|target| target.retain(|(name, _)| name != topic));
            }
            GroupEvent::SeatTaken { from, to, .. } => {
                if let Some(target) = members.remove(from) {
                    members.insert(to.clone(), target);
                }
            }
            GroupEvent::MemberRemoved { member, .. } => drop(members.remove(member)),
            GroupEvent::Assigned { targets, .. } => {
                members.extend(targets.drain(..));
                *targets = members.clone().into_iter().collect();
            }
            GroupEvent::Classic(_) | GroupEvent::Declared { .. } | GroupEvent::Removed => {
                self.0.remove(group);
            }
            _ => {}
        }
    }
}
