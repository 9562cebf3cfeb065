//! The arena: the test bench of cohort and of any other node that speaks its protocol.

pub mod checkers;
pub mod cli;
pub mod door;
pub mod history;
pub mod load;
pub mod nemesis;
pub mod play;
pub mod process;
pub mod report;
pub mod rng;
pub mod router;
pub mod run;
pub mod schedule;
pub mod sim;
pub mod soak;
pub mod stage;
pub mod workload;
