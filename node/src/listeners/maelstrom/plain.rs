//! Reads a plain message in one pass: one whose names and texts have no escapes.
//!
//! Nearly all messages are plain. A reader for any JSON, which serde's is, takes three times as
//! long for them. What is not plain, or no message at all, is not read here: [`Envelope::parse`]
//! then goes by the book, and has the errors. What both read they read alike, which a test holds.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::envelope::{Envelope, Fields, Text};

/// A body seldom has more fields.
const FIELDS: usize = 8;

/// Strings up to so many bytes, which nearly all are, are not worth the start of a faster search.
const SHORT: usize = 16;

/// Which bytes stand for themselves in a string.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < b' ' {
        plain[byte as usize] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// Reads a message; `None` where it is not plain.
pub(super) fn envelope(text: &[u8]) -> Option<Envelope<'_>> {
    let mut reader = Reader { text: std::str::from_utf8(text).ok()?, at: 0 };
    let (mut src, mut dest, mut body) = (None, None, None);
    reader.blanks();
    reader.object(|reader, name| {
        // Of a field that comes twice serde makes an error.
        let first = match name {
            "src" => src.replace(reader.string()?).is_none(),
            "dest" => dest.replace(reader.string()?).is_none(),
            "body" => body.replace(reader.fields()?).is_none(),
            _ => reader.value().is_some(),
        };
        first.then_some(())
    })?;
    reader.blanks();
    let ended = reader.at == text.len();
    let dest = dest.map(|dest| Text(Cow::Borrowed(dest)));
    ended.then_some(Envelope { src: Cow::Borrowed(src?), dest, body: body? })
}

/// A place in a text. Each method goes past what it reads, and gives `None` where that is not there
/// or not plain.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// An object, each of whose values is read by `field`, which is given its name.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.eat(b'{')?;
        self.blanks();
        if self.peek()? == b'}' {
            return self.eat(b'}');
        }
        loop {
            let name = self.string()?;
            self.blanks();
            self.eat(b':')?;
            self.blanks();
            field(self, name)?;
            self.blanks();
            match self.next()? {
                b',' => self.blanks(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn fields(&mut self) -> Option<Fields<'a>> {
        let mut fields = Vec::with_capacity(FIELDS);
        self.object(|reader, name| {
            fields.push((Cow::Borrowed(name), reader.value()?));
            Some(())
        })?;
        Some(Fields::new(fields))
    }

    /// What is between the quotes.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let rest = self.rest();
        let mut len = rest.iter().take(SHORT).take_while(|byte| PLAIN[usize::from(**byte)]).count();
        if len == SHORT {
            len = memchr::memchr2(b'"', b'\\', rest)?;
            rest[..len].iter().copied().min().filter(|least| *least >= b' ')?;
        }
        let string = &self.text[self.at..self.at + len];
        self.at += len;
        self.eat(b'"')?;
        Some(string)
    }

    /// The text of any value.
    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.integer()?,
            b'{' | b'[' => {
                let mut values = serde_json::Deserializer::from_slice(self.rest()).into_iter();
                let value: &RawValue = values.next()?.ok()?;
                self.at += value.get().len();
            }
            _ => {
                let word = ["null", "true", "false"];
                self.at += word.into_iter().find(|w| self.rest().starts_with(w.as_bytes()))?.len();
            }
        }
        Some(&self.text[start..self.at])
    }

    /// A number without a fraction and without an exponent. What may follow it is the caller's to
    /// say.
    fn integer(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let leading_zero = digits > 1 && self.peek() == Some(b'0');
        self.at += digits;
        let whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        (digits > 0 && !leading_zero && whole).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::envelope::Envelope;
    use super::envelope;

    /// Whether it is plain; if it is, it has to be read as serde reads it.
    fn read(text: &[u8]) -> bool {
        let plain = envelope(text);
        if let Some(plain) = &plain {
            let by_the_book = Envelope::parse_any(text).expect("it is a message");
            assert_eq!(format!("{plain:?}"), format!("{by_the_book:?}"));
        }
        plain.is_some()
    }

    #[test]
    fn plain_messages_are_read_in_one_pass_and_others_by_the_book() {
        let plain = [
            r#"{"src":"c1","dest":"n1","body":{"type":"send","msg_id":1,"key":"k","msg":-7}}"#,
            r#" { "id" : 3 , "src" : "c1" , "body" : { "type" : "read" , "key" : [1, {"a": "}"}] } } "#,
            "{\"body\":{\"a\":true,\"b\":null,\"\":false,\"c\":0},\"src\":\"h\u{e9}\"}\t\r\n",
            r#"{"src":"","body":{}}"#,
            r#"{"src":"c1","body":{"a":1,"a":2}}"#,
        ];
        assert!(plain.iter().all(|text| read(text.as_bytes())));
        let others = [
            r#"{"src":"c\n1","body":{}}"#,
            r#"{"src":"c1","dest":null,"body":{}}"#,
            r#"{"src":"c1","src":"c1","body":{}}"#,
            r#"{"src":"c1","body":{"a":1.5}}"#,
            r#"{"src":"c1","body":{"a":01}}"#,
            r#"{"src":"c1","body":{"a":tru}}"#,
            r#"{"src":"c1","body":{"a":1,}}"#,
            r#"{"src":"c1","body":{}}}"#,
            r#"["c1","n1",{}]"#,
            "{\"src\":\"c\t1\",\"body\":{}}",
        ];
        assert!(others.iter().all(|text| !read(text.as_bytes())));
    }

    proptest! {
        #[test]
        fn what_both_read_they_read_alike(
            at in 0..200_usize,
            cut in 0..4_usize,
            put in prop::sample::select(vec![
                "", "\"", "\\", "\\u00e9", "{", "}", "[", "]", ",", ":", "0", "-", ".5", "e1", " ",
                "\n", "\u{1}", "null", "true", "\"src\":\"x\",", "\u{e9}", "{\"a\":[]}",
            ]),
        ) {
            let text = br#"{"id":12,"src":"c1","dest":"n1","body":{"type":"poll","msg_id":-30,
                "offsets":{"k":[1,"2",{}]},"flag":false,"none":null,"text":"some"}}"#;
            let at = at.min(text.len());
            let to = (at + cut).min(text.len());
            read(&[&text[..at], put.as_bytes(), &text[to..]].concat());
        }
    }
}
