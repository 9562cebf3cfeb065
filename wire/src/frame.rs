//! Frames: a length, a header, a body.
//!
//! The way of a request: [`frame_len`] judges the four bytes in front before memory is asked for,
//! [`head`] reads the header of what follows them, [`decode`] the body. The way of a reply:
//! [`encode`]. The version of a header follows from the request's key and version alone.
//!
//! The module does not know which requests a node serves now, nor in which order replies go.
//! [`request`] and [`reply`] are the client's side, for tests and tools; it also knows
//! [`versions::OF_CLIENTS`].

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::Encodable;

use crate::Malformed;
use crate::shapes;
use crate::versions::{self, API_VERSIONS, PRODUCE};
use crate::walk::{unsigned_varint, utf8, walk};

/// The longest frame of all, in bytes after the length: Kafka's `socket.request.max.bytes`.
pub const MAX_FRAME: usize = 100 * 1024 * 1024;

/// The longest frame of every request but Produce, in bytes after the length. Decoding takes up to
/// 64 times the frame, and only Produce carries records: 8 MiB are tens of thousands of partitions.
pub const MAX_FRAME_WITHOUT_RECORDS: usize = 8 * 1024 * 1024;

/// The longest frame before a client has authenticated, in bytes after the length: Kafka's
/// `sasl.server.max.receive.size`.
pub const MAX_FRAME_UNAUTHENTICATED: usize = 512 * 1024;

/// The shortest frame, in bytes after the length: key, version, correlation id.
pub const MIN_FRAME: usize = 8;

/// The longest frame of a request with this key, in bytes after the length.
pub const fn max_frame(key: i16) -> usize {
    if key == PRODUCE { MAX_FRAME } else { MAX_FRAME_WITHOUT_RECORDS }
}

/// Why the four bytes in front of a frame are not its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadLength {
    /// Below zero.
    #[error("frame length {0}, expected at least {MIN_FRAME}")]
    Negative(i32),
    /// Not enough for a header.
    #[error("frame length {0}, expected at least {MIN_FRAME}")]
    TooShort(usize),
    /// More than the limit.
    #[error("frame length {length}, expected at most {limit}")]
    TooLong {
        /// The length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The beginning of a TLS handshake.
    #[error("a TLS handshake, expected a Kafka frame: the listener speaks plain text")]
    Tls,
    /// The beginning of an HTTP request.
    #[error("an HTTP request, expected a Kafka frame")]
    Http,
}

/// How many bytes follow the first four of a frame.
pub fn frame_len(first_four: [u8; 4], limit: usize) -> Result<usize, BadLength> {
    let length = i32::from_be_bytes(first_four);
    let Ok(length) = usize::try_from(length) else { return Err(BadLength::Negative(length)) };
    match length {
        0..MIN_FRAME => Err(BadLength::TooShort(length)),
        _ if length <= limit => Ok(length),
        // A handshake record of TLS 1.0 to 1.3: 0x16, then 0x03 and the minor version.
        _ if first_four[..2] == [0x16, 0x03] => Err(BadLength::Tls),
        _ if looks_like_http(&first_four) => Err(BadLength::Http),
        _ => Err(BadLength::TooLong { length, limit }),
    }
}

fn looks_like_http(first_four: &[u8; 4]) -> bool {
    let methods: [&[u8; 4]; 9] =
        [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "];
    methods.contains(&first_four)
}

/// A request: its header, and its body in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which kind of request, one of [`versions::ALL`].
    pub key: i16,
    /// In which version, one that the kind serves.
    pub version: i16,
    /// What the reply has to repeat. Any number, repeats included.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// The body: a part of the frame, not a copy.
    pub body: Bytes,
}

/// Why there is no header, or none that can be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The key or the version is not understood, so the form of a reply is unknown too. Kafka
    /// closes the connection.
    #[error("request {key} in version {version}, expected one that is understood")]
    Unknown {
        /// The request's key.
        key: i16,
        /// The request's version.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// ApiVersions in a version that is not understood: answered with error 35 in the form of
    /// version 0, and the client asks again in an older version.
    #[error("ApiVersions in a version that is not understood")]
    UnsupportedApiVersions {
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// The bytes are no header.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads the header of a frame: of what follows the length.
pub fn head(frame: Bytes) -> Result<Head, HeadError> {
    let Some(([k0, k1, v0, v1, id @ ..], rest)) = frame.split_first_chunk::<MIN_FRAME>() else {
        let short = Malformed::Short { field: "header", needed: 8, left: frame.len() };
        return Err(short.into());
    };
    let key = i16::from_be_bytes([*k0, *k1]);
    let version = i16::from_be_bytes([*v0, *v1]);
    let correlation_id = i32::from_be_bytes(*id);
    if !versions::find(key).is_some_and(|api| api.serves(version)) {
        return Err(match key {
            API_VERSIONS => HeadError::UnsupportedApiVersions { correlation_id },
            _ => HeadError::Unknown { key, version, correlation_id },
        });
    }
    let (client_id, used) = client_id(rest)?;
    let mut at = MIN_FRAME + used;
    if is_flexible(key, version) {
        at += skip_tags(&frame[at..])?;
    }
    Ok(Head { key, version, correlation_id, client_id, body: frame.slice(at..) })
}

/// The client id and how many bytes it takes. It has an int16 in front in every version.
fn client_id(bytes: &[u8]) -> Result<(Option<String>, usize), Malformed> {
    let field = "client_id";
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return Err(Malformed::Short { field, needed: 2, left: bytes.len() });
    };
    let length = i16::from_be_bytes(*length);
    if length == -1 {
        return Ok((None, 2));
    }
    let Ok(size) = usize::try_from(length) else {
        return Err(Malformed::Negative { field, length: length.into() });
    };
    let short = Malformed::Short { field, needed: size as u64, left: rest.len() };
    let text = utf8(field, rest.get(..size).ok_or(short)?)?;
    Ok((Some(text.to_owned()), 2 + size))
}

/// How many bytes the header's tagged fields take. None of them means anything yet.
fn skip_tags(bytes: &[u8]) -> Result<usize, Malformed> {
    let field = "tagged fields of the header";
    let (count, mut at) = unsigned_varint(field, bytes)?;
    for _ in 0..count {
        let (_tag, used) = unsigned_varint(field, &bytes[at..])?;
        at += used;
        let (size, used) = unsigned_varint(field, &bytes[at..])?;
        at += used;
        let left = bytes.len() - at;
        if size as usize > left {
            return Err(Malformed::Short { field, needed: size.into(), left });
        }
        at += size as usize;
    }
    Ok(at)
}

/// Whether this version of this request has tagged fields in its header.
fn is_flexible(key: i16, version: i16) -> bool {
    match shapes::find(key) {
        Some(body) => version >= body.flexible_from,
        None => versions::of_clients(key).is_some(),
    }
}

/// Decodes a body.
///
/// What follows its last field is ignored. Nothing panics, and all that is allocated is at most
/// about 64 times the body.
pub fn decode(head: Head) -> Result<RequestKind, Malformed> {
    let Head { key, version, mut body, .. } = head;
    let (shape, api) = understood(key, version)?;
    if body.len() > max_frame(key) {
        return Err(Malformed::TooLong { key, length: body.len(), limit: max_frame(key) });
    }
    walk(shape, version, &body)?;
    bodies::decode(api, &mut body, version).map_err(|reason| Malformed::Decoder { reason })
}

/// The shape and the decoder's name of a request.
fn understood(key: i16, version: i16) -> Result<(&'static shapes::Body, ApiKey), Malformed> {
    let unknown = |least, most| Malformed::Version { what: "the request", version, least, most };
    let Some(api) = versions::find(key) else { return Err(unknown(0, -1)) };
    match (shapes::find(key), ApiKey::try_from(key)) {
        (Some(shape), Ok(name)) if api.serves(version) => Ok((shape, name)),
        _ => Err(unknown(api.min, api.max)),
    }
}

/// Why a reply cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No reply exists for this key and version.
    #[error("reply to request {key} in version {version}, expected one that is understood")]
    Unknown {
        /// The request's key.
        key: i16,
        /// The request's version.
        version: i16,
    },
    /// The body answers another request.
    #[error("the body answers request {body:?}, expected {key}")]
    WrongBody {
        /// The request's key.
        key: i16,
        /// The key of the request that the body answers; none if it is not understood.
        body: Option<i16>,
    },
    /// The body holds what this version cannot say, such as a field that it lacks.
    #[error("the reply to request {key} cannot be said in version {version}: {reason}")]
    Body {
        /// The request's key.
        key: i16,
        /// The request's version.
        version: i16,
        /// The encoder's own words.
        reason: String,
    },
    /// The frame is longer than a length can say.
    #[error("the reply has {length} bytes, expected less than 2 GiB")]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
}

/// The frame of a reply, its length in front. `key` and `version` are the request's.
pub fn encode(
    key: i16,
    version: i16,
    correlation_id: i32,
    body: &ResponseKind,
) -> Result<Bytes, EncodeError> {
    if !versions::find(key).is_some_and(|api| api.serves(version)) {
        return Err(EncodeError::Unknown { key, version });
    }
    let answers = bodies::key(body);
    if answers != Some(key) {
        return Err(EncodeError::WrongBody { key, body: answers });
    }
    let failed = |reason| EncodeError::Body { key, version, reason };
    // The reply to ApiVersions has the old header in every version: the client does not know yet
    // what the broker understands.
    let tags = key != API_VERSIONS && is_flexible(key, version);
    let size = bodies::size(body, version).map_err(failed)?;
    let length = 4 + usize::from(tags) + size;
    let announced = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
    let mut frame = BytesMut::with_capacity(4 + length);
    frame.put_i32(announced);
    frame.put_i32(correlation_id);
    if tags {
        frame.put_u8(0);
    }
    bodies::encode(body, &mut frame, version).map_err(failed)?;
    debug_assert_eq!(frame.len(), 4 + length, "the size of {body:?} in version {version}");
    Ok(frame.freeze())
}

/// What differs by the kind of body, for every kind that is understood. The library's own functions
/// know three times as many kinds, and would fill memory with the code for them.
mod bodies {
    use kafka_protocol::protocol::Decodable;

    use super::{ApiKey, Bytes, BytesMut, Encodable, RequestKind, ResponseKind};

    macro_rules! bodies {
        ($($name:ident),* $(,)?) => {
            /// The key of the request that the body answers.
            pub(super) fn key(body: &ResponseKind) -> Option<i16> {
                match body {
                    $(ResponseKind::$name(_) => Some(ApiKey::$name as i16),)*
                    _ => None,
                }
            }

            /// How many bytes the body takes.
            pub(super) fn size(body: &ResponseKind, version: i16) -> Result<usize, String> {
                match body {
                    $(ResponseKind::$name(body) => {
                        body.compute_size(version).map_err(|error| format!("{error:#}"))
                    })*
                    _ => Err("not understood".to_owned()),
                }
            }

            /// Writes a body.
            pub(super) fn encode(
                body: &ResponseKind,
                into: &mut BytesMut,
                version: i16,
            ) -> Result<(), String> {
                match body {
                    $(ResponseKind::$name(body) => {
                        body.encode(into, version).map_err(|error| format!("{error:#}"))
                    })*
                    _ => Err("not understood".to_owned()),
                }
            }

            /// Reads the body of a request.
            pub(super) fn decode(
                api: ApiKey,
                from: &mut Bytes,
                version: i16,
            ) -> Result<RequestKind, String> {
                match api {
                    $(ApiKey::$name => Decodable::decode(from, version)
                        .map(RequestKind::$name)
                        .map_err(|error| format!("{error:#}")),)*
                    _ => Err("not understood".to_owned()),
                }
            }
        };
    }

    bodies!(
        Produce,
        Fetch,
        ListOffsets,
        Metadata,
        OffsetCommit,
        OffsetFetch,
        FindCoordinator,
        JoinGroup,
        Heartbeat,
        LeaveGroup,
        SyncGroup,
        DescribeGroups,
        ListGroups,
        ApiVersions,
        CreateTopics,
        DeleteTopics,
        DeleteRecords,
        InitProducerId,
        OffsetForLeaderEpoch,
        DescribeAcls,
        DescribeConfigs,
        AlterConfigs,
        DescribeLogDirs,
        CreatePartitions,
        DeleteGroups,
        IncrementalAlterConfigs,
        ListPartitionReassignments,
        OffsetDelete,
        DescribeCluster,
    );
}

/// The frame of a request as a client sends it, its length in front.
pub fn request(
    key: i16,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &RequestKind,
) -> Result<Bytes, EncodeError> {
    let failed = |reason| EncodeError::Body { key, version, reason };
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    match client_id.map(|id| (id, i16::try_from(id.len()))) {
        None => frame.put_i16(-1),
        Some((id, Ok(length))) => {
            frame.put_i16(length);
            frame.put_slice(id.as_bytes());
        }
        Some((id, Err(_))) => return Err(failed(format!("a client id of {} bytes", id.len()))),
    }
    if is_flexible(key, version) {
        frame.put_u8(0);
    }
    body.encode(&mut frame, version).map_err(|error| failed(format!("{error:#}")))?;
    let length = frame.len() - 4;
    let announced = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
    frame[..4].copy_from_slice(&announced.to_be_bytes());
    Ok(frame.freeze())
}

/// The correlation id and the body of a reply, without the length in front. `key` and `version` are
/// the request's.
///
/// For replies of a broker that is trusted: their lengths are not checked before memory is asked
/// for.
pub fn reply(key: i16, version: i16, mut frame: Bytes) -> Result<(i32, ResponseKind), Malformed> {
    let api = match (versions::of_clients(key), ApiKey::try_from(key)) {
        (Some(api), Ok(name)) if api.serves(version) => name,
        _ => understood(key, version)?.1,
    };
    let left = frame.len();
    let short = Malformed::Short { field: "correlation_id", needed: 4, left };
    let id = *frame.first_chunk::<4>().ok_or(short)?;
    let tags = key != API_VERSIONS && is_flexible(key, version);
    let used = if tags { skip_tags(&frame[4..])? } else { 0 };
    let mut body = frame.split_off(4 + used);
    let body = ResponseKind::decode(api, &mut body, version)
        .map_err(|error| Malformed::Decoder { reason: format!("{error:#}") })?;
    Ok((i32::from_be_bytes(id), body))
}
