//! JSON values as text: one line, and the canonical form by which registers are compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// A value that has no canonical text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CanonicalError {
    /// Nested too deep, or not JSON.
    #[error("{0}")]
    Malformed(String),
    /// A number whose exponent is beyond any use.
    #[error("number {0} has an exponent beyond 64 bits")]
    Exponent(String),
}

/// A value's text on one line: as it was sent, with line ends (which JSON has only between tokens)
/// as blanks.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', text.as_bytes()) {
        Some(_) => text.replace(['\n', '\r'], " ").into(),
        None => text.into(),
    }
}

/// The canonical text of a value: object keys sorted and the last of equal ones, no blanks, strings
/// with the fewest escapes, numbers by their exact value, so that `1`, `1.0` and `10e-1` are equal
/// and two different ones never are.
///
/// # Errors
/// Where the text is not JSON, or a number cannot be told exactly.
pub fn canonical(text: &str) -> Result<String, CanonicalError> {
    let mut out = String::with_capacity(text.len());
    write_canonical(text.trim_ascii(), &mut out)?;
    Ok(out)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, CanonicalError> {
    serde_json::from_str(text).map_err(|e| CanonicalError::Malformed(e.to_string()))
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn write_canonical(text: &str, out: &mut String) -> Result<(), CanonicalError> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = parse(text)?;
            out.push('{');
            for (i, (name, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_canonical(value.get(), out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = parse(text)?;
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item.get(), out)?;
            }
            out.push(']');
        }
        Some(b'"') => write_string(&parse::<String>(text)?, out),
        Some(b't' | b'f' | b'n') => {
            parse::<&RawValue>(text)?;
            out.push_str(text);
        }
        _ => {
            parse::<&RawValue>(text)?;
            write_number(text, out)?;
        }
    }
    Ok(())
}

/// A number as digits without zeros at either end, and an exponent: exact, whatever its size.
fn write_number(text: &str, out: &mut String) -> Result<(), CanonicalError> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent
        .trim_start_matches('+')
        .parse()
        .map_err(|_| CanonicalError::Exponent(text.to_owned()))?;
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        out.push('0');
        return Ok(());
    }
    let zeros = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let exponent = exponent.checked_sub(places).and_then(|e| e.checked_add(zeros));
    let exponent = exponent.ok_or_else(|| CanonicalError::Exponent(text.to_owned()))?;
    if negative {
        out.push('-');
    }
    out.push_str(significant);
    match exponent {
        // Small whole numbers as people write them.
        0..=18 => out.extend(std::iter::repeat_n('0', usize::try_from(exponent).unwrap_or(0))),
        _ => {
            out.push('e');
            out.push_str(&exponent.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CanonicalError, canonical, one_line};

    #[test]
    fn equal_values_have_one_text() {
        for group in [
            &["1", "1.0", "10e-1", "0.1E+1", "1e0", "1.000"][..],
            &["0", "-0", "0.0", "0e99", "-0.0e-5"],
            &["100", "1e2", "1.0e2"],
            &["-0.5", "-5e-1"],
            &["100000000000000000000000", "1e23"],
            &[r#"{"a":1,"b":[1,2]}"#, r#"{ "b" : [1.0, 2], "a":1 }"#, r#"{"a":7,"b":[1,2],"a":1}"#],
            &[r#""\u00e9""#, "\"\u{e9}\""],
            &["true"],
            &["null"],
            &["[]", "[ ]"],
        ] {
            let texts: Vec<_> =
                group.iter().map(|text| canonical(text).expect("it is JSON")).collect();
            assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{group:?} {texts:?}");
            assert_eq!(canonical(&texts[0]).as_ref(), Ok(&texts[0]), "canonical text is canonical");
        }
    }

    #[test]
    fn different_values_have_different_texts() {
        let values = [
            "9007199254740993",
            "9007199254740992",
            "1",
            "-1",
            "10",
            "0.1",
            "\"1\"",
            "[1]",
            "{\"1\":1}",
            "true",
            "null",
            "\"\"",
            "123456789012345678901234567890",
            "123456789012345678901234567891",
        ];
        let texts: std::collections::BTreeSet<_> =
            values.iter().map(|v| canonical(v).expect("JSON")).collect();
        assert_eq!(texts.len(), values.len());
    }

    #[test]
    fn what_has_no_text_is_an_error() {
        assert!(matches!(canonical("1e99999999999999999999"), Err(CanonicalError::Exponent(_))));
        assert!(matches!(canonical("nul"), Err(CanonicalError::Malformed(_))));
    }

    #[test]
    fn a_value_over_several_lines_goes_on_one() {
        assert_eq!(one_line("{\n\"a\": \"x\\ny\"\r\n}"), "{ \"a\": \"x\\ny\"  }");
    }
}
