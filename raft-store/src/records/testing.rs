//! Batches to test with.

use state_machine::values::Records;

use super::batch::HEAD_BYTES;

/// A batch of so many records and bytes, as a producer sends it: offset, time and checksum are not
/// filled in.
pub(crate) fn batch(count: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES];
    bytes.resize(len.max(HEAD_BYTES), b'r');
    let after = u32::try_from(bytes.len() - 12).expect("a few MiB at most");
    bytes[8..12].copy_from_slice(&after.to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes
}

/// The same as records of a command.
pub(crate) fn records(count: u32, len: usize) -> Records {
    Records { count, bytes: batch(count, len).into(), created: None, escapes: 0 }
}
