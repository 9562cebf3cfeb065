//! How much one reply may carry: bytes of records, and the text that a listener makes of them.
//!
//! A position in the state moves when a poll is decided. So it has to be known by then what the
//! reply can tell: who tells less than was decided loses records. Text is longer than the stored
//! form. Each record brings names of fields and numbers with it, and a control character takes six
//! characters. This module owns the estimate, which is never too low for records that came in as
//! text. It knows no field's name.

/// A reply carries at most this many bytes of records (but always one batch).
pub const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;

/// As text a reply takes at most this many bytes, the rest of a message apart.
pub const MAX_REPLY_TEXT: usize = 4 * 1024 * 1024 - 8 * 1024;

/// A record's key and value take at most so many bytes each, as text.
pub const MAX_RECORD_TEXT: usize = 1024 * 1024;

/// A record as text has at most this many bytes besides key, value and names: fields, numbers.
pub const RECORD_TEXT: u64 = 128;

/// Any block of a segment can be told in this many bytes, whatever is estimated: at most 64 KiB of
/// small records, or one record of the greatest size.
const BLOCK_TEXT: u64 = 2 * MAX_RECORD_TEXT as u64 + 64 * 1024;

/// What stands around a name takes at most so many bytes of text, and so does the number of a
/// partition with its comma.
const ITEM_TEXT: u64 = 12;

/// A character takes at most so many bytes for each that it had before.
const ESCAPED: u64 = 6;

/// How large records are that somebody wants to read. Bounds from above will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// How many.
    pub records: u64,
    /// As they are stored.
    pub bytes: u64,
    /// By how much they and others around them are longer as text
    /// ([`Records::escapes`](crate::values::Records::escapes)).
    pub escapes: u64,
}

/// How much one reply may still carry.
#[derive(Debug, Clone, Copy)]
pub struct ReadBudget {
    bytes: u64,
    text: u64,
    /// What each record takes as text besides key and value.
    record_text: u64,
    started: bool,
}

impl Default for ReadBudget {
    /// The budget of a reply that tells nothing but records, without names.
    fn default() -> Self {
        Self {
            bytes: MAX_REPLY_BYTES as u64,
            text: MAX_REPLY_TEXT as u64,
            record_text: RECORD_TEXT,
            started: false,
        }
    }
}

impl ReadBudget {
    /// The budget of a reply that is told as the bytes that are stored: so many of them, or, where
    /// it `may_exceed` that, a block at least.
    pub(super) fn of_bytes(bytes: u64, may_exceed: bool) -> Self {
        Self { bytes, text: u64::MAX, record_text: 0, started: !may_exceed }
    }

    /// Whether nothing more fits.
    pub fn is_used_up(&self) -> bool {
        self.bytes == 0
    }

    /// From now on a name of so many bytes of text is told with each record.
    pub(crate) fn names_each(&mut self, text: u64) {
        self.record_text = RECORD_TEXT + text;
    }

    /// Takes the text of something else that is told; refuses what does not fit.
    pub(crate) fn tell(&mut self, text: u64) -> bool {
        let left = self.text.checked_sub(text);
        self.text = left.unwrap_or(0);
        left.is_some()
    }

    /// Takes records off the budget. Refuses what goes over it, but never the first ones of a reply
    /// unless something else has taken their place.
    pub(super) fn take(&mut self, size: Size) -> bool {
        let escapes = size.escapes.min(size.bytes.saturating_mul(ESCAPED - 1));
        let text = size.records.saturating_mul(self.record_text) + size.bytes + escapes;
        let fits = size.bytes <= self.bytes && text <= self.text;
        let is_first = !self.started && self.text >= BLOCK_TEXT;
        if !fits && !is_first {
            self.bytes = 0;
            return false;
        }
        self.bytes = self.bytes.saturating_sub(size.bytes);
        self.text = self.text.saturating_sub(text);
        self.started = true;
        true
    }
}

/// By how many bytes a text is longer where quotes, backslashes and control characters are escaped
/// as in JSON.
pub fn escapes(text: &str) -> u64 {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => ESCAPED - 1,
        _ => 0,
    };
    text.bytes().map(escaped).sum()
}

/// How many bytes a text takes between quotes, with its escapes.
pub fn text_len(text: &str) -> u64 {
    2 + text.len() as u64 + escapes(text)
}

/// At most so many bytes of text tell a name and so many numbers of partitions: a topic and its
/// own, or a consumer and those that it reads.
pub(crate) fn topic_text(name: &str, partitions: usize) -> u64 {
    text_len(name) + ITEM_TEXT * (1 + partitions as u64)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_TEXT, MAX_REPLY_TEXT, ReadBudget, Size};

    #[test]
    fn escapes_count_but_never_more_than_all_characters_could_have() {
        let mut budget = ReadBudget::default();
        assert!(budget.take(Size { records: 1, bytes: 70_000, escapes: 350_000 }));
        let taken = MAX_REPLY_TEXT as u64 - budget.text;
        assert_eq!(taken, 420_128);
        assert!(budget.take(Size { records: 1, bytes: 100, escapes: 1 << 40 }));
        assert_eq!(MAX_REPLY_TEXT as u64 - budget.text, taken + 728);
    }

    #[test]
    fn the_first_records_are_told_unless_something_else_took_their_place() {
        let large = Size { records: 1, bytes: 3 << 20, escapes: 0 };
        assert!(ReadBudget::default().take(large), "always one batch");
        let mut full = ReadBudget::default();
        assert!(full.tell(MAX_REPLY_TEXT as u64 - BLOCK_TEXT + 1));
        assert!(!full.take(large));
        assert!(full.is_used_up());
        let mut full = ReadBudget::default();
        assert!(full.tell(MAX_REPLY_TEXT as u64 - 200));
        assert!(full.take(Size { records: 1, bytes: 70, escapes: 0 }), "a small one fits");
    }
}
