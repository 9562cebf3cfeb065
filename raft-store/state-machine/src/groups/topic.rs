//! A topic was made, grew or was removed: the groups that read it have to rebalance.

use super::event::{GroupEvent, RebalanceReason};
use super::{Membership, classic, emit, polling};
use crate::apply::Transition;
use crate::ids::{GroupId, TopicName};

pub(crate) fn topic_changed(tx: &mut Transition<'_>, topic: &TopicName) {
    let readers = tx.state().groups().filter(|(_, group)| group.subscribes_to(topic));
    let readers: Vec<GroupId> = readers.map(|(id, _)| id.clone()).collect();
    let is_gone = tx.state().topic(topic).is_none();
    for id in readers {
        let reason = RebalanceReason::TopicChanged(topic.clone());
        match &tx.state().group(&id).expect("was found").membership {
            Membership::Simple | Membership::Declared(_) => {}
            Membership::Polling(_) => {
                if is_gone {
                    emit(tx, &id, GroupEvent::TopicDropped { topic: topic.clone() });
                }
                polling::rebalance::trigger(tx, &id, reason);
            }
            Membership::Classic(_) => classic::rebalance::trigger(tx, &id, reason),
        }
    }
}
