//! The arena: the test bench of cohort and of any other node that speaks its protocol.

pub mod checkers;
pub mod cli;
pub mod dialects;
pub mod history;
pub mod load;
pub mod nemesis;
pub mod report;
pub mod rng;
pub mod run;
pub mod targets;
pub mod watch;
pub mod wire;
pub mod workloads;
