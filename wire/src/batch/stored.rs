//! Batches one after another, as a reader is given them: where each lies in the log, and whose it
//! is.

use super::header::{CONTROL, Header, LENGTH_FROM, Producer, TRANSACTIONAL};

/// A batch as a broker stored it, or as a producer sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The offset of the first record that it had when it was written.
    pub base_offset: i64,
    /// Its first 61 bytes and its records, which [`records`](super::records) reads. Of an older
    /// format all the bytes, which nobody reads.
    pub bytes: &'a [u8],
    /// Whether it is of magic 2. Of an older one nothing but its length is known.
    pub is_readable: bool,
    /// Whether it holds what a broker tells about a transaction, and no records.
    pub is_control: bool,
    /// Whether it is part of a transaction, which may have been aborted.
    pub is_transactional: bool,
    /// Who wrote it, if it has a producer id.
    pub producer: Option<Producer>,
}

/// The batches that the bytes are, up to the first one that is not there as a whole: a broker may
/// cut the last.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Stored<'_>> {
    let mut left = bytes;
    std::iter::from_fn(move || {
        let length = left.get(8..LENGTH_FROM)?.first_chunk().copied().map(i32::from_be_bytes)?;
        let size = LENGTH_FROM + usize::try_from(length).ok()?;
        let batch = left.get(..size)?;
        left = &left[size..];
        Some(stored(batch))
    })
}

fn stored(bytes: &[u8]) -> Stored<'_> {
    let base_offset = bytes.first_chunk().copied().map_or(-1, i64::from_be_bytes);
    match Header::of(bytes) {
        Some(header) if bytes[16] == 2 => {
            let (attributes, id) = (header.attributes(), header.producer_id());
            let (epoch, base_sequence) = (header.producer_epoch(), header.base_sequence());
            Stored {
                base_offset,
                bytes,
                is_readable: true,
                is_control: attributes & CONTROL != 0,
                is_transactional: attributes & TRANSACTIONAL != 0,
                producer: (id >= 0).then_some(Producer { id, epoch, base_sequence }),
            }
        }
        _ => Stored {
            base_offset,
            bytes,
            is_readable: false,
            is_control: false,
            is_transactional: false,
            producer: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Producer, Record, build, set_base_offset};
    use super::*;

    fn batch(base: u64, count: u32, producer: Option<Producer>) -> Vec<u8> {
        let value = Some(Bytes::from_static(b"x"));
        let record = |offset_delta| Record { offset_delta, value: value.clone(), ..<_>::default() };
        let records: Vec<Record> = (0..count).map(record).collect();
        let mut batch = build(&records, 0, producer).to_vec();
        set_base_offset(&mut batch, base);
        batch
    }

    #[test]
    fn batches_follow_each_other_up_to_one_that_is_cut() {
        let producer = Producer { id: 7, epoch: 1, base_sequence: 40 };
        let mut bytes = batch(3, 2, None);
        bytes.extend(batch(5, 1, Some(producer)));
        let mut old = batch(6, 1, None);
        old[16] = 1;
        bytes.extend(old);
        bytes.extend(&batch(7, 1, None)[..30]);
        let found: Vec<Stored<'_>> = batches(&bytes).collect();
        let told: Vec<_> =
            found.iter().map(|b| (b.base_offset, b.is_readable, b.producer)).collect();
        assert_eq!(told, [(3, true, None), (5, true, Some(producer)), (6, false, None)]);
        assert!(!found[0].is_control && !found[0].is_transactional);
    }

    #[test]
    fn bytes_that_are_no_batch_are_none() {
        let mut negative = batch(0, 1, None);
        negative[8] = 0xff;
        for bytes in [&[][..], &[0; 11], &negative] {
            assert_eq!(batches(bytes).count(), 0);
        }
        assert_eq!(batches(&[0; 12]).filter(|batch| batch.is_readable).count(), 0);
    }

    #[test]
    fn attributes_tell_of_transactions() {
        let mut bytes = batch(0, 1, None);
        bytes[22] = (TRANSACTIONAL | CONTROL) as u8;
        let found = batches(&bytes).next().expect("one batch");
        assert!(found.is_control && found.is_transactional);
    }
}
