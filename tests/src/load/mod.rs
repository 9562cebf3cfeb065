//! Load: what the nodes can take, and how long a client waits.
//!
//! Owns the processes under load ([`cluster`]), the requests of its clients and the answers that are right
//! ([`script`]), what the machine says of a process ([`machine`]), and what is reckoned from it: `arena load`
//! ([`figures`]) for each operation and size, `scripts/bench` ([`bench`]) for what the project wants to reach, both
//! as tables ([`table`]).
//!
//! It knows nothing of plays, faults, histories or checkers: those hold a cluster to its promises, slowly, under
//! everything that can go wrong; here nothing goes wrong, and a reply that is not the one that its client's own
//! requests make the only right one ends the figure.

pub mod bench;
pub mod cluster;
pub mod figures;
pub mod machine;
pub mod script;
pub mod table;
