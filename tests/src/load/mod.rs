//! Load: what the nodes can take, and how long a client waits.
//!
//! Owns the processes under load ([`cluster`]), the requests of its clients and the answers that
//! are right ([`script`]), what the machine says of a process ([`machine`]), and what is computed
//! from it, as tables ([`table`]): `arena load` ([`figures`]) for each operation and size,
//! `scripts/bench` ([`bench`](mod@bench)) for what the project wants to reach, and
//! `scripts/bench --durable` ([`durable`]) for what it wants to reach on disks.
//!
//! It knows nothing of runs, faults, histories or checkers: those hold a cluster to its promises,
//! slowly, under everything that can go wrong. Here nothing goes wrong, and one reply that is not
//! the only right one fails the figure.

pub mod bench;
pub mod cluster;
pub mod durable;
pub mod figures;
pub mod joins;
pub mod machine;
pub mod script;
pub mod table;
