//! The bytes of one record, read from a stream.

use std::io::{self, BufRead};
use std::ops::Range;

use super::error::RecordFault;

/// A record: where its parts lie, counted from the first byte of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<Range<u64>>,
    pub(crate) value: Option<Range<u64>>,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The stream gives no more, for a reason of its own.
    Stream(io::Error),
    Record(RecordFault),
}

impl From<RecordFault> for Fault {
    fn from(fault: RecordFault) -> Self {
        Self::Record(fault)
    }
}

/// A stream of records that counts its bytes.
pub(crate) struct Stream<R> {
    from: R,
    position: u64,
}

impl<R: BufRead> Stream<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, position: 0 }
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Fault> {
        self.from.fill_buf().map(<[u8]>::is_empty).map_err(Fault::Stream)
    }

    /// What the records were read from.
    pub(crate) fn into_inner(self) -> R {
        self.from
    }

    /// The next record. `on_header` gets where each header's key and value lie.
    pub(crate) fn record(
        &mut self,
        mut on_header: impl FnMut(Range<u64>, Option<Range<u64>>),
    ) -> Result<Raw, Fault> {
        let length = self.varint()?;
        let negative = |field, length, least| RecordFault::Negative { field, length, least };
        let within = match u64::try_from(length) {
            Ok(length) => self.position..self.position + length,
            Err(_) => return Err(negative("length", length, 0).into()),
        };
        self.skip(1, &within)?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let key = self.blob("key length", &within)?;
        let value = self.blob("value length", &within)?;
        let headers = self.varint()?;
        if headers < 0 {
            return Err(negative("header count", headers, 0).into());
        }
        for _ in 0..headers {
            let Some(key) = self.blob("header key length", &within)? else {
                return Err(negative("header key length", -1, 0).into());
            };
            let value = self.blob("header value length", &within)?;
            on_header(key, value);
        }
        if self.position != within.end {
            return Err(self.not_within(&within).into());
        }
        Ok(Raw { timestamp_delta, offset_delta, key, value })
    }

    /// The fault of a record whose fields end here.
    fn not_within(&self, within: &Range<u64>) -> RecordFault {
        let length = within.end - within.start;
        RecordFault::Length { used: self.position - within.start, length }
    }

    /// Bytes with their length in front, within a record; -1 is null.
    fn blob(
        &mut self,
        field: &'static str,
        within: &Range<u64>,
    ) -> Result<Option<Range<u64>>, Fault> {
        let length = self.varint()?;
        match u64::try_from(length) {
            Ok(size) => {
                let begin = self.position;
                self.skip(size, within)?;
                Ok(Some(begin..self.position))
            }
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(RecordFault::Negative { field, length, least: -1 }.into()),
        }
    }

    fn skip(&mut self, size: u64, within: &Range<u64>) -> Result<(), Fault> {
        if size > within.end.saturating_sub(self.position) {
            // More than the record has: no need to look whether the stream has it.
            self.position += size;
            return Err(self.not_within(within).into());
        }
        let mut left = size;
        while left > 0 {
            let there = self.from.fill_buf().map_err(Fault::Stream)?.len();
            if there == 0 {
                return Err(RecordFault::Cut.into());
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(there);
            self.from.consume(taken);
            left -= taken as u64;
        }
        self.position += size;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.from.fill_buf().map_err(Fault::Stream)?.first().ok_or(RecordFault::Cut)?;
        self.from.consume(1);
        self.position += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<i32, Fault> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| RecordFault::Varint(32))?;
                return Ok((value >> 1) as i32 ^ -((value & 1) as i32));
            }
        }
        Err(RecordFault::Varint(32).into())
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        let mut value = 0u128;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u64::try_from(value).map_err(|_| RecordFault::Varint(64))?;
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(RecordFault::Varint(64).into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Stream};
    use crate::batch::error::RecordFault;

    #[test]
    fn integers_are_zigzag() {
        let read = |bytes: &[u8]| Stream::new(bytes).varint().ok();
        assert_eq!(read(&[0]), Some(0));
        assert_eq!(read(&[1]), Some(-1));
        assert_eq!(read(&[0xd8, 0x04]), Some(300));
        assert_eq!(read(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), Some(i32::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(i32::MIN));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        let read = |bytes: &[u8]| Stream::new(bytes).varlong().ok();
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(read(&most), Some(i64::MIN));
        most[0] = 0xfe;
        assert_eq!(read(&most), Some(i64::MAX));
        most[9] = 2;
        assert_eq!(read(&most), None);
        let cut = Stream::new([0x80].as_slice()).varint();
        assert!(matches!(cut, Err(Fault::Record(RecordFault::Cut))));
    }
}
