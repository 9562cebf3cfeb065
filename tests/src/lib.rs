//! The arena: the test bench of cohort and of any other node that speaks its protocol.

pub mod checkers;
pub mod history;
