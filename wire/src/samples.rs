//! Well-formed bodies of requests, made from the table of shapes: for tests, here and elsewhere.

use crate::shapes::{self, Field, Fields, Kind};

/// A well-formed body.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The body.
    pub bytes: Vec<u8>,
    /// Where the lengths of its arrays are.
    pub arrays: Vec<Array>,
}

/// The length of an array within a body.
#[derive(Debug, Clone, Copy)]
pub struct Array {
    /// The array's name.
    pub name: &'static str,
    /// Where its length begins.
    pub at: usize,
    /// How many bytes the length takes.
    pub width: usize,
    /// Whether it is compact: a varint, one more than the count.
    pub compact: bool,
}

impl Sample {
    /// The same body, but this array announces the most elements that a length can say.
    pub fn with_longest(&self, array: Array) -> Vec<u8> {
        let most: &[u8] =
            if array.compact { &[0xff, 0xff, 0xff, 0xff, 0x0f] } else { &[0x7f, 0xff, 0xff, 0xff] };
        let mut bytes = self.bytes[..array.at].to_vec();
        bytes.extend_from_slice(most);
        bytes.extend_from_slice(&self.bytes[array.at + array.width..]);
        bytes
    }
}

/// Whether the request's header and body have tagged fields; `None` if it is not understood.
pub fn is_flexible(key: i16, version: i16) -> Option<bool> {
    shapes::find(key).map(|body| version >= body.flexible_from)
}

/// A body of this request with `elements` elements in each array. The rest, down to what is null,
/// follows from the seed; with the seed 0 nothing is null and every tagged field is there.
pub fn body(key: i16, version: i16, elements: u32, seed: u64) -> Option<Sample> {
    let body = shapes::find(key)?;
    let flexible = version >= body.flexible_from;
    let sample = Sample { bytes: Vec::new(), arrays: Vec::new() };
    let mut writer = Writer { sample, version, flexible, elements, full: seed == 0, seed };
    writer.fields(body.fields);
    Some(writer.sample)
}

struct Writer {
    sample: Sample,
    version: i16,
    flexible: bool,
    elements: u32,
    full: bool,
    seed: u64,
}

impl Writer {
    /// The next number of a splitmix64 sequence.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fields(&mut self, fields: Fields) {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if field.is_in(self.version) {
                self.field(field);
            }
        }
        if self.flexible {
            self.tags(fields);
        }
    }

    fn field(&mut self, field: &Field) {
        let nullable = field.null_from <= self.version;
        let null = nullable && !self.full && self.random().is_multiple_of(4);
        match (field.kind, null) {
            (kind, false) => self.value(field.name, &kind),
            (_, true) if self.flexible => self.sample.bytes.push(0),
            (Kind::Text, true) => self.sample.bytes.extend_from_slice(&[0xff; 2]),
            (_, true) => self.sample.bytes.extend_from_slice(&[0xff; 4]),
        }
    }

    fn value(&mut self, name: &'static str, kind: &Kind) {
        match *kind {
            // Booleans among them, which are written as 0 or 1.
            Kind::Fixed(1) => {
                let byte = u8::from(self.full || self.random().is_multiple_of(2));
                self.sample.bytes.push(byte);
            }
            Kind::Fixed(size) => {
                for _ in 0..size {
                    let byte = self.random() as u8;
                    self.sample.bytes.push(byte);
                }
            }
            Kind::Struct(fields) => self.fields(fields),
            Kind::Text => {
                let text = ["", "a", "the-name", "größer", "x.y_z-0123456789"];
                let text = text[(self.random() % text.len() as u64) as usize];
                self.length(text.len() as u32, 2);
                self.sample.bytes.extend_from_slice(text.as_bytes());
            }
            Kind::Blob => {
                let size = self.random() % 40;
                self.length(size as u32, 4);
                let byte = self.random() as u8;
                self.sample.bytes.extend((0..size).map(|at| byte.wrapping_add(at as u8)));
            }
            Kind::List(element) => {
                let at = self.sample.bytes.len();
                self.length(self.elements, 4);
                let width = self.sample.bytes.len() - at;
                self.sample.arrays.push(Array { name, at, width, compact: self.flexible });
                for _ in 0..self.elements {
                    self.value(name, element);
                }
            }
        }
    }

    fn length(&mut self, length: u32, width: usize) {
        if self.flexible {
            self.varint(length + 1);
        } else {
            self.sample.bytes.extend_from_slice(&length.to_be_bytes()[4 - width..]);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.sample.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.sample.bytes.push(value as u8);
    }

    /// Known tagged fields, and one that nobody knows.
    fn tags(&mut self, fields: Fields) {
        let mut tags = Vec::new();
        for field in fields {
            let Some(tag) = field.tag else { continue };
            if !field.is_in(self.version) {
                continue;
            }
            if self.full || self.random().is_multiple_of(2) {
                let before = self.sample.bytes.len();
                // Not null: a null is the default, and that is not written.
                self.value(field.name, &field.kind);
                tags.push((tag, self.sample.bytes.split_off(before)));
            }
        }
        if self.full || self.random().is_multiple_of(2) {
            tags.push((99, vec![1, 2, 3]));
        }
        self.varint(tags.len() as u32);
        for (tag, value) in tags {
            self.varint(tag);
            self.varint(value.len() as u32);
            self.sample.bytes.extend_from_slice(&value);
        }
    }
}
