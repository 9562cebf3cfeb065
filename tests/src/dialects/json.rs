//! Lines of the JSON protocol as a client sees them: building requests, and judging the form of
//! what nodes print.
//!
//! Owns the envelope and the closed forms of replies. Knows no client and no time.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Answer;

/// A line of a node: whom it is for, and its body unread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<'a> {
    /// Who says it sent the line.
    #[serde(borrow)]
    pub src: Cow<'a, str>,
    /// Whom it is for.
    #[serde(borrow)]
    pub dest: Cow<'a, str>,
    /// A JSON object.
    #[serde(borrow)]
    pub body: &'a RawValue,
    /// Maelstrom's own number of a message, which it allows a node to repeat.
    #[serde(default, rename = "id")]
    _id: Option<i64>,
}

/// Reads the envelope of a line, without its line feed.
///
/// # Errors
/// What is wrong, where the line is no JSON object of exactly `src`, `dest` and an object `body`.
pub fn envelope(line: &[u8]) -> Result<Envelope<'_>, String> {
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if envelope.body.get().starts_with('{') {
        Ok(envelope)
    } else {
        Err("the body is no object".to_owned())
    }
}

/// A request's line.
pub fn request(client: &str, node: &str, f: &str, msg_id: u64, args: &Value) -> Vec<u8> {
    let mut body = args.as_object().cloned().unwrap_or_default();
    body.insert("type".to_owned(), Value::from(f));
    body.insert("msg_id".to_owned(), Value::from(msg_id));
    json!({ "src": client, "dest": node, "body": body }).to_string().into_bytes()
}

/// A reply, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The request's `msg_id`.
    pub in_reply_to: u64,
    /// `type`.
    pub kind: String,
    /// The other fields.
    pub fields: Map<String, Value>,
}

/// Takes a reply to a client apart.
///
/// # Errors
/// What is wrong, where it is no reply at all.
pub fn reply(body: &str) -> Result<Reply, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(body).map_err(|e| e.to_string())?;
    let in_reply_to = fields.remove("in_reply_to").and_then(|v| v.as_u64());
    let in_reply_to = in_reply_to.ok_or("a reply to a client needs an integer `in_reply_to`")?;
    let kind = match fields.remove("type") {
        Some(Value::String(kind)) => kind,
        _ => return Err("`type` is missing or no string".to_owned()),
    };
    if fields.remove("msg_id").is_some_and(|id| !id.is_i64() && !id.is_u64()) {
        return Err("`msg_id` is no integer".to_owned());
    }
    Ok(Reply { in_reply_to, kind, fields })
}

impl Reply {
    /// What it says about a request of that type.
    ///
    /// # Errors
    /// What is wrong, where it is neither `<f>_ok` with the right fields nor an error with a code.
    pub fn answer(self, f: &str) -> Result<Answer, String> {
        if self.kind == "error" {
            let code =
                self.fields.get("code").and_then(Value::as_u64).and_then(|c| u32::try_from(c).ok());
            let code = code.ok_or("an error needs an integer `code`")?;
            let error = self.fields.get("error").and_then(Value::as_str).map(str::to_owned);
            return Ok(Answer::Error { code, error });
        }
        if self.kind.strip_suffix("_ok") != Some(f) {
            return Err(format!("`{f}` was answered by `{}`", self.kind));
        }
        // Of the thin `poll` and of `send` with `message` there are other forms, told apart by
        // their own fields.
        let closed: Option<&[&str]> = match f {
            "init" | "write" | "cas" | "commit_offsets" => Some(&[]),
            "read" => Some(&["value"]),
            "list_committed_offsets" => Some(&["offsets"]),
            "poll" if self.fields.contains_key("msgs") => Some(&["msgs"]),
            "send" if !self.fields.contains_key("partition") => Some(&["offset"]),
            _ => None,
        };
        if let Some(closed) = closed {
            let strange = self.fields.keys().find(|key| !closed.contains(&key.as_str()));
            let missing = closed.iter().find(|key| !self.fields.contains_key(**key));
            if let Some(key) = strange {
                return Err(format!(
                    "`{}` has the field `{key}`, which Maelstrom refuses",
                    self.kind
                ));
            }
            if let Some(key) = missing {
                return Err(format!("`{}` lacks `{key}`", self.kind));
            }
        }
        Ok(Answer::Ok(Value::Object(self.fields)))
    }
}

/// Whether an error of this code says that the request certainly took no effect. Unknown codes do
/// not.
pub fn definite(code: u32) -> bool {
    matches!(code, 1 | 10 | 11 | 12 | 14 | 20 | 21 | 22 | 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_three_keys_and_an_object() {
        assert!(
            envelope(br#"{"src":"n1","dest":"c\u0031","body":{"type":"x"}}"#)
                .is_ok_and(|e| e.dest == "c1")
        );
        assert!(envelope(br#"{"id":4,"src":"n1","dest":"c1","body":{}}"#).is_ok());
        for bad in [
            &br#"{"src":"n1","dest":"c1","body":{},"more":1}"#[..],
            br#"{"src":"n1","dest":"c1"}"#,
            br#"{"src":"n1","dest":"c1","body":[]}"#,
            br#"[1]"#,
            b"",
            b"hello",
            br#"{"src":"n1","dest":"c1","body":{}} {}"#,
        ] {
            assert!(envelope(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn replies_are_judged_by_their_request() {
        let answer = |f: &str, body: &str| reply(body).and_then(|r| r.answer(f));
        assert_eq!(
            answer("read", r#"{"type":"read_ok","in_reply_to":1,"value":3,"msg_id":0}"#),
            Ok(Answer::Ok(json!({"value": 3})))
        );
        assert_eq!(
            answer("cas", r#"{"type":"error","in_reply_to":1,"code":22,"error":"X","text":""}"#),
            Ok(Answer::Error { code: 22, error: Some("X".into()) })
        );
        for (f, bad) in [
            ("read", r#"{"type":"write_ok","in_reply_to":1}"#),
            ("read", r#"{"type":"read_ok","in_reply_to":1}"#),
            ("write", r#"{"type":"write_ok","in_reply_to":1,"extra":1}"#),
            ("write", r#"{"type":"write_ok"}"#),
            ("write", r#"{"type":"error","in_reply_to":1}"#),
            ("poll", r#"{"type":"poll_ok","in_reply_to":1,"msgs":{},"more":0}"#),
        ] {
            assert!(answer(f, bad).is_err(), "{bad}");
        }
    }
}
