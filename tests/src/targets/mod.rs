//! The seam between a run and the target that it runs on.
//!
//! A run ([`crate::run::Run`]) decides everything: which line reaches whom and when, who is stopped
//! or killed. A target owns the nodes and the time: it carries out [`Action`]s, and tells the run
//! of lines that nodes print, of nodes that end, and of time passing. It knows nothing of
//! workloads, faults or histories, so that the same run runs on real processes and in a simulation.

pub mod brokers;
pub(crate) mod guard;
pub mod process;
pub mod sim;

use crate::checkers::state::StateTrace;
use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::run::Run;

/// What a run wants done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start this node; after [`Kill`](Self::Kill) with what it had synced.
    Start(usize),
    /// Put a line (without its line feed) on the node's standard input.
    Deliver {
        /// To whom.
        node: usize,
        /// The JSON text.
        line: Vec<u8>,
        /// A line from another node, which a target whose buffer is full may lose as a network
        /// would. Lines of clients are never lost.
        peer: bool,
    },
    /// Stop the node where it stands.
    Pause(usize),
    /// Let a stopped node go on.
    Resume(usize),
    /// End the node at once; nothing of it is flushed.
    Kill(usize),
    /// Change the node's clock.
    SetClock {
        /// Whose.
        node: usize,
        /// From now on faster by so many in a million than true time.
        rate_ppm: i32,
        /// Jumps forward by so much now.
        jump_us: Micros,
    },
    /// Change how the node's disk behaves.
    Disk(usize, DiskFault),
    /// Close the node's standard input.
    Close(usize),
    /// Something for people to read.
    Tell(String),
    /// The run is over; the target may end all nodes.
    Done,
}

/// How a node's disk behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// As it should.
    None,
    /// Syncs take long.
    Slow {
        /// At least so long.
        least_us: Micros,
        /// At most so long.
        most_us: Micros,
    },
    /// A sync fails.
    Failing {
        /// The how manieth one.
        nth: u64,
        /// Whether what was not synced is gone from memory too when the node is started again.
        evicted: bool,
    },
    /// There is room for so many bytes more.
    Full(u64),
    /// When the node is started next, one bit has turned round: this number draws which.
    Rotten(u64),
}

/// Why a run could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The target cannot do what the run needs.
    #[error("{0}")]
    Unable(String),
    /// A node could not be started.
    #[error("cannot start {path}: {source}")]
    Start {
        /// The program.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Where a run runs.
pub trait Target {
    /// `real` or `sim`.
    fn name(&self) -> &'static str;

    /// Whether this target can do what the nemesis asks for.
    fn can(&self, nemesis: Nemesis) -> bool;

    /// Runs a run until it is done. `tell` gets what is for people, with the time since the start.
    ///
    /// # Errors
    /// Where nodes cannot be started or reached by the target. A node that misbehaves is no error:
    /// the run records it.
    fn run(&mut self, run: &mut Run, tell: &mut dyn FnMut(Micros, &str))
    -> Result<(), TargetError>;

    /// What the target saw of its nodes' states in the last run, once; `None` where it cannot see
    /// that.
    fn take_trace(&mut self) -> Option<StateTrace> {
        None
    }
}
