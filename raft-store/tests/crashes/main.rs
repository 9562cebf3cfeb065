//! A node's data folder under everything that can happen to a disk.
//!
//! What a node was told is written down twice: by the code under test into a simulated folder, and
//! by the tests as plain values ([`model`]). Then the power fails, the process is killed, syncs
//! fail, the disk is full, or a bit flips. The folder is opened again, and what is found is
//! compared with the values: nothing that was acknowledged is lost, and nothing is found that was
//! never written.

#![allow(clippy::print_stdout, reason = "the counts of the docs")]

mod arrivals;
mod damage;
mod every_crash;
mod faults;
mod first_start;
mod installs;
mod marks;
mod model;
mod promises;
mod properties;
mod run;
