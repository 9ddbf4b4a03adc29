//! What a setting is set to.

use std::collections::BTreeMap;

/// The deepest value that is read.
pub const MAX_DEPTH: usize = 16;

/// What a setting is set to, or a table of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Table(BTreeMap<String, Value>),
}

impl Value {
    /// No settings at all.
    pub const fn none() -> Self {
        Value::Table(BTreeMap::new())
    }

    /// Whether nothing is set.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::Table(values) if values.is_empty())
    }

    /// The value at a path of names.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Value> {
        path.into_iter().try_fold(self, |value, name| match value {
            Value::Table(values) => values.get(name),
            _ => None,
        })
    }

    /// These values with `over` laid over them: what it sets counts, tables are merged, lists are replaced.
    #[must_use]
    pub fn overlaid(self, over: Value) -> Value {
        match (self, over) {
            (Value::Table(mut values), Value::Table(over)) => {
                for (name, value) in over {
                    let merged = match values.remove(&name) {
                        Some(old) => old.overlaid(value),
                        None => value,
                    };
                    values.insert(name, merged);
                }
                Value::Table(values)
            }
            (_, over) => over,
        }
    }

    /// These values without the one at a path of names.
    #[must_use]
    pub fn without(self, path: &[&str]) -> Value {
        match (self, path) {
            (Value::Table(mut values), [name]) => {
                values.remove(*name);
                Value::Table(values)
            }
            (Value::Table(mut values), [name, rest @ ..]) => {
                if let Some(value) = values.remove(*name) {
                    values.insert((*name).to_owned(), value.without(rest));
                }
                Value::Table(values)
            }
            (other, _) => other,
        }
    }

    /// `value` at a path of names, with the tables around it.
    #[must_use]
    pub fn nested<'a>(self, path: impl DoubleEndedIterator<Item = &'a str>) -> Value {
        path.rev().fold(self, |value, name| Value::Table(BTreeMap::from([(name.to_owned(), value)])))
    }

    /// What it is, for a message: `` the text `5` ``.
    pub fn described(&self) -> String {
        const SHOWN: usize = 40;
        match self {
            Value::Text(text) if text.chars().count() > SHOWN => {
                let start: String = text.chars().take(SHOWN).collect();
                format!("the text `{}…`", start.escape_debug())
            }
            Value::Text(text) => format!("the text `{}`", text.escape_debug()),
            Value::Integer(number) => format!("the number {number}"),
            Value::Flag(flag) => format!("{flag}"),
            Value::List(values) => format!("a list of {}", values.len()),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

#[cfg(feature = "serde")]
mod format {
    use std::{collections::BTreeMap, fmt};

    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
    };

    use super::{MAX_DEPTH, Value};

    impl Serialize for Value {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Value::Text(text) => serializer.serialize_str(text),
                Value::Integer(number) => serializer.serialize_i64(*number),
                Value::Flag(flag) => serializer.serialize_bool(*flag),
                Value::List(values) => serializer.collect_seq(values),
                Value::Table(values) => serializer.collect_map(values),
            }
        }
    }

    impl<'de> Deserialize<'de> for Value {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Below(MAX_DEPTH).deserialize(deserializer)
        }
    }

    /// Reads a value that is so deep at most.
    #[derive(Clone, Copy)]
    struct Below(usize);

    impl Below {
        fn deeper<E: Error>(self) -> Result<Self, E> {
            let deep = || E::custom(format!("it is nested more than {MAX_DEPTH} deep"));
            self.0.checked_sub(1).map(Below).ok_or_else(deep)
        }
    }

    impl<'de> DeserializeSeed<'de> for Below {
        type Value = Value;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }

    impl<'de> Visitor<'de> for Below {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a whole number, true, false, a list or a table")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
            Ok(Value::Text(text.to_owned()))
        }

        fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
            Ok(Value::Text(text))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
            Ok(Value::Integer(number))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
            i64::try_from(number)
                .map(Value::Integer)
                .map_err(|_| E::custom(format!("the number {number} is too large")))
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
            Ok(Value::Flag(flag))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
            let below = self.deeper()?;
            let mut values = Vec::new();
            while let Some(value) = list.next_element_seed(below)? {
                values.push(value);
            }
            Ok(Value::List(values))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
            let below = self.deeper()?;
            let mut values = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                let value = map.next_value_seed(below)?;
                if values.contains_key(&name) {
                    return Err(A::Error::custom(format!("`{}` stands there twice", name.escape_debug())));
                }
                values.insert(name, value);
            }
            Ok(Value::Table(values))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<const N: usize>(values: [(&str, Value); N]) -> Value {
        Value::Table(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    #[test]
    fn what_lies_over_counts_tables_are_merged_and_lists_replaced() {
        let list = |numbers: &[i64]| Value::List(numbers.iter().copied().map(Value::Integer).collect());
        let base = table([("a", table([("x", Value::Integer(1)), ("y", list(&[1, 2]))])), ("b", Value::Flag(true))]);
        let over = table([("a", table([("y", list(&[3])), ("z", Value::Flag(false))])), ("b", table([]))]);
        let a = table([("x", Value::Integer(1)), ("y", list(&[3])), ("z", Value::Flag(false))]);
        assert_eq!(base.overlaid(over), table([("a", a), ("b", table([]))]));
    }

    #[test]
    fn a_value_is_found_at_its_path_and_nested_there() {
        let nested = Value::Integer(1).nested(["a", "b"].into_iter());
        assert_eq!(nested, table([("a", table([("b", Value::Integer(1))]))]));
        assert_eq!(nested.at(["a", "b"]), Some(&Value::Integer(1)));
        assert_eq!(nested.at(["a", "b", "c"]), None);
        assert_eq!(nested.at(["b"]), None);
        assert_eq!(nested.clone().without(&["a", "b"]), table([("a", table([]))]));
        assert_eq!(nested.clone().without(&["b", "a"]), nested);
        assert!(Value::none().is_none() && !nested.is_none());
    }
}
