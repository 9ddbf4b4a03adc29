//! Settings as templates see them.

use std::collections::BTreeMap;

use super::{
    schema::{Key, Kind, Need},
    value::Value,
};

/// The values with the names of settings as templates write them, `_` for `-`: `settings.ntp.time_servers`. Names of the
/// user's own stay. Lists and tables are always there, be they empty, so that a template can ask what is in them.
pub fn view(keys: &'static [Key], values: &Value) -> Value {
    of_kind(Kind::Group(keys), values)
}

fn of_kind(kind: Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Group(keys), Value::Table(values)) => {
            let named = |key: &Key| {
                let value = values.get(key.name).cloned().or_else(|| empty(key.kind))?;
                Some((key.name.replace('-', "_"), of_kind(key.kind, &value)))
            };
            Value::Table(keys.iter().filter_map(named).collect())
        }
        (Kind::Table(_, of), Value::Table(values)) => {
            Value::Table(values.iter().map(|(name, value)| (name.clone(), of_kind(*of, value))).collect())
        }
        (Kind::List(of) | Kind::ListOrOne(of), Value::List(values)) => {
            Value::List(values.iter().map(|value| of_kind(*of, value)).collect())
        }
        (_, value) => value.clone(),
    }
}

fn empty(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Group(_) | Kind::Table(..) => Some(Value::none()),
        Kind::List(_) | Kind::ListOrOne(_) => Some(Value::List(Vec::new())),
        Kind::Text(_) | Kind::Integer(..) | Kind::IntegerOrText(..) | Kind::Flag => None,
    }
}

/// How much of a sample is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Everything.
    Whole,
    /// An entry in each list and table, and nothing beside them.
    Sparse,
    /// What a table must have.
    Barest,
}

/// Values in which every setting is set, with one entry in each list and table: what a template is tried with.
pub fn sample(keys: &'static [Key]) -> Value {
    group(keys, Filling::Whole)
}

/// Values with one entry in each list and table, in which only that is set which an entry must have.
pub fn sparse(keys: &'static [Key]) -> Value {
    group(keys, Filling::Sparse)
}

fn group(keys: &'static [Key], filling: Filling) -> Value {
    let is_set = |key: &&Key| match filling {
        Filling::Whole => true,
        Filling::Sparse => empty(key.kind).is_some() || key.need == Need::Required,
        Filling::Barest => key.need == Need::Required,
    };
    Value::Table(keys.iter().filter(is_set).map(|key| (key.name.to_owned(), entry(key.kind, filling))).collect())
}

fn entry(kind: Kind, filling: Filling) -> Value {
    let inner = if filling == Filling::Whole { Filling::Whole } else { Filling::Barest };
    match kind {
        Kind::Text(form) => Value::Text(form.example().to_owned()),
        Kind::Integer(least, _) | Kind::IntegerOrText(least, _) => Value::Integer(least),
        Kind::Flag => Value::Flag(true),
        Kind::List(of) | Kind::ListOrOne(of) => Value::List(vec![entry(*of, inner)]),
        Kind::Group(keys) => group(keys, filling),
        Kind::Table(name, of) => Value::Table(BTreeMap::from([(name.example().to_owned(), entry(*of, inner))])),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{KEYS, check},
        *,
    };

    #[test]
    fn the_sample_is_right() {
        let checked = check(KEYS, &sample(KEYS));
        assert_eq!((checked.mistakes, checked.unknown), (vec![], vec![]));
        assert_eq!(checked.values, sample(KEYS));
        assert_eq!(sparse(KEYS).at(["kernel", "modules", "br_netfilter"]), Some(&Value::none()));
        assert_eq!(sparse(KEYS).at(["network", "interfaces", "eth0"]), Some(&Value::none()));
        assert_eq!(sparse(KEYS).at(["motd"]), None);
    }

    #[test]
    fn templates_see_the_names_of_settings_with_underscores_and_those_of_users_as_they_are() {
        let seen = view(KEYS, &sample(KEYS));
        assert!(seen.at(["ntp", "time_servers"]).is_some());
        assert!(seen.at(["kernel", "sysctl", "net.core.somaxconn"]).is_some());
        let nothing = view(KEYS, &Value::none());
        assert_eq!(nothing.at(["ntp", "time_servers"]), Some(&Value::List(Vec::new())));
        assert_eq!(nothing.at(["kernel", "sysctl"]), Some(&Value::none()));
        assert_eq!(nothing.at(["motd"]), None);
    }
}
