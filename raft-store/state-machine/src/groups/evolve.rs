//! What events make of a group. Decides nothing; the kinds' own parts are in their folders.

use super::event::GroupEvent;
use super::{Classic, Declared, Group, HOUR_MS, MAX_RECENT_REBALANCES, Membership, Polling};
use crate::ids::Millis;

impl Group {
    pub(crate) fn evolve(&mut self, event: &GroupEvent, now_ms: Millis) {
        match event {
            GroupEvent::Declared { strategy, topic, assignments } => {
                self.generation = self.generation.next();
                self.emptied_ms = now_ms;
                self.membership = Membership::Declared(Declared {
                    strategy: strategy.clone(),
                    topic: topic.clone(),
                    assignments: assignments.iter().cloned().collect(),
                });
            }
            GroupEvent::Subscribed { member, subscription } => {
                let generation = self.generation;
                if self.membership.polling().is_none() {
                    self.membership = Membership::Polling(Polling::default());
                }
                self.thin_mut().subscribed(member, subscription, generation);
            }
            GroupEvent::Joined { member, info, waits } => {
                if self.membership.classic().is_none() {
                    self.membership = Membership::Classic(Classic::default());
                }
                self.classic_mut().joined(member, info, waits.as_ref());
            }
            GroupEvent::SeatTaken { instance_id, from, to } => match &mut self.membership {
                Membership::Polling(polling) => polling.seat_taken(instance_id, from, to),
                Membership::Classic(classic) => classic.seat_taken(instance_id, from, to),
                Membership::Simple | Membership::Declared(_) => {
                    unreachable!("{event:?} without members")
                }
            },
            GroupEvent::SeatKept { member } => match &mut self.membership {
                Membership::Polling(polling) => polling.seat_kept(member),
                Membership::Classic(classic) => classic.seat_kept(member),
                Membership::Simple | Membership::Declared(_) => {
                    unreachable!("{event:?} without members")
                }
            },
            GroupEvent::MemberRemoved { member, .. } => {
                match &mut self.membership {
                    Membership::Polling(polling) => polling.removed(member),
                    Membership::Classic(classic) => classic.removed(member),
                    Membership::Simple | Membership::Declared(_) => {
                        unreachable!("{event:?} without members")
                    }
                }
                if !self.has_members() {
                    self.emptied_ms = now_ms;
                }
            }
            GroupEvent::RebalanceStarted { timeout_ms, initial, .. } => {
                self.epoch += 1;
                match &mut self.membership {
                    Membership::Polling(polling) => polling.rebalance_started(*timeout_ms),
                    Membership::Classic(classic) => classic.rebalance_started(*timeout_ms, *initial),
                    Membership::Simple | Membership::Declared(_) => {
                        unreachable!("{event:?} without members")
                    }
                }
            }
            GroupEvent::RebalanceExtended { timeout_ms, initial } => {
                self.epoch += 1;
                self.classic_mut().rebalance_extended(*timeout_ms, *initial);
            }
            GroupEvent::JoinCompleted { generation, protocol, leader } => {
                self.generation = *generation;
                self.classic_mut().join_completed(protocol, leader);
            }
            GroupEvent::Emptied { generation } => {
                self.generation = *generation;
                self.emptied_ms = now_ms;
                self.classic_mut().emptied();
            }
            GroupEvent::SyncWaits { member, request_id } => {
                self.classic_mut().sync_waits(member, *request_id)
            }
            GroupEvent::SyncFetched { member } => self.classic_mut().sync_fetched(member),
            GroupEvent::Assigned { generation, targets } => {
                self.generation = *generation;
                match &mut self.membership {
                    Membership::Polling(polling) => polling.assigned(*generation, targets),
                    Membership::Classic(classic) => classic.assigned(targets),
                    Membership::Simple | Membership::Declared(_) => {
                        unreachable!("{event:?} without members")
                    }
                }
            }
            GroupEvent::Reconciled { member, generation, revoked, assigned } => {
                let current = self.generation;
                self.thin_mut().reconciled(member, *generation, current, revoked, assigned);
            }
            GroupEvent::RebalanceCompleted { .. } => {
                self.rebalances += 1;
                let old = self.recent_rebalances.partition_point(|at| at + HOUR_MS < now_ms);
                let surplus = (self.recent_rebalances.len() + 1).saturating_sub(MAX_RECENT_REBALANCES);
                self.recent_rebalances.drain(..old.max(surplus));
                self.recent_rebalances.push(now_ms);
                if let Membership::Polling(polling) = &mut self.membership {
                    polling.rebalance = None;
                }
            }
            GroupEvent::Polled { member, spans } => self.thin_mut().polled(member, spans),
            GroupEvent::TopicDropped { topic } => {
                let current = self.generation;
                self.thin_mut().topic_dropped(topic, current);
            }
            // It is the state's memory of requests that changes.
            GroupEvent::Answered { .. } => {}
            GroupEvent::Removed => unreachable!("the state removes the group"),
        }
    }

    /// Polling consumers read on from their committed offsets.
    pub(crate) fn forget_positions(&mut self) {
        self.thin_mut().forget_positions();
    }

    fn thin_mut(&mut self) -> &mut Polling {
        match &mut self.membership {
            Membership::Polling(polling) => polling,
            Membership::Simple | Membership::Declared(_) | Membership::Classic(_) => {
                unreachable!("a thin group's event in a group of another kind")
            }
        }
    }

    fn classic_mut(&mut self) -> &mut Classic {
        match &mut self.membership {
            Membership::Classic(classic) => classic,
            Membership::Simple | Membership::Declared(_) | Membership::Polling(_) => {
                unreachable!("a classic group's event in a group of another kind")
            }
        }
    }
}
