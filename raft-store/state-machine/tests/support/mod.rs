//! What the tests of this crate share: a state with its clock and its records, the words of traces,
//! and what they print.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

pub mod ops;
pub mod script;
pub mod show;
pub mod store;
pub mod targets;
pub mod words;
