//! Records in memory.
//!
//! A segment's bytes lie in blocks, which end where batches end. They are cut as the state's index
//! cuts a segment, so a read begins at a block's first byte. Sealed blocks are shared with whoever
//! has read of them, and sealed segments with frozen copies. Only the last block of a segment
//! grows, and it is small: so nothing large is ever copied.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use state_machine::ids::{Millis, Offset};
use state_machine::topics::partitions::{MARK_BYTES, PART_BYTES};
use state_machine::values::{Piece, Place, StoredBatch};

use super::batch::{self, NoBatch};
use super::damaged;

/// Every so many bytes of a block there is a [`Skip`]. Small batches are many, and readers mostly
/// want the newest.
const SKIP_BYTES: usize = 4 * 1024;

/// A batch within a block, from which a reader may begin to look.
#[derive(Debug, Clone, Copy)]
struct Skip {
    /// The batch's first offset.
    offset: Offset,
    /// Where it begins in the block.
    at: u32,
}

/// Where in a block to begin to look for an offset.
fn skip_to(skips: &[Skip], offset: Offset) -> usize {
    let later = skips.partition_point(|skip| skip.offset <= offset);
    later.checked_sub(1).map_or(0, |last| skips[last].at as usize)
}

/// Batches that will not move any more.
#[derive(Debug, Clone)]
struct Block {
    /// Where it ends in its segment.
    end: u64,
    bytes: Bytes,
    /// Shared, because frozen copies share the bytes too.
    skips: Arc<[Skip]>,
}

impl Block {
    fn begin(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }
}

/// A run of batches.
#[derive(Debug, Clone, Default)]
struct Segment {
    sealed: Vec<Block>,
    tail: Vec<u8>,
    tail_skips: Vec<Skip>,
}

impl Segment {
    /// Where the tail begins.
    fn sealed_len(&self) -> u64 {
        self.sealed.last().map_or(0, |last| last.end)
    }

    fn len(&self) -> u64 {
        self.sealed_len() + self.tail.len() as u64
    }

    /// The tail becomes a block of exactly its size.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let (end, tail) = (self.len(), std::mem::take(&mut self.tail));
            let skips = std::mem::take(&mut self.tail_skips).into();
            self.sealed.push(Block { end, bytes: tail.into_boxed_slice().into(), skips });
        }
    }

    /// Puts a batch at the end, and gives it as it lies there.
    fn push(&mut self, bytes: &[u8], offset: Offset) -> &mut [u8] {
        if self.tail.len() + bytes.len() > MARK_BYTES as usize {
            self.seal();
        }
        let begin = self.tail.len();
        let since = self.tail_skips.last().map_or(0, |skip| skip.at as usize);
        if let (true, Ok(at)) = (begin - since >= SKIP_BYTES, u32::try_from(begin)) {
            self.tail_skips.push(Skip { offset, at });
        }
        self.tail.extend_from_slice(bytes);
        &mut self.tail[begin..]
    }

    /// Reads the batches that have records of these offsets and lie in these bytes.
    fn read(
        &self,
        bytes: &Range<u64>,
        offsets: &Range<Offset>,
        batches: &mut Vec<StoredBatch>,
    ) -> io::Result<()> {
        if bytes.end > self.len() || bytes.start > bytes.end {
            return Err(damaged("a segment is shorter than what is read of it"));
        }
        let first = self.sealed.partition_point(|block| block.end <= bytes.start);
        for block in &self.sealed[first..] {
            if block.begin() >= bytes.end {
                return Ok(());
            }
            let part = part(block.begin()..block.end, bytes);
            let selected = select(&block.bytes, part, &block.skips, offsets)?;
            batch::split(block.bytes.slice(selected), batches)?;
        }
        if self.sealed_len() < bytes.end {
            let part = part(self.sealed_len()..self.len(), bytes);
            let selected = select(&self.tail, part, &self.tail_skips, offsets)?;
            // It grows where it lies, so what is read of it is a copy, but only one.
            batch::split(Bytes::copy_from_slice(&self.tail[selected]), batches)?;
        }
        Ok(())
    }

    /// How many bytes of memory it holds, used or not, beside sealed blocks.
    fn own_memory(&self) -> usize {
        size_of::<Self>()
            + self.sealed.capacity() * size_of::<Block>()
            + self.tail.capacity()
            + self.tail_skips.capacity() * size_of::<Skip>()
    }
}

/// Where, in a part of a block, the batches lie that have records of these offsets.
fn select(
    block: &[u8],
    part: Range<usize>,
    skips: &[Skip],
    offsets: &Range<Offset>,
) -> Result<Range<usize>, NoBatch> {
    let begin = part.start.max(skip_to(skips, offsets.start)).min(part.end);
    let selected = batch::select(&block[begin..part.end], offsets)?;
    Ok(begin + selected.start..begin + selected.end)
}

/// Which part of a block lies in a range, counted from where the block begins.
fn part(block: Range<u64>, range: &Range<u64>) -> Range<usize> {
    let within = |at: u64| (at.clamp(block.start, block.end) - block.start) as usize;
    within(range.start)..within(range.end)
}

/// The segments of one log by their first offset.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Vec<(Offset, Arc<Segment>)>);

impl Log {
    fn segment(&self, base_offset: Offset) -> Option<&Segment> {
        let at = self.0.binary_search_by_key(&base_offset, |(base, _)| *base).ok()?;
        Some(&self.0[at].1)
    }

    /// Appends a batch, which is whole, and fills it in.
    pub(super) fn append(
        &mut self,
        place: Place,
        bytes: &[u8],
        base_offset: Offset,
        appended: Option<Millis>,
    ) -> io::Result<()> {
        let last = self.0.last().map(|(base, segment)| (*base, segment.len()));
        let begins = place.position == 0 && last.is_none_or(|(base, _)| base < place.segment);
        if begins {
            self.begin(place.segment);
        } else if last != Some((place.segment, place.position.into())) {
            return Err(damaged("a batch does not stand where its log ends"));
        }
        let (_, segment) = self.0.last_mut().expect("the segment of the batch");
        let batch = Arc::make_mut(segment).push(bytes, base_offset);
        batch::fill_in(batch, base_offset, appended);
        Ok(())
    }

    /// Begins a segment. The last one will not grow any more.
    fn begin(&mut self, segment: Offset) {
        if let Some((_, last)) = self.0.last_mut() {
            let last = Arc::make_mut(last);
            last.seal();
            last.sealed.shrink_to_fit();
        }
        self.0.push((segment, Arc::default()));
    }

    /// Drops segments, by their first offsets.
    pub(super) fn trim(&mut self, segments: &[Offset]) {
        self.0.retain(|(base, _)| segments.binary_search(base).is_err());
    }

    /// Whether a segment was dropped since.
    pub(super) fn begins_after(&self, segment: Offset) -> bool {
        self.0.first().is_none_or(|(first, _)| segment < *first)
    }

    /// Adds a segment whose batches are filled in already.
    pub(super) fn restore<'a>(
        &mut self,
        segment: Offset,
        batches: impl Iterator<Item = (Offset, &'a [u8])>,
    ) {
        self.begin(segment);
        let (_, segment) = self.0.last_mut().expect("it has begun");
        let segment = Arc::make_mut(segment);
        for (offset, batch) in batches {
            segment.push(batch, offset);
        }
        segment.tail.shrink_to_fit();
    }

    pub(super) fn read(
        &self,
        piece: &Piece,
        offsets: &Range<Offset>,
        batches: &mut Vec<StoredBatch>,
    ) -> io::Result<()> {
        let segment = self.segment(piece.segment).ok_or_else(|| damaged("a segment is missing"))?;
        segment.read(&piece.bytes, offsets, batches)
    }

    /// Some bytes of a segment.
    pub(super) fn range(&self, segment: Offset, range: &Range<u64>) -> io::Result<Bytes> {
        let segment = self.segment(segment).ok_or_else(|| damaged("a segment is missing"))?;
        if range.start > range.end || range.end > segment.len() {
            return Err(damaged("a segment is shorter than what is read of it"));
        }
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let first = segment.sealed.partition_point(|block| block.end <= range.start);
        for block in &segment.sealed[first..] {
            bytes.extend_from_slice(&block.bytes[part(block.begin()..block.end, range)]);
            if block.end >= range.end {
                return Ok(bytes.into());
            }
        }
        let tail = segment.sealed_len()..segment.len();
        bytes.extend_from_slice(&segment.tail[part(tail, range)]);
        Ok(bytes.into())
    }

    /// How many bytes, about, a clone costs: copied at once, or with the next append.
    pub(super) fn clone_cost(&self) -> usize {
        let last = self.0.last().map_or(0, |(_, segment)| segment.own_memory());
        last + PART_BYTES * (1 + self.0.len())
    }

    /// How many bytes of memory it holds, used or not, without what the allocator adds.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let block = |block: &Block| block.bytes.len() + size_of_val(&*block.skips);
        let sealed = |segment: &Segment| segment.sealed.iter().map(block).sum::<usize>();
        self.0.iter().map(|(_, segment)| segment.own_memory() + sealed(segment)).sum()
    }
}
