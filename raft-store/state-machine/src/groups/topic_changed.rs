//! A topic was made, grew or was removed: the groups that read it have to rebalance.

use super::event::RebalanceReason;
use super::group::Membership;
use super::{classic, polling};
use crate::ids::{GroupId, TopicName};
use crate::transition::Transition;

pub(crate) fn topic_changed(tx: &mut Transition<'_>, topic: &TopicName) {
    let named = tx.state().groups_of_topic(topic);
    let readers = named.filter(|(_, group)| group.subscribes_to(topic));
    let readers: Vec<GroupId> = readers.map(|(id, _)| id.clone()).collect();
    for id in readers {
        let reason = RebalanceReason::TopicChanged(topic.clone());
        match &tx.state().group(&id).expect("was found").membership {
            Membership::Simple | Membership::Declared(_) => {}
            Membership::Polling(_) => {
                polling::rebalance::topic_changed(tx, &id, topic);
                polling::rebalance::trigger(tx, &id, reason);
            }
            // Clients of Kafka's own protocol look at topics themselves.
            Membership::Classic(classic) if classic.protocol_type().is_some() => {}
            Membership::Classic(_) => classic::rebalance::trigger(tx, &id, reason),
        }
    }
}
