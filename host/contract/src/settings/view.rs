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

/// Values in which every setting is set, with one entry in each list and table: what a template is tried with.
pub fn sample(keys: &'static [Key]) -> Value {
    group(keys, true)
}

/// Values with one entry in each list and table in which nothing is set but that.
pub fn sparse(keys: &'static [Key]) -> Value {
    group(keys, false)
}

fn group(keys: &'static [Key], is_whole: bool) -> Value {
    let set = |key: &Key| {
        let is_set = is_whole || is_open(key.kind) || key.need == Need::Required;
        Some((key.name.to_owned(), entry(key.kind, is_whole).filter(|_| is_set)?))
    };
    Value::Table(keys.iter().filter_map(set).collect())
}

/// Whether it holds values that a user gives a name or a place.
fn is_open(kind: Kind) -> bool {
    matches!(kind, Kind::Group(_) | Kind::Table(..) | Kind::List(_) | Kind::ListOrOne(_))
}

fn entry(kind: Kind, is_whole: bool) -> Option<Value> {
    Some(match kind {
        Kind::Text(form) => Value::Text(form.example().to_owned()),
        Kind::Integer(least, _) | Kind::IntegerOrText(least, _) => Value::Integer(least),
        Kind::Flag => Value::Flag(true),
        Kind::List(of) | Kind::ListOrOne(of) => Value::List(vec![entry(*of, is_whole)?]),
        Kind::Group(keys) => group(keys, is_whole),
        Kind::Table(name, of) => Value::Table(BTreeMap::from([(name.example().to_owned(), entry(*of, is_whole)?)])),
    })
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
