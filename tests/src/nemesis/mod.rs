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
    /// A disk whose syncs take 0.1 to 5 s.
    SlowDisk,
    /// A disk of which a sync fails: the node ends, and is started again later.
    FailingDisk,
    /// A disk without room for a while: a node that ends is started again when there is some.
    FullDisk,
    /// Crashes a node, and one bit of its disk is another when it comes back. It may refuse to
    /// start; a majority stays.
    BitRot,
    /// Ends clients' connections in the middle of a frame.
    Reset,
    /// Lets few bytes a second pass.
    Bandwidth,
}

impl Nemesis {
    /// All of them.
    pub const ALL: [Self; 19] = [
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
        Self::SlowDisk,
        Self::FailingDisk,
        Self::FullDisk,
        Self::BitRot,
        Self::Reset,
        Self::Bandwidth,
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
            Self::SlowDisk => "slow-disk",
            Self::FailingDisk => "failing-disk",
            Self::FullDisk => "full-disk",
            Self::BitRot => "bit-rot",
            Self::Reset => "reset",
            Self::Bandwidth => "bandwidth",
        }
    }

    /// Whether it is a fault of disks, which only simulated ones have.
    pub fn is_of_disks(self) -> bool {
        matches!(self, Self::SlowDisk | Self::FailingDisk | Self::FullDisk | Self::BitRot)
    }

    /// Whether it needs connections, which only the stage `wire` has.
    pub fn is_of_connections(self) -> bool {
        matches!(self, Self::Reset | Self::Bandwidth)
    }

    /// The nemesis of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|nemesis| nemesis.name() == name)
    }
}
