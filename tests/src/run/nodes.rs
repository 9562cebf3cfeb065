//! What each node is doing: waiting to be started, running, paused, dead, gone.
//!
//! Owns the state of every node and the time that it was kept from running, which its clients'
//! patience must not count.

use crate::history::Micros;
use crate::targets::Action;

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started yet, or not again.
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

#[derive(Debug, Clone)]
struct Node {
    state: State,
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
        Self {
            nodes: vec![
                Node { state: State::Waiting, has_run: false, pauses: 0, stood: Vec::new() };
                nodes
            ],
        }
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

    /// Nodes that are dead.
    pub fn dead(&self) -> usize {
        (0..self.nodes.len()).filter(|node| !self.alive(*node)).count()
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
