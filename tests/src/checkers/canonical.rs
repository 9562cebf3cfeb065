//! When two JSON values are the same value.
//!
//! A node gives back the text that it was sent, but a recorder may have parsed and printed it in
//! between. So values are compared by their canonical text: keys of objects sorted, `1` and `1.0`
//! equal, as the protocol says it of the registers' keys and values.

use serde_json::{Number, Value};

/// The canonical text of a value; equal texts mean equal values.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Number(number) => out.push_str(&canonical_number(number)),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            // Sorted here: serde_json keeps the order of insertion if any crate of the build asks
            // for that.
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(&fields[key], out);
            }
            out.push('}');
        }
    }
}

/// Beyond this, not every integer has a float of its own, so a float is no longer taken for an
/// integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn canonical_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            // Within ±2^53 the cast is exact; it also makes `-0.0` the integer 0.
            #[allow(clippy::cast_possible_truncation)]
            let integer = float as i64;
            integer.to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::canonical;

    #[test]
    fn spelling_does_not_matter() {
        assert_eq!(canonical(&json!(1.0)), canonical(&json!(1)));
        assert_eq!(canonical(&json!(-0.0)), "0");
        assert_eq!(canonical(&json!({"b": 1, "a": [1.0, "x"]})), r#"{"a":[1,"x"],"b":1}"#);
    }

    #[test]
    fn values_that_differ_stay_apart() {
        assert_ne!(canonical(&json!(1)), canonical(&json!("1")));
        assert_ne!(canonical(&json!(null)), canonical(&json!("null")));
        assert_ne!(canonical(&json!(1.5)), canonical(&json!(1)));
        assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])));
    }
}
