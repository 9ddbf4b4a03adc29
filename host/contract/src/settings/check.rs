//! Values held against what settings may be.

use std::{collections::BTreeMap, fmt};

use super::{
    keys::LATER,
    schema::{Key, Kind, Need},
    value::Value,
};

/// The most values of one list or table.
const MAX_VALUES: usize = 4096;
/// So many letters may differ for a key to be the one that was meant.
const MAX_DISTANCE: usize = 2;

/// What came of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Those that are right, each in its own kind.
    pub values: Value,
    /// What is wrong; nothing of such values may count.
    pub mistakes: Vec<Mistake>,
    /// The keys that there are not: wrong, or from another version. Whose machine it is decides.
    pub unknown: Vec<UnknownKey>,
}

/// A value that cannot be what its setting is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting: `settings.ntp.time-servers`.
    pub path: String,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// A key that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The setting: `settings.ntp.tim-servers`.
    pub path: String,
    /// What is known about it.
    pub hint: Hint,
}

/// What is known about a key that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    None,
    /// It is written nearly like this one.
    Meant(&'static str),
    /// Others have it, and why this system has not.
    Later(&'static str),
}

/// Holds `values` against `keys`; every mistake is found.
pub fn check(keys: &'static [Key], values: &Value) -> Checked {
    let mut checking = Checking { path: vec!["settings".to_owned()], mistakes: Vec::new(), unknown: Vec::new() };
    let values = checking.value(Kind::Group(keys), values).unwrap_or(Value::none());
    Checked { values, mistakes: checking.mistakes, unknown: checking.unknown }
}

/// What is missing in values that are right, each on its own: tables without a setting that they must have.
pub fn incomplete(keys: &'static [Key], values: &Value) -> Vec<Mistake> {
    let mut checking = Checking { path: vec!["settings".to_owned()], mistakes: Vec::new(), unknown: Vec::new() };
    checking.incomplete(Kind::Group(keys), values);
    checking.mistakes
}

struct Checking {
    path: Vec<String>,
    mistakes: Vec<Mistake>,
    unknown: Vec<UnknownKey>,
}

impl Checking {
    fn value(&mut self, kind: Kind, value: &Value) -> Option<Value> {
        match (kind, value) {
            (Kind::Text(form), Value::Text(text)) if form.fits(text) => Some(value.clone()),
            (Kind::Integer(least, most) | Kind::IntegerOrText(least, most), Value::Integer(number))
                if (least..=most).contains(number) =>
            {
                Some(value.clone())
            }
            (Kind::IntegerOrText(least, most), Value::Text(text)) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Some(Value::Integer(number)),
                _ => self.mistake(kind, value),
            },
            (Kind::Flag, Value::Flag(_)) => Some(value.clone()),
            (Kind::List(of) | Kind::ListOrOne(of), Value::List(values)) if values.len() <= MAX_VALUES => {
                let mut checked = Vec::new();
                for (number, value) in values.iter().enumerate() {
                    checked.extend(self.below(format!("[{number}]"), |checking| checking.value(*of, value)));
                }
                Some(Value::List(checked))
            }
            (Kind::ListOrOne(of), Value::Text(_) | Value::Integer(_) | Value::Flag(_)) => {
                self.value(*of, value).map(|value| Value::List(vec![value]))
            }
            (Kind::Group(keys), Value::Table(values)) => Some(Value::Table(self.group(keys, values))),
            (Kind::Table(form, of), Value::Table(values)) if values.len() <= MAX_VALUES => {
                let mut checked = BTreeMap::new();
                for (name, value) in values {
                    if !form.fits(name) {
                        let (expected, found) = (form.described(), format!("the name `{}`", name.escape_debug()));
                        self.mistakes.push(Mistake { path: self.path(), expected, found });
                        continue;
                    }
                    let value = self.below(name.clone(), |checking| checking.value(*of, value));
                    checked.extend(value.map(|value| (name.clone(), value)));
                }
                Some(Value::Table(checked))
            }
            _ => self.mistake(kind, value),
        }
    }

    fn incomplete(&mut self, kind: Kind, value: &Value) {
        match (kind, value) {
            (Kind::Group(keys), Value::Table(values)) => {
                for key in keys {
                    match values.get(key.name) {
                        Some(value) => self.below(key.name.to_owned(), |checking| checking.incomplete(key.kind, value)),
                        None if key.need == Need::Required => {
                            let (expected, found) = (format!("one with `{}`", key.name), "a table without".to_owned());
                            self.mistakes.push(Mistake { path: self.path(), expected, found });
                        }
                        None => {}
                    }
                }
            }
            (Kind::Table(_, of), Value::Table(values)) => {
                for (name, value) in values {
                    self.below(name.clone(), |checking| checking.incomplete(*of, value));
                }
            }
            (Kind::List(of) | Kind::ListOrOne(of), Value::List(values)) => {
                for (number, value) in values.iter().enumerate() {
                    self.below(format!("[{number}]"), |checking| checking.incomplete(*of, value));
                }
            }
            _ => {}
        }
    }

    fn group(&mut self, keys: &'static [Key], values: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut checked = BTreeMap::new();
        for (name, value) in values {
            let found = self.below(name.clone(), |checking| match keys.iter().find(|key| key.name == name) {
                Some(key) => checking.value(key.kind, value),
                None => {
                    checking.unknown(keys, name);
                    None
                }
            });
            checked.extend(found.map(|value| (name.clone(), value)));
        }
        checked
    }

    fn below<T>(&mut self, name: String, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name);
        let found = check(self);
        self.path.pop();
        found
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for name in &self.path {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_[]".contains(c);
            if name.chars().all(plain) { path.push_str(name) } else { path.push_str(&format!("{name:?}")) }
        }
        path
    }

    fn mistake(&mut self, kind: Kind, value: &Value) -> Option<Value> {
        let mut expected = kind.described();
        if let (Kind::Text(_), Value::Integer(_) | Value::Flag(_)) = (kind, value) {
            expected.push_str(", in quotes");
        }
        self.mistakes.push(Mistake { path: self.path(), expected, found: value.described() });
        None
    }

    fn unknown(&mut self, keys: &'static [Key], name: &str) {
        let path = self.path();
        let own = path.strip_prefix("settings.").unwrap_or_default();
        let later = LATER.iter().find(|later| own == later.path || own.starts_with(&format!("{}.", later.path)));
        let nearest = keys.iter().min_by_key(|key| distance(key.name, name));
        let hint = match (later, nearest) {
            (Some(later), _) => Hint::Later(later.why),
            (None, Some(key)) if distance(key.name, name) <= MAX_DISTANCE => Hint::Meant(key.name),
            _ => Hint::None,
        };
        self.unknown.push(UnknownKey { path, hint });
    }
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}: expected {}", self.path, self.found, self.expected)
    }
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no setting", self.path)?;
        match self.hint {
            Hint::None => Ok(()),
            Hint::Meant(name) => write!(f, "; `{name}` is one"),
            Hint::Later(why) => write!(f, ": {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Form;

    const KEYS: &[Key] = &[
        Key { name: "motd", kind: Kind::Text(Form::Line), about: "", need: Need::Optional },
        Key { name: "percent", kind: Kind::IntegerOrText(0, 100), about: "", need: Need::Optional },
        Key { name: "limit", kind: Kind::Integer(1, 9), about: "", need: Need::Optional },
        Key { name: "servers", kind: Kind::ListOrOne(&Kind::Text(Form::Host)), about: "", need: Need::Optional },
        Key {
            name: "things",
            kind: Kind::Table(
                Form::Interface,
                &Kind::Group(&[Key { name: "on", kind: Kind::Flag, about: "", need: Need::Required }]),
            ),
            about: "",
            need: Need::Optional,
        },
    ];

    fn table<const N: usize>(values: [(&str, Value); N]) -> Value {
        Value::Table(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn values_that_fit_come_out_in_their_own_kind() {
        let given = table([
            ("motd", text("hello")),
            ("percent", text("85")),
            ("servers", text("10.0.0.2")),
            ("things", table([("a.b", table([("on", Value::Flag(true))]))])),
        ]);
        let checked = check(KEYS, &given);
        assert_eq!((checked.mistakes, checked.unknown), (vec![], vec![]));
        assert_eq!(checked.values.at(["percent"]), Some(&Value::Integer(85)));
        assert_eq!(checked.values.at(["servers"]), Some(&Value::List(vec![text("10.0.0.2")])));
        assert_eq!(checked.values.at(["things", "a.b", "on"]), Some(&Value::Flag(true)));
    }

    #[test]
    fn every_mistake_is_told_with_key_value_and_expectation() {
        let given = table([
            ("motd", Value::Integer(5)),
            ("percent", text("101")),
            ("limit", text("5")),
            ("servers", Value::List(vec![text("good.example"), text("bad host")])),
            ("things", table([("../x", table([])), ("a", Value::Flag(true)), ("b", table([("on", text("yes"))]))])),
        ]);
        let told: Vec<String> = check(KEYS, &given).mistakes.iter().map(Mistake::to_string).collect();
        assert_eq!(
            told,
            [
                "`settings.limit` is the text `5`: expected a whole number from 1 to 9",
                "`settings.motd` is the number 5: expected one line of text, in quotes",
                "`settings.percent` is the text `101`: expected a whole number from 0 to 100, as a text too",
                "`settings.servers[1]` is the text `bad host`: expected a host name or an address",
                "`settings.things` is the name `../x`: expected the name of a network interface, as in `eth0`",
                "`settings.things.a` is true: expected a table",
                "`settings.things.b.on` is the text `yes`: expected `true` or `false`",
            ]
        );
    }

    #[test]
    fn a_key_that_there_is_not_is_told_and_the_others_count() {
        let given = table([("mtod", text("a")), ("ecs", table([("cluster", text("b"))])), ("motd", text("c"))]);
        let checked = check(KEYS, &given);
        let told: Vec<String> = checked.unknown.iter().map(UnknownKey::to_string).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("`settings.ecs` is no setting: "), "{told:?}");
        assert_eq!(told[1], "`settings.mtod` is no setting; `motd` is one");
        assert_eq!(checked.values, table([("motd", text("c"))]));
        assert_eq!(checked.mistakes, []);
    }

    #[test]
    fn a_table_without_what_it_must_have_is_told() {
        let given = table([("things", table([("a", table([])), ("b", table([("on", Value::Flag(true))]))]))]);
        assert_eq!(check(KEYS, &given).mistakes, []);
        let told: Vec<String> = incomplete(KEYS, &given).iter().map(Mistake::to_string).collect();
        assert_eq!(told, ["`settings.things.a` is a table without: expected one with `on`"]);
    }

    #[test]
    fn lists_and_texts_have_limits() {
        let long = Value::List(vec![text("a"); MAX_VALUES + 1]);
        assert_eq!(check(KEYS, &table([("servers", long)])).mistakes.len(), 1);
        assert_eq!(check(KEYS, &table([("motd", text(&"x".repeat(10 << 20)))])).mistakes.len(), 1);
    }
}
