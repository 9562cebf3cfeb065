//! The walk over a body before it is decoded.
//!
//! kafka-protocol's decoder asks the allocator for as many elements as an array announces, and the
//! allocator ends the process when it cannot deliver: four bytes are enough for 512 GiB. So every
//! body is walked first, by the table of [`shapes`](crate::shapes), and nothing is allocated on the
//! way. A body that passes holds, for every array, at least the fewest bytes that its elements can
//! take; what the decoder then allocates is at most 64 times the body.
//!
//! The walk also refuses what the decoder reads otherwise than Kafka does: variable-length integers
//! of more than 32 bits, and known tagged fields of another size than their tag says.

use crate::Malformed;
use crate::shapes::{Body, Field, Fields, Kind};

/// Walks the body of a request. What follows the last field is ignored, as Kafka does.
pub(crate) fn walk(body: &Body, version: i16, bytes: &[u8]) -> Result<(), Malformed> {
    let mut walk = Walk { left: bytes, version, flexible: version >= body.flexible_from };
    walk.fields(body.fields)
}

/// Reads primitive values; the bytes are those that are left.
struct Walk<'a> {
    left: &'a [u8],
    version: i16,
    flexible: bool,
}

impl<'a> Walk<'a> {
    fn fields(&mut self, fields: Fields) -> Result<(), Malformed> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.field(field)?;
            }
        }
        if self.flexible { self.tags(fields) } else { Ok(()) }
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Malformed> {
        let nullable = field.null_from <= self.version;
        if nullable && let Kind::Struct(fields) = field.kind {
            // One byte in front says whether the struct is there.
            return match self.take(field.name, 1)?[0] as i8 {
                present if present >= 0 => self.fields(fields),
                _ => Ok(()),
            };
        }
        match self.value(field.name, &field.kind)? {
            Found::Value => Ok(()),
            Found::Null if nullable => Ok(()),
            Found::Null => Err(Malformed::Null { field: field.name }),
        }
    }

    fn value(&mut self, name: &'static str, kind: &Kind) -> Result<Found, Malformed> {
        match *kind {
            Kind::Fixed(size) => _ = self.take(name, size as u64)?,
            Kind::Struct(fields) => self.fields(fields)?,
            Kind::Text => {
                let Some(length) = self.length(name, 2)? else { return Ok(Found::Null) };
                utf8(name, self.take(name, length)?)?;
            }
            Kind::Blob => {
                let Some(length) = self.length(name, 4)? else { return Ok(Found::Null) };
                self.take(name, length)?;
            }
            Kind::List(element) => {
                let Some(count) = self.length(name, 4)? else { return Ok(Found::Null) };
                self.elements(name, element, count)?;
            }
        }
        Ok(Found::Value)
    }

    fn elements(
        &mut self,
        field: &'static str,
        element: &Kind,
        count: u64,
    ) -> Result<(), Malformed> {
        let least = least_size(element, self.version, self.flexible).max(1);
        let left = self.left.len();
        if count > (left / least) as u64 {
            return Err(Malformed::Count { field, count, least, left });
        }
        if let Kind::Fixed(size) = element {
            self.take(field, count * *size as u64)?;
            return Ok(());
        }
        for _ in 0..count {
            if let Found::Null = self.value(field, element)? {
                return Err(Malformed::Null { field });
            }
        }
        Ok(())
    }

    fn tags(&mut self, fields: Fields) -> Result<(), Malformed> {
        const TAGS: &str = "tagged fields";
        let count = u64::from(self.varint(TAGS)?);
        let left = self.left.len();
        if count > (left / 2) as u64 {
            return Err(Malformed::Count { field: TAGS, count, least: 2, left });
        }
        for _ in 0..count {
            let tag = self.varint(TAGS)?;
            let size = u64::from(self.varint(TAGS)?);
            let value = self.take(TAGS, size)?;
            if let Some(field) = fields.iter().find(|field| field.tag == Some(tag)) {
                self.tagged(field, value)?;
            }
        }
        Ok(())
    }

    fn tagged(&self, field: &'static Field, value: &'a [u8]) -> Result<(), Malformed> {
        if !field.is_in(self.version) {
            return Err(Malformed::TagVersion { field: field.name, version: self.version });
        }
        let mut inner = Walk { left: value, version: self.version, flexible: self.flexible };
        inner.field(field)?;
        if !inner.left.is_empty() {
            let used = value.len() - inner.left.len();
            return Err(Malformed::TagSize { field: field.name, used, size: value.len() });
        }
        Ok(())
    }

    /// A length, or `None` for null: compact, or with so many bytes of its own.
    fn length(&mut self, field: &'static str, width: u64) -> Result<Option<u64>, Malformed> {
        if self.flexible {
            return Ok(self.varint(field)?.checked_sub(1).map(u64::from));
        }
        let bytes = self.take(field, width)?;
        let length = match *bytes {
            [a, b] => i64::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            _ => unreachable!("lengths have two or four bytes"),
        };
        match length {
            -1 => Ok(None),
            length => {
                length.try_into().map(Some).map_err(|_| Malformed::Negative { field, length })
            }
        }
    }

    fn varint(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let (value, used) = unsigned_varint(field, self.left)?;
        self.left = &self.left[used..];
        Ok(value)
    }

    fn take(&mut self, field: &'static str, needed: u64) -> Result<&'a [u8], Malformed> {
        let left = self.left.len();
        let short = Malformed::Short { field, needed, left };
        let Ok(size) = usize::try_from(needed) else { return Err(short) };
        let (taken, rest) = self.left.split_at_checked(size).ok_or(short)?;
        self.left = rest;
        Ok(taken)
    }
}

enum Found {
    Value,
    Null,
}

/// An unsigned integer of variable length, and how many bytes it takes.
pub(crate) fn unsigned_varint(
    field: &'static str,
    bytes: &[u8],
) -> Result<(u32, usize), Malformed> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| Malformed::Varint { field })?;
            return Ok((value, at + 1));
        }
    }
    match bytes.len() {
        left @ 0..5 => Err(Malformed::Short { field, needed: left as u64 + 1, left }),
        _ => Err(Malformed::Varint { field }),
    }
}

/// The string that the bytes are.
pub(crate) fn utf8<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Malformed> {
    str::from_utf8(bytes)
        .map_err(|error| Malformed::Utf8 { field, valid_up_to: error.valid_up_to() })
}

/// The fewest bytes that a value of this kind takes.
fn least_size(kind: &Kind, version: i16, flexible: bool) -> usize {
    match kind {
        Kind::Fixed(size) => *size,
        Kind::Text if !flexible => 2,
        Kind::Blob | Kind::List(_) if !flexible => 4,
        Kind::Text | Kind::Blob | Kind::List(_) => 1,
        Kind::Struct(fields) => {
            let least = |field: &Field| match field.kind {
                Kind::Struct(_) if field.null_from <= version => 1,
                kind => least_size(&kind, version, flexible),
            };
            let there = |field: &&Field| field.tag.is_none() && field.is_in(version);
            let sum: usize = fields.iter().filter(there).map(least).sum();
            sum + usize::from(flexible)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Walk, unsigned_varint};
    use crate::Malformed;
    use crate::shapes::{Field, Fields, Kind};

    const INNER: Fields = &[Field {
        name: "inner",
        kind: Kind::Fixed(2),
        first: 0,
        last: i16::MAX,
        null_from: i16::MAX,
        tag: None,
    }];
    const OUTER: Fields = &[Field {
        name: "outer",
        kind: Kind::Struct(INNER),
        first: 0,
        last: i16::MAX,
        null_from: 0,
        tag: None,
    }];

    fn outer(bytes: &[u8]) -> Result<usize, Malformed> {
        let mut walk = Walk { left: bytes, version: 0, flexible: true };
        walk.fields(OUTER)?;
        Ok(walk.left.len())
    }

    #[test]
    fn a_nullable_struct_has_a_byte_in_front() {
        assert_eq!(outer(&[0xff, 0]), Ok(0));
        assert_eq!(outer(&[1, 7, 7, 0, 0]), Ok(0));
        let short = Malformed::Short { field: "inner", needed: 2, left: 1 };
        assert_eq!(outer(&[1, 7]), Err(short));
    }

    #[test]
    fn varints_have_at_most_32_bits() {
        let read = |bytes| unsigned_varint("x", bytes);
        assert_eq!(read(&[0x7f]), Ok((127, 1)));
        assert_eq!(read(&[0x80, 0x01, 9]), Ok((128, 2)));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, 5)));
        let varint = Err(Malformed::Varint { field: "x" });
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]), varint);
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), varint);
        let short = Err(Malformed::Short { field: "x", needed: 3, left: 2 });
        assert_eq!(read(&[0x80, 0x80]), short);
    }
}
