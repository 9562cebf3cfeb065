//! What each node is doing: waiting to be started, running, paused, dead, gone.
//!
//! Owns the state of every node and the time that it was kept from running, which its clients'
//! patience must not count.

use crate::history::Micros;
use crate::targets::Action;

/// What a node is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Not started yet, or not again.
    #[default]
    Waiting,
    /// Started, `init` sent but not answered.
    Starting,
    /// Answers requests.
    Running,
    /// Its input was closed.
    Closing,
    /// Crashed by the arena, which will start it again.
    Down,
    /// Killed by the arena, for good.
    Killed,
    /// Ended by itself.
    Exited,
}

/// A node's process may end of a disk fault so long after the fault: a sync may be under way.
const LAST_SYNC_US: Micros = 6_000_000;

/// What is wrong with a node's disk, or was.
#[derive(Debug, Clone, Copy)]
struct DiskTrouble {
    /// When it ends.
    until_us: Micros,
    /// Whether it is over.
    mended: bool,
    /// Whether the node may end because of it.
    may_end: bool,
}

#[derive(Debug, Clone, Default)]
struct Node {
    state: State,
    disk: Option<DiskTrouble>,
    /// A bit of its disk has turned round at some time, so it may refuse to start.
    rotten: bool,
    /// It answered requests at some time.
    has_run: bool,
    /// How many faults keep it from running at present.
    pauses: u32,
    /// Spans in which it stood still; the last one may be open.
    stood: Vec<(Micros, Option<Micros>)>,
}

/// All nodes.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
}

impl Nodes {
    /// All waiting to be started.
    pub fn new(nodes: usize) -> Self {
        Self { nodes: vec![Node::default(); nodes] }
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// What the node is doing.
    pub fn state(&self, node: usize) -> State {
        self.nodes[node].state
    }

    /// Moves a node on.
    pub fn set(&mut self, node: usize, state: State) {
        let changed = &mut self.nodes[node];
        changed.state = state;
        changed.has_run |= state == State::Running;
    }

    /// Whether the node answered requests at some time, in this incarnation or one before.
    pub fn has_run(&self, node: usize) -> bool {
        self.nodes[node].has_run
    }

    /// Whether lines can reach the node (it may be paused).
    pub fn reachable(&self, node: usize) -> bool {
        matches!(self.state(node), State::Starting | State::Running)
    }

    /// Whether the node is or will be of use: neither killed nor gone.
    pub fn alive(&self, node: usize) -> bool {
        !matches!(self.state(node), State::Killed | State::Exited)
    }

    /// Nodes that run (paused ones too).
    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.state(*node) == State::Running).collect()
    }

    /// Nodes that are dead, or may be when they are started the next time.
    pub fn dead(&self) -> usize {
        let dead = |node: &usize| !self.alive(*node) || self.nodes[*node].rotten;
        (0..self.nodes.len()).filter(dead).count()
    }

    /// Whether a majority stays if this node rots.
    pub fn may_rot(&self, node: usize) -> bool {
        self.nodes[node].rotten || self.dead() < self.nodes.len().saturating_sub(1) / 2
    }

    /// A bit of the node's disk turns round.
    pub fn rots(&mut self, node: usize) {
        self.nodes[node].rotten = true;
    }

    /// Whether a bit of the node's disk has turned round at some time.
    pub fn rotten(&self, node: usize) -> bool {
        self.nodes[node].rotten
    }

    /// The node's disk fails until then; `may_end` says whether the node may end because of it.
    /// Returns whether it can: a disk has one fault at a time.
    pub fn disk_fails(&mut self, node: usize, until_us: Micros, may_end: bool) -> bool {
        let disk = &mut self.nodes[node].disk;
        if disk.is_some_and(|trouble| !trouble.mended) {
            return false;
        }
        *disk = Some(DiskTrouble { until_us, mended: false, may_end });
        true
    }

    /// The node's disk does what it should from now on.
    pub fn disk_is_mended(&mut self, node: usize, now_us: Micros) {
        if let Some(trouble) = &mut self.nodes[node].disk {
            (trouble.until_us, trouble.mended) = (now_us, true);
        }
    }

    /// When the node's disk is mended, if the node may have ended because of it.
    pub fn may_have_ended(&self, node: usize, now_us: Micros) -> Option<Micros> {
        let trouble = self.nodes[node].disk.filter(|trouble| trouble.may_end)?;
        let over = trouble.mended && trouble.until_us + LAST_SYNC_US < now_us;
        (!over).then_some(trouble.until_us)
    }

    /// Whether something is wrong with the node's disk at present.
    pub fn disk_is_bad(&self, node: usize) -> bool {
        self.nodes[node].disk.is_some_and(|trouble| !trouble.mended)
    }

    /// When something was wrong with the node's disk last; 0 for never.
    pub fn disk_trouble_us(&self, node: usize) -> Micros {
        self.nodes[node].disk.map_or(0, |trouble| trouble.until_us)
    }

    /// One more fault stops the node; the first one says so to the target.
    pub fn pause(&mut self, node: usize, now_us: Micros, actions: &mut Vec<Action>) {
        let reachable = self.reachable(node);
        let paused = &mut self.nodes[node];
        paused.pauses += 1;
        if paused.pauses == 1 {
            paused.stood.push((now_us, None));
            if reachable {
                actions.push(Action::Pause(node));
            }
        }
    }

    /// One fault less stops the node; the last one lets it go on.
    pub fn resume(&mut self, node: usize, now_us: Micros, actions: &mut Vec<Action>) {
        let reachable = self.reachable(node);
        let paused = &mut self.nodes[node];
        paused.pauses = paused.pauses.saturating_sub(1);
        if paused.pauses == 0 {
            if let Some(last) = paused.stood.last_mut() {
                last.1.get_or_insert(now_us);
            }
            if reachable {
                actions.push(Action::Resume(node));
            }
        }
    }

    /// Whether a fault stops the node at present.
    pub fn paused(&self, node: usize) -> bool {
        self.nodes[node].pauses > 0
    }

    /// For how long the node stood still between two moments.
    pub fn stood_us(&self, node: usize, from_us: Micros, to_us: Micros) -> Micros {
        let spans = self.nodes[node].stood.iter().rev();
        spans
            .take_while(|(_, until)| until.is_none_or(|until| until > from_us))
            .map(|(since, until)| {
                until.unwrap_or(to_us).min(to_us).saturating_sub((*since).max(from_us))
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_overlap_and_their_time_is_counted() {
        let mut nodes = Nodes::new(1);
        nodes.set(0, State::Running);
        let mut actions = Vec::new();
        nodes.pause(0, 10, &mut actions);
        nodes.pause(0, 20, &mut actions);
        nodes.resume(0, 30, &mut actions);
        assert_eq!(actions, [Action::Pause(0)]);
        assert_eq!(nodes.stood_us(0, 0, 35), 25);
        nodes.resume(0, 40, &mut actions);
        assert_eq!(actions, [Action::Pause(0), Action::Resume(0)]);
        nodes.pause(0, 60, &mut actions);
        assert_eq!(nodes.stood_us(0, 25, 70), 15 + 10);
        assert_eq!(nodes.stood_us(0, 41, 59), 0);
    }
}
