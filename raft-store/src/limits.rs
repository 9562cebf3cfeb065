//! Every bound of this crate: its unit, its reason, and how it relates to the others.
//!
//! A number stands here once. The relations at the end hold when the crate compiles.

use std::time::Duration;

use state_machine::command::Write;

/// The most bytes of entries that one read for replication gives, unless a single entry has more.
///
/// openraft sends what it reads in one message. A message of this size is sent quickly, so a
/// heartbeat does not wait long behind it.
pub const MAX_READ_BYTES: usize = 1024 * 1024;

/// How many entries of a log stay after a snapshot covers them.
///
/// A follower that is this little behind catches up from the log. It needs no snapshot.
pub const KEPT_ENTRIES: u64 = 1_000;

/// How many bytes of entries stay after a snapshot covers them. An entry may hold a MiB, so
/// [`KEPT_ENTRIES`] alone does not bound the memory.
pub const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// At most one part in this many of the entries that make a snapshot stays after it.
///
/// A node that takes snapshots often has a short log. Its followers then need snapshots, as a
/// simulation wants them to.
pub const KEPT_PART: u64 = 5;

/// After this long of applying entries, one behind the other, everything else comes to its turn.
pub const UNINTERRUPTED: Duration = Duration::from_millis(10);

/// How many bits an incarnation has that is drawn at random. A reader of JSON may keep numbers as
/// doubles, and a double keeps this many bits of an integer.
pub const INCARNATION_BITS: u32 = f64::MANTISSA_DIGITS;

/// About how many bytes an entry takes in the log beside its proposal.
pub const ENTRY_BYTES: usize = 64;

/// About how many bytes a batch takes beside its writes.
pub const BATCH_BYTES: usize = 64;

/// About how many bytes a command takes beside its keys and values. In memory a small command takes
/// mostly what its own type and the allocator take.
pub const COMMAND_BYTES: usize = size_of::<Write>() + 96;

/// About how many bytes a query takes beside its keys.
pub const QUERY_BYTES: usize = 48;

/// About how many bytes a key of a query takes beside its text.
pub const QUERY_KEY_BYTES: usize = 8;

/// About how many bytes an offset takes that a query names.
pub const QUERY_OFFSET_BYTES: usize = 8;

/// About how many bytes an outcome takes, and a batch of records in it, beside keys and records.
pub const OUTCOME_BYTES: usize = 32;

/// A segment of the write-ahead log has at most this many bytes, unless a single group has more. A
/// start reads all segments that are needed, so they bound its time.
pub const WAL_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// A new segment is filled with zeros so many bytes at a time. All at once would take a tenth of a
/// second, at the first start of all times.
pub const ZEROED_BYTES: u64 = 4 * 1024 * 1024;

/// How many segments are kept to be used again. They can be written to on a full disk.
pub const SPARE_SEGMENTS: usize = 2;

/// A batch of so many bytes is written to its file as it came, behind its head, which is filled in.
/// A smaller one is sooner copied than written in two.
pub const WRITTEN_IN_TWO: usize = 32 * 1024;

/// Batches that an entry puts side by side are written together, so many bytes at most.
pub const WRITTEN_AT_ONCE: usize = 256 * 1024;

const _: () = assert!(WRITTEN_IN_TWO < WRITTEN_AT_ONCE);

/// So many files of records are open at a time. A process may usually have 1,024 files open.
pub const OPEN_SEGMENTS: usize = 256;

/// A start checks the records of a folder as long as they are no more than so many bytes together:
/// that takes a fraction of a second. What is not checked then is checked when it is read.
pub const CHECKED_AT_START: u64 = 256 * 1024 * 1024;

/// Records are checked in pieces of about this many bytes, so that it takes little memory.
pub const CHECKED_PIECE: usize = 1024 * 1024;

/// A group takes no more messages in when its records have about this many bytes. Its memory and
/// the time of its sync are bounded by it.
pub const GROUP_BYTES: usize = 4 * 1024 * 1024;

const _: () = assert!(
    2 * GROUP_BYTES as u64 <= WAL_SEGMENT_BYTES && ZEROED_BYTES <= WAL_SEGMENT_BYTES,
    "a segment takes several groups"
);
const _: () = assert!(MAX_READ_BYTES <= KEPT_BYTES, "a follower one read behind finds its entries");
const _: () = assert!(
    ENTRY_BYTES + BATCH_BYTES + COMMAND_BYTES <= MAX_READ_BYTES / 1_000,
    "a read gives many small entries"
);
const _: () = assert!(KEPT_PART > 1, "fewer entries stay than make the next snapshot");
const _: () = assert!(
    KEPT_ENTRIES as usize * (ENTRY_BYTES + BATCH_BYTES) < KEPT_BYTES,
    "small entries are bounded by their number, large ones by their bytes"
);
const _: () = assert!(
    0 < INCARNATION_BITS && INCARNATION_BITS < u64::BITS,
    "a fresh incarnation has successors"
);
