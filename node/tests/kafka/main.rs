//! `cohort serve` as a Kafka client meets it: over a socket, byte by byte.

mod admin;
mod bad_input;
mod broker;
mod cluster;
mod configs;
mod dev;
mod fidelity;
mod groups;
mod records;
mod repeated;
mod settings;
