//! What events make of a classic group's members. Decides nothing.

use super::{Classic, InitialWait, Phase, WaitingRequest, Waits};
use crate::command::{Protocol, RequestId};
use crate::groups::event::{InitialDelay, JoinInfo};
use crate::groups::polling::each;
use crate::ids::{InstanceId, MemberId, ProtocolName};
use crate::reply::TopicPartitions;

impl Classic {
    pub(in crate::groups) fn joined(
        &mut self,
        id: &MemberId,
        info: &JoinInfo,
        waits: Option<&Option<RequestId>>,
    ) {
        let is_new = !self.members.contains_key(id);
        let member = self.members.entry(id.clone()).or_default();
        member.is_new |= is_new;
        if is_new {
            member.instance_id.clone_from(&info.instance_id);
        }
        member.session_timeout_ms = info.session_timeout_ms;
        member.rebalance_timeout_ms = info.rebalance_timeout_ms;
        let old = std::mem::replace(&mut member.protocols, info.protocols.clone());
        if let Some(request_id) = waits {
            member.waits = Some(Waits { request: WaitingRequest::Join, request_id: *request_id });
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
            let members = self.offered.get_mut(&protocol.name).expect("what members offer is counted");
            *members -= 1;
            if *members == 0 {
                self.offered.remove(&protocol.name);
            }
        }
    }

    pub(in crate::groups) fn seat_taken(&mut self, instance_id: &InstanceId, from: &MemberId, to: &MemberId) {
        let mut member = self.members.remove(from).expect("a seat that is taken has a member");
        member.waits = None;
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

    pub(in crate::groups) fn seat_kept(&mut self, id: &MemberId) {
        self.members.get_mut(id).expect("who goes was there").waits = None;
        self.joining.remove(id);
        self.pending_sync.remove(id);
        self.away.insert(id.clone());
    }

    pub(in crate::groups) fn removed(&mut self, id: &MemberId) {
        let member = self.members.remove(id).expect("who goes was there");
        self.count_protocols(&member.protocols, &[]);
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

    pub(in crate::groups) fn rebalance_started(&mut self, timeout_ms: u32, initial: Option<InitialDelay>) {
        let initial = initial.map(|delay| InitialWait { delay, joined: false });
        self.phase = Phase::Preparing { timeout_ms, initial };
        self.stop_syncs();
    }

    pub(in crate::groups) fn rebalance_extended(&mut self, timeout_ms: u32, initial: Option<InitialDelay>) {
        let initial = initial.map(|delay| InitialWait { delay, joined: false });
        self.phase = Phase::Preparing { timeout_ms, initial };
    }

    fn stop_syncs(&mut self) {
        self.pending_sync.clear();
        for member in self.members.values_mut() {
            if member.waits.as_ref().is_some_and(|w| w.request == WaitingRequest::Sync) {
                member.waits = None;
            }
        }
    }

    pub(in crate::groups) fn join_completed(&mut self, protocol: &ProtocolName, leader: &MemberId) {
        self.phase = Phase::Completing;
        self.sync_timeout_ms = self.rebalance_timeout_ms();
        self.protocol = Some(protocol.clone());
        self.leader = Some(leader.clone());
        self.joining.clear();
        self.owners.clear();
        self.pending_sync = self.members.keys().filter(|id| !self.away.contains(*id)).cloned().collect();
        for member in self.members.values_mut() {
            member.waits = None;
            member.is_new = false;
            member.assignment.clear();
        }
        let topics = self.members.values().filter_map(|m| m.protocol(protocol)).flat_map(|p| &p.topics);
        self.subscribed = topics.cloned().collect();
    }

    pub(in crate::groups) fn emptied(&mut self) {
        *self = Self::default();
    }

    pub(in crate::groups) fn sync_waits(&mut self, id: &MemberId, request_id: Option<RequestId>) {
        let member = self.members.get_mut(id).expect("who syncs is there");
        member.waits = Some(Waits { request: WaitingRequest::Sync, request_id });
        self.pending_sync.remove(id);
    }

    pub(in crate::groups) fn sync_fetched(&mut self, id: &MemberId) {
        self.pending_sync.remove(id);
    }

    pub(in crate::groups) fn assigned(&mut self, targets: &[(MemberId, TopicPartitions)]) {
        self.phase = Phase::Stable;
        for (id, target) in targets {
            self.owners.extend(each(target).map(|p| (p, id.clone())));
            self.members.get_mut(id).expect("targets are for members").assignment.clone_from(target);
        }
        for member in self.members.values_mut() {
            member.waits = None;
        }
        if let Some(leader) = &self.leader {
            self.pending_sync.remove(leader);
        }
    }
}
