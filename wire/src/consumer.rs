//! What the members of a classic consumer group say to each other: the bytes that JoinGroup and
//! SyncGroup carry for the protocol type `consumer`.
//!
//! A broker passes these bytes on as they are. It reads them to describe a group, and to refuse to
//! delete offsets of topics that are read. Versions 0 to 3 are known; a newer one begins with the
//! fields of version 3, and is read as such. What follows the last field is ignored.
//!
//! The module does not know groups, nor how partitions are assigned.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Malformed;
use crate::walk::utf8;

/// The newest version.
pub const NEWEST: i16 = 3;

/// A topic and some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicPartitions {
    /// The topic's name.
    pub topic: String,
    /// The partitions' numbers.
    pub partitions: Vec<i32>,
}

/// What a member wants to read, and what it holds: the metadata in JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The version that it is in, or is to be written in: 0 to [`NEWEST`].
    pub version: i16,
    /// The topics that it wants to read.
    pub topics: Vec<String>,
    /// What the member's assignor tells the others.
    pub user_data: Option<Bytes>,
    /// What the member holds; from version 1 on.
    pub owned: Vec<TopicPartitions>,
    /// The generation in which it got that, or -1; from version 2 on.
    pub generation: i32,
    /// The member's rack; from version 3 on.
    pub rack: Option<String>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            version: NEWEST,
            topics: Vec::new(),
            user_data: None,
            owned: Vec::new(),
            generation: -1,
            rack: None,
        }
    }
}

impl Subscription {
    /// Reads a subscription.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { left: bytes };
        let version = reader.version("subscription")?;
        let topics = reader.list("topics", 2, |reader| reader.text("topic"))?;
        let user_data = reader.blob("user_data")?;
        let mut read = Self { version, topics, user_data, ..Self::default() };
        // Some clients say version 1 and write the fields of version 0.
        if version >= 1 && !reader.left.is_empty() {
            read.owned = reader.topic_partitions("owned_partitions")?;
        }
        if version >= 2 && !reader.left.is_empty() {
            read.generation = reader.int32("generation_id")?;
        }
        if version >= 3 && !reader.left.is_empty() {
            read.rack = reader.nullable_text("rack_id")?;
        }
        Ok(read)
    }

    /// The bytes. Fields that the version does not have are left out.
    ///
    /// # Panics
    ///
    /// If a name has more than 32,767 bytes, or the user data 2 GiB.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(self.version);
        put_count(&mut bytes, self.topics.len());
        for topic in &self.topics {
            put_text(&mut bytes, topic);
        }
        put_blob(&mut bytes, self.user_data.as_deref());
        if self.version >= 1 {
            put_topic_partitions(&mut bytes, &self.owned);
        }
        if self.version >= 2 {
            bytes.put_i32(self.generation);
        }
        match &self.rack {
            Some(rack) if self.version >= 3 => put_text(&mut bytes, rack),
            None if self.version >= 3 => bytes.put_i16(-1),
            _ => {}
        }
        bytes.freeze()
    }
}

/// What a member is to read: the assignment in SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The version that it is in, or is to be written in: 0 to [`NEWEST`], which are all alike.
    pub version: i16,
    /// What the member is to read.
    pub partitions: Vec<TopicPartitions>,
    /// What the assignor tells the member.
    pub user_data: Option<Bytes>,
}

impl Default for Assignment {
    fn default() -> Self {
        Self { version: NEWEST, partitions: Vec::new(), user_data: None }
    }
}

impl Assignment {
    /// Reads an assignment. A member that gets nothing may have no bytes at all, which is not an
    /// assignment: the caller has to look before.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { left: bytes };
        let version = reader.version("assignment")?;
        let partitions = reader.topic_partitions("assigned_partitions")?;
        let user_data = reader.blob("user_data")?;
        Ok(Self { version, partitions, user_data })
    }

    /// The bytes.
    ///
    /// # Panics
    ///
    /// If a name has more than 32,767 bytes, or the user data 2 GiB.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(self.version);
        put_topic_partitions(&mut bytes, &self.partitions);
        put_blob(&mut bytes, self.user_data.as_deref());
        bytes.freeze()
    }
}

fn put_count(bytes: &mut BytesMut, count: usize) {
    bytes.put_i32(i32::try_from(count).expect("counts and lengths below 2^31"));
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(i16::try_from(text.len()).expect("names of at most 32,767 bytes"));
    bytes.put_slice(text.as_bytes());
}

fn put_blob(bytes: &mut BytesMut, blob: Option<&[u8]>) {
    match blob {
        None => bytes.put_i32(-1),
        Some(blob) => {
            put_count(bytes, blob.len());
            bytes.put_slice(blob);
        }
    }
}

fn put_topic_partitions(bytes: &mut BytesMut, all: &[TopicPartitions]) {
    put_count(bytes, all.len());
    for TopicPartitions { topic, partitions } in all {
        put_text(bytes, topic);
        put_count(bytes, partitions.len());
        for partition in partitions {
            bytes.put_i32(*partition);
        }
    }
}

/// Reads fields; the bytes are those that are left.
struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, field: &'static str, size: usize) -> Result<&'a [u8], Malformed> {
        let left = self.left.len();
        let short = Malformed::Short { field, needed: size as u64, left };
        let (taken, rest) = self.left.split_at_checked(size).ok_or(short)?;
        self.left = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let taken = self.take(field, N)?;
        Ok(*taken.first_chunk().expect("as many bytes as were asked for"))
    }

    fn int32(&mut self, field: &'static str) -> Result<i32, Malformed> {
        self.chunk(field).map(i32::from_be_bytes)
    }

    fn version(&mut self, what: &'static str) -> Result<i16, Malformed> {
        match self.chunk("version").map(i16::from_be_bytes)? {
            version if version < 0 => {
                Err(Malformed::Version { what, version, least: 0, most: NEWEST })
            }
            version => Ok(version.min(NEWEST)),
        }
    }

    fn nullable_text(&mut self, field: &'static str) -> Result<Option<String>, Malformed> {
        match self.chunk(field).map(i16::from_be_bytes)? {
            -1 => Ok(None),
            length => {
                let size = size(field, length.into())?;
                utf8(field, self.take(field, size)?).map(|text| Some(text.to_owned()))
            }
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, Malformed> {
        self.nullable_text(field)?.ok_or(Malformed::Null { field })
    }

    fn blob(&mut self, field: &'static str) -> Result<Option<Bytes>, Malformed> {
        match self.int32(field)? {
            -1 => Ok(None),
            length => {
                let size = size(field, length)?;
                self.take(field, size).map(|bytes| Some(Bytes::copy_from_slice(bytes)))
            }
        }
    }

    /// An array, whose elements take so many bytes at least. Null is none.
    fn list<T>(
        &mut self,
        field: &'static str,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = match self.int32(field)? {
            -1 => 0,
            count => size(field, count)?,
        };
        let left = self.left.len();
        if count > left / least {
            return Err(Malformed::Count { field, count: count as u64, least, left });
        }
        (0..count).map(|_| element(self)).collect()
    }

    fn topic_partitions(&mut self, field: &'static str) -> Result<Vec<TopicPartitions>, Malformed> {
        self.list(field, 6, |reader| {
            let topic = reader.text("topic")?;
            let partitions = reader.list("partitions", 4, |reader| reader.int32("partition"))?;
            Ok(TopicPartitions { topic, partitions })
        })
    }
}

fn size(field: &'static str, length: i32) -> Result<usize, Malformed> {
    usize::try_from(length).map_err(|_| Malformed::Negative { field, length: length.into() })
}
