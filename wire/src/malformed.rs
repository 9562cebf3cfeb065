//! What can be wrong with the fields of a message.

/// Why bytes are not the message that they should be. Each text names the field, what it said and
/// what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end within a field.
    #[error("field `{field}` needs {needed} bytes, {left} are left")]
    Short {
        /// The field.
        field: &'static str,
        /// How many bytes it says it has.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// An array announces more elements than the bytes that are left can hold.
    #[error(
        "array `{field}` announces {count} elements of at least {least} bytes, {left} are left"
    )]
    Count {
        /// The array.
        field: &'static str,
        /// How many elements it announces.
        count: u64,
        /// The fewest bytes that one of them takes.
        least: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// A length is negative, and does not mean null either.
    #[error("field `{field}` has length {length}, expected 0 or more, or -1 for null")]
    Negative {
        /// The field.
        field: &'static str,
        /// The length.
        length: i64,
    },
    /// A field is null that must not be.
    #[error("field `{field}` is null, expected a value")]
    Null {
        /// The field.
        field: &'static str,
    },
    /// A string is not UTF-8.
    #[error("string `{field}` is not UTF-8 from its byte {valid_up_to} on")]
    Utf8 {
        /// The field.
        field: &'static str,
        /// How many of its bytes are.
        valid_up_to: usize,
    },
    /// A variable-length integer does not fit 32 bits.
    #[error("the variable-length integer of `{field}` exceeds 32 bits")]
    Varint {
        /// The field.
        field: &'static str,
    },
    /// A tagged field has another size than its tag says.
    #[error("tagged field `{field}` takes {used} bytes, its tag announces {size}")]
    TagSize {
        /// The field.
        field: &'static str,
        /// How many bytes it takes.
        used: usize,
        /// How many were announced.
        size: usize,
    },
    /// A tagged field is known, but not in this version.
    #[error("tagged field `{field}` does not exist in version {version}")]
    TagVersion {
        /// The field.
        field: &'static str,
        /// The version of the request.
        version: i16,
    },
    /// The body is longer than a request of its kind may be.
    #[error("the body has {length} bytes, expected at most {limit} for key {key}")]
    TooLong {
        /// The request's key.
        key: i16,
        /// The body's length in bytes.
        length: usize,
        /// The most that it may have.
        limit: usize,
    },
    /// A version that is not understood.
    #[error("version {version} of {what}, expected {least} to {most}")]
    Version {
        /// Of what: a request, or a part of one.
        what: &'static str,
        /// The version.
        version: i16,
        /// The least that is understood.
        least: i16,
        /// The greatest that is understood.
        most: i16,
    },
    /// The decoder refused what the walk had let pass.
    #[error("undecodable: {reason}")]
    Decoder {
        /// The decoder's own words.
        reason: String,
    },
}
