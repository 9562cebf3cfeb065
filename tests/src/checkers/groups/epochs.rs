//! Groups of KIP-848 as their members saw them: who heartbeats under which epoch, what each was
//! told, and which partitions it owned by its own view.
//!
//! The third way to be a member, beside thin and classic ones ([`view`](super::view)): there is one
//! request for everything, each member has an epoch of its own, and the broker assigns. Owns the
//! reading of their heartbeats ([`EpochGroup`]); does not know what makes a group right.
//!
//! A member owns a partition from the answer that assigned it until it sends a heartbeat without it
//! in `owned` (null means: as before), leaves, joins anew, or is told that it is out. It owns it
//! for certain only as long as the broker may not throw it out: for the session from its last
//! accepted heartbeat, and for the rebalance time-out from the last one after which it had nothing
//! to give up. A heartbeat that nobody answered may act later; so nothing begins until it cannot
//! any more.

use std::collections::BTreeMap;

use serde_json::Value;

use super::overlapping_ownership::Tenure;
use super::view::{Assignment, Partition, assignment};
use crate::checkers::clock::{late_until, ms, skewed};
use crate::checkers::logs::name;
use crate::checkers::wire::stale_since;
use crate::history::{History, Micros, Op, Outcome};

/// The request of their members.
const HEARTBEAT: &str = "consumer_heartbeat";

/// Why a predicate says nothing of these groups.
pub const NOT_OF_EPOCHS: &str =
    "all groups follow KIP-848, where each member has an epoch of its own: not judged of them";

/// A group whose members follow KIP-848.
#[derive(Debug)]
pub struct EpochGroup<'h> {
    /// Its name.
    pub name: &'h str,
    /// Its members by their id.
    pub members: BTreeMap<&'h str, Member<'h>>,
    session: Option<Micros>,
    rebalance: Option<Micros>,
}

/// A member of such a group.
#[derive(Debug, Default)]
pub struct Member<'h> {
    /// Its heartbeats in the order of invocation.
    pub beats: Vec<&'h Op>,
    /// Its commits in the order of invocation.
    pub commits: Vec<&'h Op>,
}

/// What a member knew after an answered heartbeat.
#[derive(Debug, Clone)]
pub struct State<'h> {
    /// The heartbeat.
    pub op: &'h Op,
    /// When it was answered.
    pub since: Micros,
    /// Its epoch; below 0 it has left.
    pub epoch: i64,
    /// What it was told last to own; `None` where an answer was lost since.
    pub told: Option<Assignment>,
    /// What it said last that it owns.
    pub said: Assignment,
    /// Until then the broker may not throw it out, where the time-outs are known.
    pub lives_until: Option<Micros>,
}

impl State<'_> {
    /// Whether it had nothing left to give up.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.told.as_ref().is_some_and(|told| self.said.is_subset(told))
    }
}

/// The epoch that a request names.
#[must_use]
pub fn epoch(op: &Op) -> Option<i64> {
    let named = op.args.get("member_epoch").or(op.args.get("generation"));
    named.and_then(Value::as_i64)
}

/// Whether an answer is that of the coordinator in office. One that was cut off or stopped, and
/// replaced meanwhile, may accept a heartbeat that changes nothing, for that is written nowhere.
#[must_use]
pub fn in_office(history: &History, op: &Op) -> bool {
    let told = op.result.as_ref().and_then(|told| told.get("member_epoch")?.as_i64());
    history.header.nodes.len() == 1
        || stale_since(history, op) == op.invoke_us
        || told.is_some_and(|told| Some(told) != epoch(op))
}

impl<'h> EpochGroup<'h> {
    /// The group of these operations, if any is a heartbeat of KIP-848.
    #[must_use]
    pub fn of(name_of_group: &'h str, ops: &[&'h Op], history: &'h History) -> Option<Self> {
        let mut members: BTreeMap<&str, Member<'h>> = BTreeMap::new();
        if ops.iter().all(|op| op.f != HEARTBEAT) {
            return None;
        }
        for op in ops {
            let told = || op.result.as_ref().and_then(|told| name(told, "member_id"));
            let Some(id) = name(&op.args, "member_id").or_else(told) else { continue };
            match op.f.as_str() {
                HEARTBEAT => members.entry(id).or_default().beats.push(op),
                "commit_offset" => members.entry(id).or_default().commits.push(op),
                _ => {}
            }
        }
        for member in members.values_mut() {
            member.beats.sort_by_key(|op| (op.invoke_us, op.id));
            member.commits.sort_by_key(|op| (op.invoke_us, op.id));
        }
        let config = |field: &str| history.header.config.get(field).and_then(Value::as_u64);
        let known = !skewed(history);
        let session = config("consumer_session_timeout_ms").filter(|_| known).map(ms);
        let rebalance = config("rebalance_timeout_ms").map(ms);
        Some(Self { name: name_of_group, members, session, rebalance })
    }

    /// What each of a member's answered heartbeats left it with.
    #[must_use]
    pub fn states(&self, history: &'h History, member: &str) -> Vec<State<'h>> {
        let mut states = Vec::new();
        self.follow(history, member, &mut states, &mut |_, _| {});
        states
    }

    /// When each partition was certainly owned by whom.
    #[must_use]
    pub fn tenures(&self, history: &'h History) -> BTreeMap<Partition, Vec<Tenure<'h>>> {
        let mut tenures: BTreeMap<Partition, Vec<Tenure<'h>>> = BTreeMap::new();
        for member in self.members.keys() {
            self.follow(history, member, &mut Vec::new(), &mut |partition, tenure| {
                tenures.entry(partition).or_default().push(tenure);
            });
        }
        tenures
    }

    fn follow(
        &self,
        history: &'h History,
        id: &str,
        states: &mut Vec<State<'h>>,
        tell: &mut dyn FnMut(Partition, Tenure<'h>),
    ) {
        let Some((id, member)) = self.members.get_key_value(id) else { return };
        let mut follower = Follower::new(id, self.session, self.rebalance);
        for (at, op) in member.beats.iter().enumerate() {
            follower.sent(op, tell);
            // What was not waited for may be answered in any order.
            let next = member.beats.get(at + 1);
            let waited = next.is_none_or(|next| op.complete_us <= Some(next.invoke_us));
            match op.outcome {
                Outcome::Ok if waited => states.extend(follower.accepted(history, op)),
                Outcome::Fail if waited => follower.refused(op, tell),
                _ => follower.lost(history, op),
            }
        }
        follower.close(Micros::MAX, |_| true, tell);
    }
}

/// A partition that is owned.
#[derive(Debug, Clone, Copy)]
struct Open {
    begins: Micros,
    epoch: i64,
    first: u64,
}

/// One member, followed through its heartbeats.
struct Follower<'h> {
    id: &'h str,
    session: Option<Micros>,
    rebalance: Option<Micros>,
    epoch: i64,
    told: Option<Assignment>,
    said: Assignment,
    open: BTreeMap<Partition, Open>,
    /// The last heartbeat that was certainly accepted by the coordinator in office.
    proof: Option<&'h Op>,
    /// When the last one was sent after which there was nothing to give up.
    clean: Option<Micros>,
    /// Until then a heartbeat without an answer may act.
    late: Micros,
}

impl<'h> Follower<'h> {
    fn new(id: &'h str, session: Option<Micros>, rebalance: Option<Micros>) -> Self {
        Self {
            id,
            session,
            rebalance,
            epoch: 0,
            told: None,
            said: Assignment::new(),
            open: BTreeMap::new(),
            proof: None,
            clean: None,
            late: 0,
        }
    }

    fn sent(&mut self, op: &'h Op, tell: &mut dyn FnMut(Partition, Tenure<'h>)) {
        let owned = op.args.get("owned").and_then(assignment);
        if epoch(op).is_none_or(|epoch| epoch <= 0) {
            self.close(op.invoke_us, |_| true, tell);
            self.said = owned.unwrap_or_default();
            (self.told, self.clean) = (None, None);
            return;
        }
        if let Some(owned) = owned {
            self.said = owned;
        }
        let said = self.said.clone();
        self.close(op.invoke_us, |partition| !said.contains(partition), tell);
    }

    fn accepted(&mut self, history: &'h History, op: &'h Op) -> Option<State<'h>> {
        let (result, since) = (op.result.as_ref()?, op.complete_us?);
        self.epoch = result.get("member_epoch").and_then(Value::as_i64)?;
        if let Some(told) = result.get("assignment").and_then(assignment) {
            self.told = Some(told);
        }
        if let Some(given) = op.args.get("rebalance_timeout_ms").and_then(Value::as_u64) {
            self.rebalance = Some(ms(given));
        }
        if self.epoch < 0 {
            self.told = None;
        }
        let state = State {
            op,
            since,
            epoch: self.epoch,
            told: self.told.clone(),
            said: self.said.clone(),
            lives_until: None,
        };
        if !in_office(history, op) {
            return Some(state);
        }
        self.proof = Some(op);
        if state.is_clean() {
            self.clean = Some(op.invoke_us);
        }
        for partition in self.told.iter().flatten().filter(|_| since > self.late) {
            let open = Open { begins: since, epoch: self.epoch, first: op.id };
            self.open.entry(partition.clone()).or_insert(open);
        }
        Some(State { lives_until: self.lives_until(), ..state })
    }

    fn refused(&mut self, op: &'h Op, tell: &mut dyn FnMut(Partition, Tenure<'h>)) {
        // The next answer that leaves the assignment out may leave out another one.
        self.told = None;
        let is_out =
            matches!(op.error.as_deref(), Some("FENCED_MEMBER_EPOCH" | "UNKNOWN_MEMBER_ID"));
        if is_out {
            self.close(op.complete_us.unwrap_or(op.invoke_us), |_| true, tell);
        }
    }

    fn lost(&mut self, history: &History, op: &Op) {
        self.told = None;
        self.late = self.late.max(late_until(history, op));
    }

    fn lives_until(&self) -> Option<Micros> {
        let (session, rebalance) = self.session.zip(self.rebalance)?;
        let (proof, clean) = (self.proof?.invoke_us, self.clean?);
        Some(proof.saturating_add(session).min(clean.saturating_add(rebalance)))
    }

    /// Ends the ownership of partitions.
    fn close(
        &mut self,
        at: Micros,
        which: impl Fn(&Partition) -> bool,
        tell: &mut dyn FnMut(Partition, Tenure<'h>),
    ) {
        let Some(proof) = self.proof else { return };
        let until = self.lives_until().unwrap_or(0).max(proof.invoke_us).min(at);
        let gone: Vec<Partition> = self.open.keys().filter(|open| which(open)).cloned().collect();
        for partition in gone {
            let Some(open) = self.open.remove(&partition) else { continue };
            let (first, last) = (open.first, proof.id);
            let (begins, generation) = (open.begins, open.epoch);
            let tenure = Tenure { member: self.id, generation, begins, ends: until, first, last };
            tell(partition, tenure);
        }
    }
}
