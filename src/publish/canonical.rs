//! JSON in its one canonical form, which is what signatures are over.
//!
//! Source: OLPC "Canonical JSON", as TUF 1.0.33, section 4.2, has it: no spaces, keys in order, of a string only
//! quotation marks and backslashes escaped, whole numbers alone.

use serde_json::Value;

/// The canonical form of a value; `None` for what has none, which is a number that is not whole.
pub fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Some(bytes)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(value) => out.extend(value.to_string().into_bytes()),
        Value::Number(number) if number.is_u64() || number.is_i64() => out.extend(number.to_string().into_bytes()),
        Value::Number(_) => return None,
        Value::String(text) => text_of(text, out),
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(value, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text_of(name, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Some(())
}

fn text_of(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_one_form() {
        let value = json!({"b": [1, -2, true, null], "a": "x\"\\\n\u{e9}", "": {}});
        let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"\":{},\"a\":\"x\\\"\\\\\n\u{e9}\",\"b\":[1,-2,true,null]}");
        assert_eq!(canonical(&json!([1.5])), None);
    }
}
