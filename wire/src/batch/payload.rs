//! The four compressions, read as streams and within limits.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::RangeInclusive;

use super::error::BatchError;
use super::header::Codec;

/// What a batch may be at most. [`Limits::default`] is Kafka's, and against bombs what suits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest batch in bytes, its header included: the topic's `max.message.bytes`.
    pub max_batch: usize,
    /// Whether the request's version knows zstd: Produce 7 and newer.
    pub zstd: bool,
    /// Which timestamps records may have, in milliseconds. -1, no timestamp, is always allowed.
    /// The caller knows the time, and the topic's `message.timestamp.before.max.ms` and
    /// `message.timestamp.after.max.ms`.
    pub timestamps: RangeInclusive<i64>,
    /// Whether every record needs a key: the topic is compacted.
    pub keys_needed: bool,
    /// How many bytes of records one compressed byte may become.
    pub max_ratio: u64,
    /// Down to how many bytes of records the ratio does not matter. Records that are all alike
    /// shrink a thousandfold, and producers fill a batch by its size as it was compressed.
    pub ratio_from: u64,
    /// The most bytes of records, whatever the ratio.
    pub max_records_size: u64,
    /// The largest window of zstd in bytes: it is held in memory while a batch is checked. Kafka's
    /// own producers need up to 8 MiB below level 20.
    pub max_window: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_batch: 1024 * 1024 + 12,
            zstd: true,
            timestamps: i64::MIN..=i64::MAX,
            keys_needed: false,
            max_ratio: 64,
            ratio_from: 16 * 1024 * 1024,
            max_records_size: 128 * 1024 * 1024,
            max_window: 8 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The most bytes that so many compressed bytes may become.
    fn decompressed(&self, compressed: usize) -> u64 {
        let by_ratio = (compressed as u64).saturating_mul(self.max_ratio);
        by_ratio.max(self.ratio_from).min(self.max_records_size)
    }
}

/// How much of the decompressed records is held at a time, in bytes.
const BUFFER: usize = 16 * 1024;

/// What is done with a stream of records; the kind of stream depends on the compression.
pub(crate) trait Visit {
    type Output;
    fn visit<R: BufRead>(self, stream: R) -> Result<Self::Output, BatchError>;
}

/// Shows the decompressed payload of a batch to a visitor.
pub(crate) fn decompress<V: Visit>(
    codec: Codec,
    payload: &[u8],
    limits: &Limits,
    visitor: V,
) -> Result<V::Output, BatchError> {
    let limit = limits.decompressed(payload.len());
    let failed = |reason: String| BatchError::Payload { codec: name(codec), reason };
    match codec {
        Codec::None => visitor.visit(payload),
        Codec::Gzip => visitor.visit(bounded(Gzip::new(payload), limit)),
        Codec::Snappy => visitor.visit(bounded(Snappy::new(payload, limit), limit)),
        Codec::Lz4 => visitor.visit(bounded(Lz4::new(payload).map_err(failed)?, limit)),
        Codec::Zstd => {
            let stream = Zstd::new(payload, limits.max_window).map_err(failed)?;
            visitor.visit(bounded(stream, limit))
        }
    }
}

/// The name of a compression, as topics' settings have it.
pub(crate) fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::None => "none",
        Codec::Gzip => "gzip",
        Codec::Snappy => "snappy",
        Codec::Lz4 => "lz4",
        Codec::Zstd => "zstd",
    }
}

/// The error of a stream: a limit, or the decompressor's own.
pub(crate) fn stream_error(codec: Codec, payload: &[u8], error: &io::Error) -> BatchError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<OverLimit>()) {
        Some(OverLimit(limit)) => BatchError::Bomb { limit: *limit, compressed: payload.len() },
        None => BatchError::Payload { codec: name(codec), reason: error.to_string() },
    }
}

/// More came out of a decompressor than may.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct OverLimit(u64);

fn over(limit: u64) -> io::Error {
    io::Error::other(OverLimit(limit))
}

fn bounded<R: Read>(from: R, limit: u64) -> BufReader<Bounded<R>> {
    BufReader::with_capacity(BUFFER, Bounded { from, left: limit, limit })
}

/// A stream that fails once it has given more than it may.
struct Bounded<R> {
    from: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| over(self.limit))?;
        Ok(read)
    }
}

/// Fails unless a stream that has ended took all of the payload.
fn ended(left: &[u8]) -> io::Result<usize> {
    match left.len() {
        0 => Ok(0),
        left => Err(io::Error::other(format!("{left} bytes follow its end"))),
    }
}

/// One member. Java reads further ones; nobody writes them.
struct Gzip<'a>(flate2::bufread::GzDecoder<&'a [u8]>);

impl<'a> Gzip<'a> {
    fn new(payload: &'a [u8]) -> Self {
        Self(flate2::bufread::GzDecoder::new(payload))
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 if !into.is_empty() => ended(self.0.get_ref()),
            read => Ok(read),
        }
    }
}

/// One frame of blocks of at most 4 MiB.
struct Lz4<'a>(lz4_flex::frame::FrameDecoder<&'a [u8]>);

impl<'a> Lz4<'a> {
    const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

    fn new(payload: &'a [u8]) -> Result<Self, String> {
        // The decoder also knows an older kind of frame, with blocks of 8 MiB, which no reader of
        // Kafka knows.
        let Some(frame) = payload.strip_prefix(&Self::MAGIC) else {
            return Err("no frame, expected its magic number 0x184d2204".to_owned());
        };
        // It takes the end of the bytes for the end of a frame, of which other readers complain.
        match Self::after_frame(frame) {
            Some([]) => Ok(Self(lz4_flex::frame::FrameDecoder::new(payload))),
            Some(left) => Err(format!("{} bytes follow its end", left.len())),
            None => Err("the payload ends within the frame".to_owned()),
        }
    }

    /// What follows a frame, its magic number already taken; none if the frame does not end.
    fn after_frame(frame: &[u8]) -> Option<&[u8]> {
        let (&flags, rest) = frame.split_first()?;
        let size_of = |bit: u8, size| if flags & 1 << bit != 0 { size } else { 0 };
        // Block size and a checksum, and between them the content's size and a dictionary's id.
        let mut left = rest.get(2 + size_of(3, 8) + size_of(0, 4)..)?;
        loop {
            let (length, rest) = left.split_first_chunk::<4>()?;
            // The highest bit says that a block is not compressed; no length is the end mark.
            let length = u32::from_le_bytes(*length) & 0x7fff_ffff;
            if length == 0 {
                return rest.get(size_of(2, 4)..);
            }
            left = rest.get(length as usize + size_of(4, 4)..)?;
        }
    }
}

impl Read for Lz4<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// One frame, with a window of limited size.
struct Zstd<'a>(ruzstd::decoding::StreamingDecoder<&'a [u8], ruzstd::decoding::FrameDecoder>);

impl<'a> Zstd<'a> {
    fn new(payload: &'a [u8], max_window: u64) -> Result<Self, String> {
        let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size;
        decoder(payload, max_window).map(Self).map_err(|error| error.to_string())
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 if !into.is_empty() => ended(self.0.get_ref()),
            read => Ok(read),
        }
    }
}

/// One bare block, as librdkafka writes it, or chunks in xerial's frame, as Java does.
struct Snappy<'a> {
    left: &'a [u8],
    framed: bool,
    limit: u64,
    block: Vec<u8>,
    given: usize,
}

impl<'a> Snappy<'a> {
    const MAGIC: &'static [u8] = b"\x82SNAPPY\0";
    /// The magic, a version and the oldest version that can read it.
    const HEADER: usize = 16;

    fn new(payload: &'a [u8], limit: u64) -> Self {
        let framed = payload.len() >= Self::HEADER && payload.starts_with(Self::MAGIC);
        let left = if framed { &payload[Self::HEADER..] } else { payload };
        Self { left, framed, limit, block: Vec::new(), given: 0 }
    }

    /// The next block, compressed.
    fn next(&mut self) -> io::Result<&'a [u8]> {
        if !self.framed {
            return Ok(std::mem::take(&mut self.left));
        }
        let cut = || io::Error::other("the payload ends within a chunk");
        let (length, rest) = self.left.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        self.left = rest;
        Ok(block)
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.block.len() {
            if self.left.is_empty() {
                return Ok(0);
            }
            let block = self.next()?;
            // Three bytes become at most 64, so a length beyond that is a lie.
            let size = snap::raw::decompress_len(block).map_err(io::Error::other)?;
            if size as u64 > self.limit {
                return Err(over(self.limit));
            }
            if size / 22 > block.len() {
                let text = format!("a block of {} bytes announces {size}", block.len());
                return Err(io::Error::other(text));
            }
            self.block.resize(size, 0);
            let mut decoder = snap::raw::Decoder::new();
            let size = decoder.decompress(block, &mut self.block).map_err(io::Error::other)?;
            self.block.truncate(size);
            self.given = 0;
        }
        let read = (&self.block[self.given..]).read(into)?;
        self.given += read;
        Ok(read)
    }
}
