//! What somebody changes: `motd=hello`.

use brc_contract::settings::{KEYS, Kind, MAX_DEPTH, Value, find};

/// The value of `KEY=VALUE`, nested below its key. The value is JSON where the setting wants more than a text, and else a
/// text as it is. Names with dots stand in quotes: `kernel.sysctl."net.core.somaxconn"=1024`.
///
/// # Errors
/// No `=`, a key that there is not, or a value that is no JSON.
pub fn assignment(text: &str) -> Result<Value, SetError> {
    let names = key(text);
    let path: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, Some(value)) = split(text) else { return Err(SetError::Form { found: text.to_owned() }) };
    if path.is_empty() || path.len() > MAX_DEPTH || path.contains(&"") {
        return Err(SetError::Form { found: text.to_owned() });
    }
    let key = path.join(".");
    let value = match find(KEYS, path.iter().copied()) {
        None => return Err(SetError::Unknown { key }),
        Some(Kind::Text(_)) => Value::Text(value.to_owned()),
        Some(kind) => serde_json::from_str(value)
            .or_else(|_| serde_json::from_str(&format!("[{value}]")))
            .map_err(|_| SetError::Value { key, value: value.to_owned(), expected: kind.described() })?,
    };
    Ok(value.nested(path.iter().copied()))
}

/// The names of a key, without the first one, `settings`, that may stand there: `kernel.sysctl."net.core.somaxconn"`.
pub fn key(text: &str) -> Vec<String> {
    let (mut names, _) = split(text);
    if names.first().is_some_and(|name| name == "settings") {
        names.remove(0);
    }
    names
}

/// The names of a key, and what follows `=`, where there is one.
fn split(text: &str) -> (Vec<String>, Option<&str>) {
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => names.push(std::mem::take(&mut name)),
            '=' if !quoted => {
                names.push(name);
                return (names, text.get(at + 1..));
            }
            letter => name.push(letter),
        }
    }
    names.push(name);
    (names, None)
}

/// Something cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No assignment.
    #[error(
        "`{found}` sets nothing: expected KEY=VALUE, as in `motd=hello` or `kernel.sysctl.\"net.core.somaxconn\"=1024`"
    )]
    Form { found: String },
    /// A key that there is not.
    #[error("there is no setting `{key}`")]
    Unknown { key: String },
    /// A value that is no JSON.
    #[error("`{key}` cannot be `{value}`: expected {expected}, as JSON")]
    Value { key: String, value: String, expected: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_a_key_and_a_text_or_json() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (given, path, value) in [
            ("motd=a=b c", &["motd"][..], text("a=b c")),
            ("settings.motd=5", &["motd"], text("5")),
            ("kernel.sysctl.\"net.core.somaxconn\"=1024", &["kernel", "sysctl", "net.core.somaxconn"], text("1024")),
            ("ntp.time-servers=[\"a\"]", &["ntp", "time-servers"], Value::List(vec![text("a")])),
            ("ntp.time-servers=\"a\", \"b\"", &["ntp", "time-servers"], Value::List(vec![text("a"), text("b")])),
            ("kernel.modules.loop.autoload=true", &["kernel", "modules", "loop", "autoload"], Value::Flag(true)),
        ] {
            let set = assignment(given).unwrap();
            assert_eq!(set.at(path.iter().copied()), Some(&value), "{given}");
        }
    }

    #[test]
    fn a_key_is_its_names_and_those_with_dots_stand_in_quotes() {
        assert_eq!(key("settings.kernel.sysctl.\"net.core.somaxconn\""), ["kernel", "sysctl", "net.core.somaxconn"]);
        assert_eq!(key("motd"), ["motd"]);
        assert_eq!(key("settings"), [""; 0]);
    }

    #[test]
    fn what_sets_nothing_is_told() {
        for (given, expected) in [
            ("motd", "`motd` sets nothing"),
            ("=a", "`=a` sets nothing"),
            ("settings=a", "`settings=a` sets nothing"),
            ("a..b=c", "`a..b=c` sets nothing"),
            ("mtod=a", "there is no setting `mtod`"),
            (
                "kernel.modules.loop.autoload=yes",
                "`kernel.modules.loop.autoload` cannot be `yes`: expected `true` or `false`",
            ),
        ] {
            let told = assignment(given).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
