//! Record batches of magic 2, the only ones that are taken.
//!
//! | module | owns |
//! | --- | --- |
//! | `header` | the 61 bytes in front, by offset |
//! | `check` | what is checked before a batch is appended |
//! | `payload` | the four compressions, read as a stream and within limits |
//! | `record` | the bytes of one record |
//! | `read` | the records of a batch, for readers |
//! | `stored` | batches one after another, for readers |
//! | `build` | a batch of records, for tests and clients |
//!
//! A batch is stored as its producer sent it. Two fields lie outside its checksum and are a
//! broker's to write: [`set_base_offset`] and [`set_leader_epoch`]. [`check`] looks at everything
//! that later readers rely on, so that a batch which passes is readable for ever; compressed
//! records are decompressed for it, piece by piece, and never held as a whole.
//!
//! The module does not know offsets of partitions, sequence numbers of producers, nor the time.

mod build;
mod check;
mod error;
mod header;
mod payload;
mod read;
mod record;
mod stored;

pub use build::build;
pub use check::{Checked, check, keyless};
pub use error::{BatchError, RecordFault};
pub use header::{
    Codec, HEADER_SIZE, Producer, crc_of, seal, set_base_offset, set_leader_epoch,
    set_max_timestamp,
};
pub use payload::Limits;
pub use read::{Record, records};
pub use stored::{Stored, batches};
