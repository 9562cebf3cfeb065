//! A schedule of faults as data: what happens to whom, when, and for how long.
//!
//! A schedule is drawn from a seed (see [`crate::nemesis::draw`]) or read from a JSON file, so that
//! a failing run can be replayed, and shrunk by leaving faults out. It names nodes and clients by
//! their index, and the leader as such where only the run can tell who that is. This module owns
//! the form alone.

use serde::{Deserialize, Serialize};

use crate::history::Micros;

/// Faults, in the order of their beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule {
    /// All faults.
    pub faults: Vec<Scheduled>,
}

/// One fault and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Begins so long after the start of the fault phase (for [`What::Late`]: of the whole run).
    pub at_us: Micros,
    /// Lasts so long, but not beyond the end of the fault phase.
    pub for_us: Micros,
    /// What happens.
    #[serde(flatten)]
    pub what: What,
}

/// A node, named or by its part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// The node of that index.
    Node(usize),
    /// Whoever leads when the fault begins. Where nobody is known to lead, the fault is skipped.
    Leader,
}

/// Which nodes a partition keeps apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nodes reach those of their own side alone.
    Sides(Vec<Vec<usize>>),
    /// Nodes in a ring, in this order: each hears only the nodes of a majority around itself, no
    /// two of the same one.
    Ring(Vec<usize>),
    /// The leader alone on one side.
    LeaderAlone,
    /// The leader and one follower (of that index among the followers) on one side.
    LeaderAndFollower(usize),
}

/// What happens to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientFault {
    /// They fall silent in the middle of what they do and are replaced by new ones at the end of
    /// the fault.
    Crash,
    /// They do nothing until the end of the fault, then go on as if nothing had been.
    Hang,
}

/// A kind of fault with what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum What {
    /// Cuts nodes off from each other, both ways.
    Partition {
        /// Who is kept apart.
        shape: Shape,
    },
    /// Cuts one direction of links: lines from `from` to `to` are lost.
    OneWay {
        /// Senders.
        from: Vec<usize>,
        /// Receivers.
        to: Vec<usize>,
    },
    /// Cuts all links to a node: it hears no other node, and its own lines arrive.
    Deaf {
        /// Whom.
        who: Victim,
    },
    /// Another mean latency between all nodes.
    Latency {
        /// Microseconds.
        mean_us: Micros,
        /// Whether every line takes exactly that.
        #[serde(default)]
        constant: bool,
    },
    /// Loses lines between nodes.
    Loss {
        /// Of a million lines.
        ppm: u32,
    },
    /// Delivers lines between nodes twice.
    Duplicate {
        /// Of a million lines.
        ppm: u32,
    },
    /// Holds lines between nodes back, so that others pass them.
    Reorder {
        /// Of a million lines.
        ppm: u32,
    },
    /// Ends connections of clients in the middle of what they carry.
    Reset {
        /// Of a million pieces.
        ppm: u32,
    },
    /// Lets few bytes pass.
    Bandwidth {
        /// So many a second, on each connection and each way.
        bytes_per_s: u64,
    },
    /// Stops a node's process, then lets it go on.
    Pause {
        /// Whom.
        who: Victim,
    },
    /// Kills a node's process for good. `for_us` means nothing here.
    Kill {
        /// Whom.
        who: Victim,
    },
    /// Crashes a node, and starts it again at the end of the fault with what it had synced.
    Restart {
        /// Whom.
        who: Victim,
    },
    /// The syncs of a node's disk take long.
    SlowDisk {
        /// Whose.
        who: Victim,
        /// At least so long,
        least_us: Micros,
        /// and at most so long.
        most_us: Micros,
    },
    /// A sync of a node's disk fails. The node ends, and is started again at the end of the fault.
    FailingDisk {
        /// Whose.
        who: Victim,
        /// The how manieth sync from now on.
        nth: u64,
        /// Whether what was not synced is gone from memory too by the time it is started again.
        evicted: bool,
    },
    /// A node's disk has hardly any room. If the node ends, it is started again when there is some.
    FullDisk {
        /// Whose.
        who: Victim,
        /// Room that is left, in bytes.
        bytes: u64,
    },
    /// Crashes a node; a bit of its disk has turned round when it comes back.
    BitRot {
        /// Whom.
        who: Victim,
        /// Draws which bit.
        bit: u64,
    },
    /// Lets a node run in short strokes only.
    Slow {
        /// Whom.
        who: Victim,
        /// Runs so long,
        run_us: Micros,
        /// then stands so long.
        stop_us: Micros,
    },
    /// A node's clock goes wrong.
    Clock {
        /// Whose.
        node: usize,
        /// Faster (or slower) by so many in a million.
        rate_ppm: i32,
        /// And jumps forward by so much at the beginning.
        jump_us: Micros,
    },
    /// Clients fail.
    Clients {
        /// How.
        how: ClientFault,
        /// Which, by their index.
        slots: Vec<usize>,
    },
    /// A node starts `for_us` after the others.
    Late {
        /// Which.
        node: usize,
    },
}

impl What {
    /// The name of the nemesis that does this.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::OneWay { .. } | Self::Deaf { .. } => "one-way",
            Self::Latency { .. } => "latency",
            Self::Loss { .. } => "loss",
            Self::Duplicate { .. } => "duplicate",
            Self::Reorder { .. } => "reorder",
            Self::Reset { .. } => "reset",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Pause { .. } => "pause",
            Self::Kill { .. } => "kill",
            Self::Restart { .. } => "restart",
            Self::SlowDisk { .. } => "slow-disk",
            Self::FailingDisk { .. } => "failing-disk",
            Self::FullDisk { .. } => "full-disk",
            Self::BitRot { .. } => "bit-rot",
            Self::Slow { .. } => "slow",
            Self::Clock { .. } => "clock",
            Self::Clients { .. } => "clients",
            Self::Late { .. } => "late",
        }
    }

    /// Whether the run must know who leads.
    pub fn needs_leader(&self) -> bool {
        match self {
            Self::Partition { shape } => {
                matches!(shape, Shape::LeaderAlone | Shape::LeaderAndFollower(_))
            }
            _ => self.victim() == Some(Victim::Leader),
        }
    }

    /// Whom it is done to, where that is one node.
    fn victim(&self) -> Option<Victim> {
        match self {
            Self::Deaf { who }
            | Self::Pause { who }
            | Self::Kill { who }
            | Self::Restart { who }
            | Self::SlowDisk { who, .. }
            | Self::FailingDisk { who, .. }
            | Self::FullDisk { who, .. }
            | Self::BitRot { who, .. }
            | Self::Slow { who, .. } => Some(*who),
            Self::Clock { node, .. } | Self::Late { node } => Some(Victim::Node(*node)),
            _ => None,
        }
    }

    /// Whether it is a fault of a disk.
    fn is_of_disks(&self) -> bool {
        matches!(
            self,
            Self::SlowDisk { .. }
                | Self::FailingDisk { .. }
                | Self::FullDisk { .. }
                | Self::BitRot { .. }
        )
    }
}

impl Schedule {
    /// Whether any fault is aimed at the leader.
    pub fn needs_leader(&self) -> bool {
        self.faults.iter().any(|fault| fault.what.needs_leader())
    }

    /// Whether any node is started again, or its disk fails: then nodes need disks.
    pub fn needs_disks(&self) -> bool {
        let mut all = self.faults.iter().map(|fault| &fault.what);
        all.any(|what| matches!(what, What::Restart { .. }) || what.is_of_disks())
    }

    /// The longest mean latency of a fault.
    pub fn farthest_us(&self) -> Micros {
        let means = self.faults.iter().map(|fault| match fault.what {
            What::Latency { mean_us, .. } => mean_us,
            _ => 0,
        });
        means.max().unwrap_or(0)
    }

    /// The longest that a sync takes because of a fault.
    pub fn slowest_sync_us(&self) -> Micros {
        let syncs = self.faults.iter().map(|fault| match fault.what {
            What::SlowDisk { most_us, .. } => most_us,
            _ => 0,
        });
        syncs.max().unwrap_or(0)
    }

    /// The first index of a node that such a cluster does not have.
    pub fn stranger(&self, nodes: usize) -> Option<usize> {
        let all = self.faults.iter().flat_map(|fault| match &fault.what {
            What::Partition { shape: Shape::Sides(sides) } => sides.concat(),
            What::Partition { shape: Shape::Ring(order) } => order.clone(),
            What::OneWay { from, to } => [from.clone(), to.clone()].concat(),
            what => match what.victim() {
                Some(Victim::Node(node)) => vec![node],
                Some(Victim::Leader) | None => Vec::new(),
            },
        });
        all.into_iter().find(|node| *node >= nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_plain_json() {
        let text = r#"[{"at_us":5,"for_us":9,"fault":"partition","shape":{"sides":[[0],[1,2]]}},{"at_us":7,"for_us":1,"fault":"pause","who":"leader"},{"at_us":8,"for_us":1,"fault":"kill","who":{"node":4}},{"at_us":9,"for_us":1,"fault":"restart","who":{"node":0}}]"#;
        let schedule: Schedule = serde_json::from_str(text).expect("the documented form");
        assert_eq!(serde_json::to_string(&schedule).expect("writes"), text);
        assert!(schedule.needs_leader());
        assert_eq!((schedule.stranger(4), schedule.stranger(5)), (Some(4), None));
    }
}
