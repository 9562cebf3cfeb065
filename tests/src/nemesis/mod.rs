//! The nemeses: what goes wrong on purpose.
//!
//! Owns their names, what each target can do of them, drawing a schedule from a seed ([`draw`]) and
//! carrying it out ([`runner`]). Knows nothing of workloads beyond how many clients there are.

pub mod draw;
pub mod network;
pub mod runner;
pub mod schedule;

/// A nemesis by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Nemesis {
    /// Cuts nodes off from each other: halves, one node, a minority third, overlapping majorities
    /// in a ring, the leader alone, the leader and one follower.
    Partition,
    /// Cuts one direction of links.
    OneWay,
    /// Latency between nodes that jumps, up to 100 ms.
    Latency,
    /// Loses lines between nodes.
    Loss,
    /// Delivers lines between nodes twice.
    Duplicate,
    /// Lets lines between nodes overtake each other.
    Reorder,
    /// Stops processes and lets them go on.
    Pause,
    /// Kills processes for good; a majority stays.
    Kill,
    /// Clocks that run at other rates and jump forward.
    Clock,
    /// Nodes that run in short strokes.
    Slow,
    /// Clients that crash or hang.
    Clients,
    /// Nodes that start after the others.
    Late,
    /// Crashes nodes, often a majority at once, and starts them again with what they had synced.
    Restart,
}

impl Nemesis {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Partition,
        Self::OneWay,
        Self::Latency,
        Self::Loss,
        Self::Duplicate,
        Self::Reorder,
        Self::Pause,
        Self::Kill,
        Self::Clock,
        Self::Slow,
        Self::Clients,
        Self::Late,
        Self::Restart,
    ];

    /// As on the command line and in a history.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Latency => "latency",
            Self::Loss => "loss",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Pause => "pause",
            Self::Kill => "kill",
            Self::Clock => "clock",
            Self::Slow => "slow",
            Self::Clients => "clients",
            Self::Late => "late",
            Self::Restart => "restart",
        }
    }

    /// The nemesis of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|nemesis| nemesis.name() == name)
    }
}
