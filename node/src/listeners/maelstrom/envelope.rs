//! The outer shape of a message: who, to whom, and a body of named fields.
//!
//! Fields of a body are kept as text and read one by one where their meaning is known, so that an
//! error can name the field, its value and what was expected.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::plain;

/// A message as it came in.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Who sent it.
    pub src: Cow<'a, str>,
    pub(super) dest: Option<Text<'a>>,
    /// What.
    pub body: Fields<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// Where it is no JSON object, or has no `src` or `body` of the right kind.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        plain::envelope(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// Reads a message that need not be plain. Of equal fields the last one counts, and only that.
    pub(super) fn parse_any(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        let fields: Fields<'a> = serde_json::from_slice(text)?;
        let missing = serde::de::Error::missing_field;
        let src: Text<'a> =
            serde_json::from_str(fields.get_any("src").ok_or_else(|| missing("src"))?)?;
        let dest = serde_json::from_str(fields.get_any("dest").unwrap_or("null"))?;
        let body = serde_json::from_str(fields.get_any("body").ok_or_else(|| missing("body"))?)?;
        Ok(Self { src: src.0, dest, body })
    }

    /// To whom, if it says.
    pub fn dest(&self) -> Option<&str> {
        self.dest.as_ref().map(|dest| dest.0.as_ref())
    }
}

/// Whether a line is a whole message by itself.
pub fn is_message(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.first() == Some(&b'{')
        && line.last() == Some(&b'}')
        && Envelope::parse(line).is_ok_and(|message| message.body.get("type").is_some())
}

/// The fields of an object, in order, each value as text.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Fields<'a> {
    pub(super) fn new(fields: Vec<(Cow<'a, str>, &'a str)>) -> Self {
        Self(fields)
    }

    /// A field's value; the last of several. `null` counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(field, _)| field == name);
        found.map(|(_, value)| *value).filter(|text| *text != "null")
    }

    /// A field's value, `null` too.
    pub fn get_any(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// All fields in order; of equal ones the last.
    pub fn each(&self) -> Vec<(&str, &'a str)> {
        let mut seen = BTreeSet::new();
        let last = self.0.iter().rev().filter(|(name, _)| seen.insert(name.as_ref()));
        let mut each: Vec<_> = last.map(|(name, value)| (name.as_ref(), *value)).collect();
        each.reverse();
        each
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Text(name)) = map.next_key()? {
                    fields.push((name, map.next_value::<&RawValue>()?.get()));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

/// A string, borrowed where it has no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> Text<'a> {
    /// Of a value's text, which has to be JSON.
    pub fn of(value: &'a str) -> Option<Self> {
        // Without escapes a string is what is between its quotes.
        let plain = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        match plain.filter(|plain| memchr::memchr(b'\\', plain.as_bytes()).is_none()) {
            Some(plain) => Some(Self(Cow::Borrowed(plain))),
            None => serde_json::from_str(value).ok(),
        }
    }
}

/// The integer of a value's text, which has to be JSON.
pub fn integer(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    // To serde `-0` is no integer.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && value != "-0";
    plain.then(|| value.parse().ok()).flatten()
}
