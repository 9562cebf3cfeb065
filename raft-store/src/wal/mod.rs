//! The write-ahead log: what Raft must not forget, as one stream of groups in a folder.
//!
//! Everything that has to be durable before an answer goes into this stream, in the order in which
//! it happened: votes, entries, truncations, commit marks, purge marks, incarnations. So there is
//! no commit mark without its entries and no truncation that overtakes an append. What is written
//! while a sync is under way becomes the next *group*: one write and one sync, however many entries
//! it has. Nobody waits to make a group larger.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`format`] | the bytes: heads, groups, records |
//! | [`replay`] | what a sequence of records amounts to |
//! | [`recovery`] | which groups of a folder count, and what is damage |
//! | [`writer`] | the task that writes groups, begins segments and recycles them |
//!
//! `docs/data-format.md` describes the bytes for a reader in another language. The log knows
//! neither the state nor checkpoints.

pub(crate) mod format;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod writer;
