//! How long nobody is served where the leader hears nobody and its own lines arrive. The others are
//! a majority that hears each other, so they have to elect another leader soon.
//!
//! It is judged where nothing else is wrong, nor was for [`SETTLED_US`]: all nodes run, near each
//! other, and the fault is the only one. Operations may wait for others in workloads with members,
//! so those are left out.

use crate::history::Micros;
use crate::run::Run;
use crate::run::nodes::State;
use crate::workloads::Kind;

/// Nodes that hear each other have to answer after this time: to notice that the leader hears
/// nobody takes up to 0.9 s, an election after that 0.5 to 1 s, and a vote that is split once more
/// as long.
pub const OUTAGE_US: Micros = 3_000_000;

/// Nothing else was wrong for so long.
pub const SETTLED_US: Micros = 10_000_000;

/// No line takes longer than four times this.
pub const NEAR_US: Micros = 10_000;

/// What the leader had decided before it went deaf arrives within this time.
pub const ON_ITS_WAY_US: Micros = 200_000;

/// A leader that hears nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    /// Who led.
    node: usize,
    /// Since when.
    since_us: Micros,
    /// When another node answered last, of what was decided since.
    served_us: Micros,
}

impl Run {
    /// A node hears nobody any more, and nothing else is wrong.
    pub(super) fn outage_begins(&mut self, node: usize) {
        let members = matches!(self.setup.workload, Kind::Groups | Kind::Classic);
        let all_run = self.nodes.running().len() == self.names.len();
        if members || !all_run || self.names.len() < 3 {
            return;
        }
        let now_us = self.now_us;
        self.outage = Some(Outage { node, since_us: now_us, served_us: now_us });
    }

    /// Somebody decided an operation that was sent to a node.
    pub(super) fn outage_sees(&mut self, node: usize) {
        let Some(outage) = &mut self.outage else { return };
        if node != outage.node && self.now_us >= outage.since_us + ON_ITS_WAY_US {
            outage.served_us = self.now_us;
        }
    }

    pub(super) fn step_outage(&mut self) {
        let Some(outage) = self.outage else { return };
        let all_run = (0..self.names.len()).all(|node| self.nodes.state(node) == State::Running);
        if !self.runner.is_single() || !all_run {
            self.outage = None;
            return;
        }
        let elsewhere = self.slots.iter().filter(|slot| slot.node != outage.node);
        let asked_us = elsewhere.filter_map(|slot| slot.waits_since_us()).min();
        let from_us = asked_us.map(|asked_us| asked_us.max(outage.served_us));
        if from_us.is_some_and(|from_us| self.now_us > from_us + OUTAGE_US) {
            self.outage = None;
            let account = format!(
                "{} led and hears nobody, and the others did not answer for {} s, though they hear \
                 each other",
                self.names[outage.node],
                OUTAGE_US / 1_000_000
            );
            self.breach(outage.node, "not-replaced", &account);
        }
    }
}
