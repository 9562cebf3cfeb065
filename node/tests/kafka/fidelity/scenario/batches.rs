//! Batches that are compressed, and batches that are wrong.

use bytes::Bytes;
use wire::batch::{HEADER_SIZE, seal};

use super::requests::batch;

/// A batch with other bytes from an offset on. Its checksum is right.
pub fn with(at: usize, bytes: &[u8]) -> Bytes {
    let mut broken = batch(&["a", "b"]).to_vec();
    broken[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut broken);
    broken.into()
}

/// A batch with these attributes.
pub fn with_attributes(attributes: i16) -> Bytes {
    with(21, &attributes.to_be_bytes())
}

/// A batch whose checksum is wrong.
pub fn with_a_wrong_checksum() -> Bytes {
    let mut broken = batch(&["a", "b"]).to_vec();
    broken[17] ^= 0xff;
    broken.into()
}

/// A batch whose records are in the form of this codec, though no smaller.
pub fn compressed(codec: u8, values: &[&str]) -> Bytes {
    let plain = batch(values);
    let payload = &plain[HEADER_SIZE..];
    let stored = match codec {
        1 => gzip(payload),
        2 => snappy(payload),
        3 => lz4(payload),
        _ => zstd(payload),
    };
    with_payload(&plain, codec, &stored)
}

/// A batch with another payload.
pub fn with_payload(batch: &[u8], codec: u8, payload: &[u8]) -> Bytes {
    let mut batch = [&batch[..HEADER_SIZE], payload].concat();
    let length = (batch.len() - 12) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = codec;
    seal(&mut batch);
    batch.into()
}

/// One block that is stored (RFC 1951, 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1][..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        bytes,
        &(!crc).to_le_bytes(),
        &u32::from(length).to_le_bytes(),
    ]
    .concat()
}

/// One literal of up to 60 bytes, in the frame of the Java library.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u8;
    let block = [&[length, (length - 1) << 2][..], bytes].concat();
    let size = (block.len() as u32).to_be_bytes();
    [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &size, &block].concat()
}

/// One block that is stored, in a frame without checksums of its content.
fn lz4(bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u32 | 1 << 31).to_le_bytes();
    [&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82][..], &size, bytes, &[0; 4]].concat()
}

/// One block that is stored (RFC 8878), of up to 255 bytes.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let header = ((bytes.len() as u32) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, bytes.len() as u8][..], &header[..3], bytes].concat()
}
