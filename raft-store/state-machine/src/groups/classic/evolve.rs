//! What events make of a classic group's members. Decides nothing.

use bytes::Bytes;

use super::command::{JoinInfo, Protocol};
use super::event::{ClassicEvent, InitialDelay};
use super::members::{Classic, DelayedKind, DelayedRequest, InitialWait, Phase};
use crate::command::RequestId;
use crate::groups::group::{Group, Membership};
use crate::groups::members::Members;
use crate::ids::{Generation, InstanceId, MemberId, Millis, ProtocolName};
use crate::values::{TopicPartitions, each};

impl Group {
    /// Makes a fact about its classic members true.
    pub(in crate::groups) fn evolve_classic(&mut self, event: &ClassicEvent, now_ms: Millis) {
        if let ClassicEvent::Joined { .. } | ClassicEvent::IdGiven { .. } = event
            && self.membership.classic().is_none()
        {
            self.membership = Membership::Classic(Classic::default());
        }
        let Membership::Classic(classic) = &mut self.membership else {
            panic!("only a classic group meets {event:?}");
        };
        match event {
            ClassicEvent::Joined { member, info, waits } => {
                classic.joined(member, info, waits.as_ref())
            }
            ClassicEvent::IdGiven { member, session_timeout_ms } => {
                classic.pending_join.insert(member.clone(), *session_timeout_ms);
            }
            ClassicEvent::IdForgotten { member, .. } => {
                classic.pending_join.remove(member);
            }
            ClassicEvent::RebalanceExtended { timeout_ms, initial } => {
                self.epoch += 1;
                classic.prepare(*timeout_ms, *initial);
            }
            ClassicEvent::JoinCompleted { generation, protocol, leader } => {
                self.generation = *generation;
                classic.join_completed(protocol, leader);
            }
            ClassicEvent::Emptied { generation } => {
                self.generation = *generation;
                self.emptied_ms = now_ms;
                let pending_join = std::mem::take(&mut classic.pending_join);
                *classic = Classic { pending_join, ..Classic::default() };
            }
            ClassicEvent::Given { assignments } => classic.given(assignments),
            ClassicEvent::SyncWaits { member, request_id } => {
                classic.sync_waits(member, *request_id)
            }
            ClassicEvent::SyncFetched { member } => {
                classic.pending_sync.remove(member);
            }
        }
    }
}

impl Classic {
    fn joined(&mut self, id: &MemberId, info: &JoinInfo, waits: Option<&Option<RequestId>>) {
        self.pending_join.remove(id);
        let is_new = !self.members.contains_key(id);
        let member = self.members.entry(id.clone()).or_default();
        member.is_new |= is_new;
        if is_new {
            member.instance_id.clone_from(&info.instance_id);
        }
        member.session_timeout_ms = info.session_timeout_ms;
        member.rebalance_timeout_ms = info.rebalance_timeout_ms;
        member.client.clone_from(&info.client);
        let before = if is_new { 0 } else { member.text() };
        let old = std::mem::replace(&mut member.protocols, info.protocols.clone());
        self.text = self.text - before + member.text();
        if let Some(request_id) = waits {
            member.delayed =
                Some(DelayedRequest { kind: DelayedKind::Join, request_id: *request_id });
            self.joining.insert(id.clone());
        }
        self.count_protocols(&old, &info.protocols);
        if let (true, Some(instance_id)) = (is_new, &info.instance_id) {
            self.instances.insert(instance_id.clone(), id.clone());
        }
        self.away.remove(id);
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        if let Phase::Preparing { initial: Some(initial), .. } = &mut self.phase {
            initial.joined |= is_new;
        }
    }

    fn count_protocols(&mut self, old: &[Protocol], new: &[Protocol]) {
        for protocol in new {
            *self.offered.entry(protocol.name.clone()).or_default() += 1;
        }
        for protocol in old {
            let members =
                self.offered.get_mut(&protocol.name).expect("what members offer is counted");
            *members -= 1;
            if *members == 0 {
                self.offered.remove(&protocol.name);
            }
        }
    }

    fn prepare(&mut self, timeout_ms: u32, initial: Option<InitialDelay>) {
        let initial = initial.map(|delay| InitialWait { delay, joined: false });
        self.phase = Phase::Preparing { timeout_ms, initial };
    }

    fn stop_syncs(&mut self) {
        self.pending_sync.clear();
        for member in self.members.values_mut() {
            if member.delayed.as_ref().is_some_and(|d| d.kind == DelayedKind::Sync) {
                member.delayed = None;
            }
        }
    }

    fn join_completed(&mut self, protocol: &ProtocolName, leader: &MemberId) {
        self.phase = Phase::Completing;
        self.sync_timeout_ms = self.rebalance_timeout_ms();
        self.protocol = Some(protocol.clone());
        self.leader = Some(leader.clone());
        self.joining.clear();
        self.owners.clear();
        self.pending_sync =
            self.members.keys().filter(|id| !self.away.contains(*id)).cloned().collect();
        for member in self.members.values_mut() {
            member.delayed = None;
            member.is_new = false;
            member.assignment.clear();
            member.given.clear();
        }
        let topics =
            self.members.values().filter_map(|m| m.protocol(protocol)).flat_map(|p| &p.topics);
        self.subscribed = topics.cloned().collect();
    }

    fn given(&mut self, assignments: &[(MemberId, Bytes)]) {
        for (id, given) in assignments {
            let member = self.members.get_mut(id).expect("only members are given something");
            member.given.clone_from(given);
        }
    }

    fn sync_waits(&mut self, id: &MemberId, request_id: Option<RequestId>) {
        let member = self.members.get_mut(id).expect("who syncs is there");
        member.delayed = Some(DelayedRequest { kind: DelayedKind::Sync, request_id });
        self.pending_sync.remove(id);
    }
}

impl Members for Classic {
    fn seat_taken(&mut self, instance_id: &InstanceId, from: &MemberId, to: &MemberId) {
        let mut member = self.members.remove(from).expect("a seat that is taken has a member");
        member.delayed = None;
        for partition in each(&member.assignment) {
            self.owners.insert(partition, to.clone());
        }
        self.members.insert(to.clone(), member);
        self.instances.insert(instance_id.clone(), to.clone());
        if self.leader.as_ref() == Some(from) {
            self.leader = Some(to.clone());
        }
        self.joining.remove(from);
        self.away.remove(from);
        if self.pending_sync.remove(from) {
            self.pending_sync.insert(to.clone());
        }
    }

    fn seat_kept(&mut self, id: &MemberId) {
        self.members.get_mut(id).expect("who goes was there").delayed = None;
        self.joining.remove(id);
        self.pending_sync.remove(id);
        self.away.insert(id.clone());
    }

    fn removed(&mut self, id: &MemberId) {
        let member = self.members.remove(id).expect("who goes was there");
        self.count_protocols(&member.protocols, &[]);
        self.text -= member.text();
        for partition in each(&member.assignment) {
            self.owners.remove(&partition);
        }
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        self.joining.remove(id);
        self.pending_sync.remove(id);
        self.away.remove(id);
        if self.leader.as_ref() == Some(id) {
            // Those that have joined come first, then whoever is left.
            self.leader = self.joining.first().or(self.members.keys().next()).cloned();
        }
    }

    fn rebalance_started(&mut self, timeout_ms: u32, initial: Option<InitialDelay>) {
        self.prepare(timeout_ms, initial);
        self.stop_syncs();
    }

    fn assigned(&mut self, _generation: Generation, targets: &[(MemberId, TopicPartitions)]) {
        self.phase = Phase::Stable;
        for (id, target) in targets {
            self.owners.extend(each(target).map(|p| (p, id.clone())));
            self.members
                .get_mut(id)
                .expect("targets are for members")
                .assignment
                .clone_from(target);
        }
        for member in self.members.values_mut() {
            member.delayed = None;
        }
        if let Some(leader) = &self.leader {
            self.pending_sync.remove(leader);
        }
    }

    /// Its assignment was the end.
    fn rebalance_completed(&mut self) {}
}
