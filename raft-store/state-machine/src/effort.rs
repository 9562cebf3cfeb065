//! How much work a request is, about, before it is done: so that a leader puts no more into one
//! round than is done in a moment, and everybody else's requests come to their turn.
//!
//! The unit is a *look* at one member, partition or group, some tenths of a microsecond. An
//! estimate may be wrong, and nothing but time depends on it. It has to grow with what makes a
//! request dear: members whose assignment has to be computed as a whole.

use std::collections::BTreeMap;

use crate::command::{Command, Query};
use crate::groups::command::{GroupCommand, GroupQuery};
use crate::groups::group::{Group, Membership};
use crate::groups::polling::command::PollingCommand;
use crate::ids::{GroupId, TopicName};
use crate::state::State;
use crate::topics::command::TopicCommand;
use crate::topics::topic::Topic;

/// What a request costs that looks at nothing but its own.
const PLAIN: u64 = 4;

/// What a change of a group costs that finds in the group's index what changes.
const CHANGE: u64 = 12;

/// Estimates the requests of one round, in their order.
#[derive(Debug)]
pub struct Effort<'a> {
    state: &'a State,
    /// The polling groups that change in this round.
    changed: BTreeMap<GroupId, Changed>,
}

/// A polling group as it will be by then.
#[derive(Debug)]
struct Changed {
    /// What all of its members read. `None`: they differ, so that whatever changes has everything
    /// computed.
    topics: Option<Vec<TopicName>>,
    members: u64,
    /// What a computation of everything costs, without those that come in this round.
    all: u64,
    /// How many polls end an eager rebalance.
    polls: u64,
}

impl Changed {
    fn of(group: Option<&Group>) -> Self {
        let polling = group.and_then(|group| group.membership.polling());
        let Some(polling) = polling.filter(|polling| !polling.members.is_empty()) else {
            return Self { topics: None, members: 0, all: 0, polls: 1 };
        };
        let alike = polling.is_alike().then(|| polling.subscribed.keys().cloned().collect());
        let all = polling.members.len() as u64 + polling.partitions();
        let polls = if polling.is_cooperative() { u64::MAX } else { polling.holders().max(1) };
        Self { topics: alike, members: polling.members.len() as u64, all, polls }
    }

    /// What a change of it costs.
    fn change(&self) -> u64 {
        if self.topics.is_some() { CHANGE } else { CHANGE + self.members + self.all }
    }
}

impl<'a> Effort<'a> {
    /// Of a round that finds the state like this.
    pub fn new(state: &'a State) -> Self {
        Self { state, changed: BTreeMap::new() }
    }

    /// How many looks the next command takes.
    pub fn of_command(&mut self, command: &Command) -> u64 {
        match command {
            Command::Group(GroupCommand::Polling(command)) => self.of_polling(command),
            Command::Group(
                GroupCommand::Expire { group, .. } | GroupCommand::ExpireNow { group, .. },
            ) => match self.state.group(group).map(|group| &group.membership) {
                Some(Membership::Polling(_)) => self.changed(group).change(),
                _ => PLAIN,
            },
            Command::Topic(
                TopicCommand::Produce { .. }
                | TopicCommand::Append { .. }
                | TopicCommand::Configure { .. }
                | TopicCommand::Trim { .. },
            ) => PLAIN,
            Command::Topic(TopicCommand::Retain(_) | TopicCommand::ForgetProducers { .. }) => {
                let partitions = |(_, topic): (_, &Topic)| u64::from(topic.partition_count());
                PLAIN + self.state.topics().map(partitions).sum::<u64>()
            }
            Command::Topic(
                TopicCommand::Create { topic, .. }
                | TopicCommand::Grow { topic, .. }
                | TopicCommand::Delete { topic },
            ) => PLAIN + self.concerned(topic),
            Command::Group(_)
            | Command::KeyedLog(_)
            | Command::Register(_)
            | Command::Offset(_)
            | Command::Producer(_)
            | Command::NewCoordinator { .. }
            | Command::AdvanceClock { .. } => PLAIN,
        }
    }

    /// How many looks the next read takes.
    pub fn of_query(&self, query: &Query) -> u64 {
        match query {
            Query::Group(GroupQuery::List) => PLAIN + self.state.groups().len() as u64,
            Query::Group(GroupQuery::Describe { group }) => {
                // Most of it is putting it into words.
                PLAIN + self.state.group(group).map_or(0, |group| 4 * looks(group))
            }
            Query::Group(_)
            | Query::Topic(_)
            | Query::KeyedLog(_)
            | Query::Register(_)
            | Query::Offset(_) => PLAIN,
        }
    }

    fn of_polling(&mut self, command: &PollingCommand) -> u64 {
        match command {
            PollingCommand::Subscribe { group, subscription, .. } => {
                let changed = self.changed(group);
                if changed.members == 0 {
                    changed.topics = Some(subscription.topics.clone());
                } else if changed.topics.as_ref() != Some(&subscription.topics) {
                    changed.topics = None;
                }
                changed.members += 1;
                changed.change()
            }
            PollingCommand::Unsubscribe { group, .. } => self.changed(group).change(),
            // It may be one of those that end a rebalance.
            PollingCommand::Poll { group, .. } => {
                let ends = |changed: &Changed| (changed.members + changed.all) / changed.polls;
                let known = self.changed.get(group).map(ends);
                let rebalances = |group: &Group| {
                    group.membership.polling().is_some_and(|polling| polling.rebalance.is_some())
                };
                let found = || self.state.group(group).filter(|group| rebalances(group));
                let ends = known.or_else(|| found().map(|group| ends(&Changed::of(Some(group)))));
                PLAIN + ends.unwrap_or(0)
            }
            PollingCommand::Heartbeat { .. } => PLAIN,
        }
    }

    fn changed(&mut self, id: &GroupId) -> &mut Changed {
        if !self.changed.contains_key(id) {
            self.changed.insert(id.clone(), Changed::of(self.state.group(id)));
        }
        self.changed.get_mut(id).expect("was put there")
    }

    /// A topic's change is looked at by all members of the groups that name it.
    fn concerned(&self, topic: &TopicName) -> u64 {
        self.state.groups_of_topic(topic).map(|(_, group)| 1 + members(group)).sum()
    }
}

fn members(group: &Group) -> u64 {
    let members = match &group.membership {
        Membership::Simple => 0,
        Membership::Declared(declared) => declared.assignments.len(),
        Membership::Polling(polling) => polling.members.len(),
        Membership::Classic(classic) => classic.members.len(),
    };
    members as u64
}

/// The members, and the partitions that they are told or have committed.
fn looks(group: &Group) -> u64 {
    let partitions = match &group.membership {
        Membership::Simple => 0,
        Membership::Declared(declared) => {
            declared.assignments.values().map(Vec::len).sum::<usize>() as u64
        }
        Membership::Polling(polling) => polling.partitions(),
        Membership::Classic(classic) => classic.owners.len() as u64,
    };
    members(group) + partitions
}

#[cfg(test)]
mod tests {
    use super::{CHANGE, Effort, PLAIN};
    use crate::command::{Batch, Command, Query, Write};
    use crate::groups::command::GroupQuery;
    use crate::groups::polling::command::{PollingCommand, Subscription};
    use crate::ids::TopicName;
    use crate::state::State;
    use crate::topics::command::{Retention, TopicCommand};

    fn subscribe(member: u64, topics: &[&str], strategy: &str) -> Command {
        let subscription = Subscription {
            topics: topics.iter().map(|topic| TopicName::from(*topic)).collect(),
            strategy: strategy.into(),
            instance_id: None,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
        };
        let member = format!("c{member}").into();
        PollingCommand::Subscribe { group: "g".into(), member, subscription }.into()
    }

    fn poll(member: u64) -> Command {
        let member = format!("c{member}").into();
        PollingCommand::Poll { group: "g".into(), member, max_messages: 1 }.into()
    }

    fn apply(state: &mut State, command: Command) {
        state.begin(&Batch::default());
        state.apply(&Write { request_id: None, command }, None).expect("done");
    }

    #[test]
    fn who_reads_what_all_read_is_cheap_and_who_does_not_costs_a_look_at_everyone() {
        let mut state = State::default();
        let mut effort = Effort::new(&state);
        let of = |effort: &mut Effort<'_>, member, topics: &[&str]| {
            effort.of_command(&subscribe(member, topics, "cooperative-sticky"))
        };
        assert_eq!([0, 1].map(|i| of(&mut effort, i, &["t"])), [CHANGE; 2], "a new group");
        assert_eq!(of(&mut effort, 2, &["u"]), CHANGE + 3);
        assert_eq!(of(&mut effort, 3, &["u"]), CHANGE + 4, "and so do all after it");
        for member in 0..100 {
            apply(&mut state, subscribe(member, &["t"], "cooperative-sticky"));
        }
        let mut effort = Effort::new(&state);
        assert_eq!([100, 101].map(|i| of(&mut effort, i, &["t"])), [CHANGE; 2]);
        assert_eq!(of(&mut effort, 102, &["u"]), CHANGE + 103 + 100);
        let topic = TopicCommand::create("t", 7);
        assert_eq!(effort.of_command(&topic.clone().into()), PLAIN + 101);
        let other = TopicCommand::create("u", 7);
        assert_eq!(effort.of_command(&other.into()), PLAIN, "nobody reads it");
        apply(&mut state, topic.into());
        let trim = TopicCommand::Trim { topic: "t".into(), partition: 0, before: 0 };
        let retain = TopicCommand::Retain(Retention::default());
        let mut effort = Effort::new(&state);
        assert_eq!(effort.of_command(&trim.into()), PLAIN, "no group notices");
        assert_eq!(effort.of_command(&retain.into()), PLAIN + 7, "each partition is looked at");
        let describe: Query = GroupQuery::Describe { group: "g".into() }.into();
        assert_eq!(Effort::new(&state).of_query(&describe), PLAIN + 4 * 107);
    }

    #[test]
    fn a_poll_that_may_end_an_eager_rebalance_costs_its_part_of_the_computation() {
        let mut state = State::default();
        apply(&mut state, TopicCommand::create("t", 10).into());
        apply(&mut state, subscribe(0, &["t"], "range"));
        assert_eq!(Effort::new(&state).of_command(&poll(0)), PLAIN, "nothing is under way");
        for member in 1..50 {
            apply(&mut state, subscribe(member, &["t"], "range"));
        }
        let mut effort = Effort::new(&state);
        assert_eq!(effort.of_command(&poll(0)), PLAIN + 50 + 60, "the only one that holds any");
        for member in 0..50 {
            apply(&mut state, poll(member));
        }
        let mut effort = Effort::new(&state);
        assert_eq!(effort.of_command(&poll(0)), PLAIN);
        assert_eq!(effort.of_command(&subscribe(50, &["t"], "range")), CHANGE);
        assert_eq!(effort.of_command(&poll(0)), PLAIN + (51 + 60) / 10, "ten hold some");
    }
}
