//! A message as a tree of its fields.
//!
//! The crate that knows Kafka's schemas writes every message in one regular form for debugging:
//! names, braces, brackets, quotes. That form is read here, so that no field of any message has to
//! be named. What it does not tell: whether an array was empty or a tagged field was written with
//! its default.

use serde_json::{Map, Value};

/// The fields of a message. Bytes are an object with the one field `bytes`, in hexadecimal digits.
/// Fields whose name begins with an underscore do not exist in Kafka, so there are no other such
/// objects.
///
/// # Panics
///
/// If the text is of another form.
pub fn of(message: &impl std::fmt::Debug) -> Value {
    let text = format!("{message:?}");
    let mut reader = Reader { text: &text, at: 0 };
    let value = reader.value();
    assert_eq!(reader.at, text.len(), "the whole of {text}");
    value
}

/// Bytes as a tree has them.
pub fn bytes(bytes: &[u8]) -> Value {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Value::Object(Map::from_iter([("bytes".to_owned(), digits.into())]))
}

/// The bytes of a leaf that is bytes.
pub fn as_bytes(value: &Value) -> Option<Vec<u8>> {
    let digits = value.as_object().filter(|object| object.len() == 1)?.get("bytes")?.as_str()?;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    Some((0..digits.len()).step_by(2).map(byte).collect())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn takes(&mut self, token: &str) -> bool {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        let there = self.rest()[blanks..].starts_with(token);
        if there {
            self.at += blanks + token.len();
        }
        there
    }

    fn expect(&mut self, token: &str) {
        assert!(self.takes(token), "`{token}` at `{}`", self.rest());
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)));
        let word = rest[..end.unwrap_or(rest.len())].to_owned();
        assert!(!word.is_empty(), "a word at `{rest}`");
        self.at += word.len();
        word
    }

    fn value(&mut self) -> Value {
        if self.takes("[") {
            return self.list();
        }
        if self.takes("{") {
            return self.map();
        }
        if self.takes("b\"") {
            let text = self.quoted();
            return bytes(&unescaped(&text));
        }
        if self.takes("\"") {
            return String::from_utf8(unescaped(&self.quoted())).expect("text").into();
        }
        self.takes("");
        let word = self.word();
        match &*word {
            "None" => return Value::Null,
            "true" => return true.into(),
            "false" => return false.into(),
            _ => {}
        }
        if self.takes("(") {
            let inner = self.value();
            self.expect(")");
            return inner;
        }
        if self.takes("{") {
            return self.fields();
        }
        word.parse::<i64>().map_or_else(|_| word.into(), Value::from)
    }

    fn list(&mut self) -> Value {
        let mut list = Vec::new();
        while !self.takes("]") {
            list.push(self.value());
            self.takes(",");
        }
        list.into()
    }

    /// A map of tagged fields that nobody knows.
    fn map(&mut self) -> Value {
        let mut map = Map::new();
        while !self.takes("}") {
            let key = self.value().to_string();
            self.expect(":");
            map.insert(key, self.value());
            self.takes(",");
        }
        map.into()
    }

    fn fields(&mut self) -> Value {
        let mut fields = Map::new();
        while !self.takes("}") {
            self.takes("");
            let name = self.word();
            self.expect(":");
            let value = self.value();
            let is_nothing = name == "unknown_tagged_fields" && value == Value::Object(Map::new());
            if !is_nothing {
                fields.insert(name, value);
            }
            self.takes(",");
        }
        fields.into()
    }

    /// What stands before the closing quote.
    fn quoted(&mut self) -> String {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let text = rest[..end.expect("a closing quote")].to_owned();
        self.at += text.len() + 1;
        text
    }
}

/// What Rust's escapes stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let (taken, byte) = match rest.as_bytes()[0] {
            b'n' => (1, b'\n'),
            b'r' => (1, b'\r'),
            b't' => (1, b'\t'),
            b'0' => (1, 0),
            b'x' => (3, u8::from_str_radix(&rest[1..3], 16).expect("two digits")),
            b'u' => {
                let end = rest.find('}').expect("a closing brace");
                let code = u32::from_str_radix(&rest[2..end], 16).expect("digits");
                let mut own = [0; 4];
                let c = char::from_u32(code).expect("a character").encode_utf8(&mut own);
                bytes.extend_from_slice(c.as_bytes());
                rest = &rest[end + 1..];
                continue;
            }
            other => (1, other),
        };
        bytes.push(byte);
        rest = &rest[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn every_kind_of_value_is_read() {
    use serde_json::json;
    use wire::kafka_protocol::messages::join_group_request::{
        JoinGroupRequest, JoinGroupRequestProtocol,
    };

    let protocol = JoinGroupRequestProtocol::default()
        .with_name("a \"b\" \\ \u{1} é\n".into())
        .with_metadata(bytes::Bytes::from_static(b"\x00\n\"\\\xff'a"));
    let request = JoinGroupRequest::default()
        .with_session_timeout_ms(-5)
        .with_protocols(vec![protocol])
        .with_reason(Some("why".into()));
    let tree = of(&request);
    assert_eq!(tree["protocols"][0]["name"], "a \"b\" \\ \u{1} é\n");
    let metadata = &tree["protocols"][0]["metadata"];
    assert_eq!(metadata, &json!({"bytes": "000a225cff2761"}));
    assert_eq!(as_bytes(metadata).expect("bytes"), b"\x00\n\"\\\xff'a");
    assert_eq!(tree["session_timeout_ms"], -5);
    assert_eq!((&tree["reason"], &tree["group_instance_id"]), (&json!("why"), &Value::Null));
    assert_eq!(tree.get("unknown_tagged_fields"), None);
    let id = uuid::Uuid::from_u128(0x1234);
    assert_eq!(of(&Some(id)), "00000000-0000-0000-0000-000000001234");
}
