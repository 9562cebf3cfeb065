//! Kafka's bytes, and nothing else.
//!
//! | module | owns |
//! | --- | --- |
//! | [`versions`] | which requests are understood, in which versions |
//! | [`frame`] | a request's frame: length, header, body; a reply's frame |
//! | [`errors`] | the error codes |
//! | [`batch`] | record batches of magic 2: what is checked in them, how they are read and built |
//! | [`consumer`] | what members of a classic consumer group say to each other |
//!
//! Everything here is a function from bytes to values or back. The crate deliberately knows no
//! socket, no clock, no task, and nothing of what a request *means*: topics, groups and offsets are
//! others' business.
//!
//! Two promises hold for every input. Nothing panics: whatever is wrong with bytes from outside is
//! a typed error. And nothing is allocated on the word of a length field: what the bytes announce
//! is compared with how many there are before memory is asked for.

pub mod batch;
pub mod consumer;
pub mod errors;
pub mod frame;
mod malformed;
#[doc(hidden)]
pub mod samples;
mod shapes;
pub mod versions;
mod walk;

pub use kafka_protocol;
pub use malformed::Malformed;
