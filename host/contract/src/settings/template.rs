//! Files that are made from settings.
//!
//! A template is of Jinja's language (minijinja) and knows one thing, `settings`. A value that is not set is nothing to
//! print: a template asks before. No value is read as a template, whatever it holds.

use std::collections::BTreeMap;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, syntax::SyntaxConfig};

use super::{
    schema::{Key, find},
    value::Value,
    view::{sample, sparse, view},
};

/// The most bytes of a template.
pub const MAX_TEMPLATE: usize = 256 << 10;
/// So many instructions a template has at most: settings of a megabyte need a hundredth of it.
const FUEL: u64 = 10_000_000;
/// What every path of a setting begins with.
const SETTINGS: &str = "settings";

const NOT_SET: &str = "it prints or goes through a value that is not set: ask before, `{% if … %}`";
const NO_SUCH: &str = "it prints or goes through a value that no setting has";

/// A template cannot be what it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Where in it, from 1, if that is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

/// The text that a template makes of `values`, which are those that [`check`](super::check) lets through.
///
/// # Errors
/// A template that is none, asks for what is not set, or does not come to an end.
pub fn render(text: &str, keys: &'static [Key], values: &Value) -> Result<String, TemplateError> {
    rendered(&environment(), text, &view(keys, values))
}

/// Tries a template: that it is one, asks for settings alone, for those that there are, and makes something when everything
/// is set, when nothing is, when there are entries in which nothing is, and of each setting that it asks for when that
/// alone is set and when that alone is not.
///
/// # Errors
/// Everything that is wrong with it; not the second of two that follow from each other.
pub fn try_out(text: &str, keys: &'static [Key], is_folder: bool) -> Result<(), Vec<TemplateError>> {
    if text.len() > MAX_TEMPLATE {
        let message = format!("it has {} bytes: expected {MAX_TEMPLATE} at most", text.len());
        return Err(vec![TemplateError { line: None, message }]);
    }
    let strict = environment();
    let template = strict.template_from_str(text).map_err(|error| vec![told(&error)])?;
    let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    names.sort();
    let wrong: Vec<TemplateError> = names.iter().filter_map(|name| not_a_setting(keys, name, text)).collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let whole = sample(keys);
    let mut tried = vec![whole.clone(), sparse(keys), Value::none()];
    for name in names.iter().filter_map(|name| name.strip_prefix("settings.")) {
        let path: Vec<String> = name.split('.').map(|part| part.replace('_', "-")).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some(value) = whole.at(path.iter().copied()) {
            tried.push(value.clone().nested(path.iter().copied()));
            tried.push(whole.clone().without(&path));
        }
    }
    for (number, values) in tried.into_iter().enumerate() {
        let made = rendered(&strict, text, &view(keys, &values)).map_err(|error| match error.message == NOT_SET {
            // Everything is set in the first.
            true if number == 0 => vec![TemplateError { message: NO_SUCH.to_owned(), ..error }],
            _ => vec![error],
        })?;
        if is_folder {
            divided(&made).map_err(|error| vec![error])?;
        }
    }
    Ok(())
}

/// The files of a folder that a template has made: each begins with a line `==> NAME <==`.
///
/// # Errors
/// Text before the first such line, a name that is none or leads out of the folder, a name twice.
pub fn divided(text: &str) -> Result<BTreeMap<String, String>, TemplateError> {
    let wrong = |line: usize, message: String| TemplateError { line: Some(line), message };
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let name = line.trim_end().strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
        match (name, &current) {
            (Some(name), _) => {
                if !is_below(name) {
                    return Err(wrong(number, format!("`{}` is no file of a folder", name.escape_debug())));
                }
                if files.insert(name.to_owned(), String::new()).is_some() {
                    return Err(wrong(number, format!("`{name}` is made twice")));
                }
                current = Some(name.to_owned());
            }
            (None, Some(name)) => files.entry(name.clone()).or_default().push_str(line),
            (None, None) if line.trim().is_empty() => {}
            (None, None) => {
                let message = "this is of no file: expected a line `==> NAME <==` before it";
                return Err(wrong(number, message.to_owned()));
            }
        }
    }
    Ok(files)
}

/// Whether it is a path of plain names that stays below its folder.
fn is_below(path: &str) -> bool {
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.len() <= 255
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '@'))
    };
    path.len() <= 1024 && path.split('/').all(plain)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // Only other delimiters than Jinja's could be refused.
    if let Ok(syntax) =
        SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    environment.add_filter("from_base64", from_base64);
    environment
}

/// The text that base64 packs (RFC 4648, section 4). Line ends in it count for nothing.
fn from_base64(packed: &str) -> Result<String, minijinja::Error> {
    let wrong = |detail| minijinja::Error::new(ErrorKind::InvalidOperation, detail);
    let mut bytes = Vec::new();
    let (mut bits, mut length) = (0_u32, 0_u32);
    for byte in packed.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | b'=')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(wrong("a value is no base64")),
        };
        (bits, length) = (bits << 6 | u32::from(value), length + 6);
        if length >= 8 {
            length -= 8;
            bytes.extend(u8::try_from(bits >> length & 0xff));
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("a value in base64 is no text"))
}

fn rendered(environment: &Environment<'_>, text: &str, values: &Value) -> Result<String, TemplateError> {
    let settings = minijinja::Value::from(BTreeMap::from([(SETTINGS, of(values))]));
    environment.render_str(text, settings).map_err(|error| told(&error))
}

fn of(value: &Value) -> minijinja::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(values) => values.iter().map(of).collect::<Vec<_>>().into(),
        Value::Table(values) => {
            values.iter().map(|(name, value)| (name.clone(), of(value))).collect::<BTreeMap<_, _>>().into()
        }
    }
}

fn told(error: &minijinja::Error) -> TemplateError {
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => NOT_SET.to_owned(),
        (ErrorKind::OutOfFuel, _) => "it does not come to an end".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateError { line: error.line(), message }
}

/// What is wrong with a name that a template asks for.
fn not_a_setting(keys: &'static [Key], name: &str, text: &str) -> Option<TemplateError> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let line = text.lines().position(|line| line.contains(last)).map(|line| line + 1);
    let message = match name.split_once('.') {
        Some((SETTINGS, path)) if find(keys, path.replace('_', "-").split('.')).is_some() => return None,
        None if name == SETTINGS => return None,
        Some((SETTINGS, path)) => format!("there is no setting `{SETTINGS}.{}`", path.replace('_', "-")),
        _ => format!("`{name}` is nothing that a template knows: expected `{SETTINGS}.…`"),
    };
    Some(TemplateError { line, message })
}

#[cfg(test)]
mod tests {
    use super::{super::KEYS, *};

    fn set(path: &str, value: Value) -> Value {
        value.nested(path.split('.'))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    const NTP: &str =
        "[Time]\n{% if settings.ntp.time_servers %}\nNTP={{ settings.ntp.time_servers|join(' ') }}\n{% endif %}\n";

    #[test]
    fn a_template_makes_its_file_of_what_is_set() {
        let servers = Value::List(vec![text("a.example"), text("10.0.0.2")]);
        let made = render(NTP, KEYS, &set("ntp.time-servers", servers));
        assert_eq!(made.as_deref(), Ok("[Time]\nNTP=a.example 10.0.0.2\n"));
        assert_eq!(render(NTP, KEYS, &Value::none()).as_deref(), Ok("[Time]\n"));
        assert_eq!(try_out(NTP, KEYS, false), Ok(()));
    }

    #[test]
    fn base64_is_unpacked() {
        let template = "{{ settings.kubernetes.cluster_certificate|from_base64 }}";
        let unpacked = |packed: &str| render(template, KEYS, &set("kubernetes.cluster-certificate", text(packed)));
        for (packed, plain) in
            [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("aGVs\nbG8K", "hello\n"), ("w6Q=", "ä")]
        {
            assert_eq!(unpacked(packed).as_deref(), Ok(plain));
        }
        assert!(unpacked("/w==").unwrap_err().message.contains("is no text"));
    }

    #[test]
    fn no_value_is_read_as_a_template() {
        let motd = "{{ settings }}{% for a in range(9) %}x{% endfor %}";
        let made = render("{{ settings.motd }}\n", KEYS, &set("motd", text(motd)));
        assert_eq!(made, Ok(format!("{motd}\n")));
    }

    #[test]
    fn what_is_wrong_with_a_template_is_told() {
        for (template, expected) in [
            ("{{ settings.ntp.time_server }}", "line 1: there is no setting `settings.ntp.time-server`"),
            ("a\n{{ setings.motd }}", "line 2: `setings.motd` is nothing that a template knows: expected `settings.…`"),
            ("{% if %}", "line 1: syntax error: "),
            ("{{ settings.motd }}", "line 1: it prints or goes through a value that is not set"),
            (
                "{% if settings.motd %}{% if settings.network.hostname == 'a' %}x{% endif %}{% endif %}",
                "line 1: it prints or goes through a value that is not set",
            ),
            (
                "{% if not settings.motd %}{{ settings.network.hostname }}{% endif %}",
                "line 1: it prints or goes through a value that is not set",
            ),
            (
                "{% for m in settings.container_registry.mirrors %}\n{{ m.registri }}{% endfor %}",
                "line 2: it prints or goes through a value that no",
            ),
            ("{{ settings.motd|shout }}", "line 1: unknown filter: "),
            ("{% for a in range(10000) %}{% endfor %}", "line 1: `range` is nothing that a template knows"),
            ("{% include 'a' %}", "line 1: "),
        ] {
            let told = try_out(template, KEYS, false).unwrap_err();
            assert!(told[0].to_string().starts_with(expected), "{template}: {told:?}");
        }
    }

    #[test]
    fn a_template_that_does_not_come_to_an_end_is_ended() {
        let loops = "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] %}".repeat(9) + &"{% endfor %}".repeat(9);
        let told = render(&loops, KEYS, &Value::none()).unwrap_err();
        assert_eq!(told.message, "it does not come to an end");
    }

    #[test]
    fn a_folder_is_divided_into_its_files_and_none_leads_out_of_it() {
        let files = divided("\n==> a.conf <==\nx\n\n==> b/c.toml <==\n==> d <==\ny").unwrap();
        let expected = [("a.conf", "x\n\n"), ("b/c.toml", ""), ("d", "y")];
        assert_eq!(files, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
        for text in ["x\n", "==> ../a <==\n", "==> /a <==\n", "==> a/ <==\n", "==>  <==\n", "==> a b <==\n"] {
            assert!(divided(text).is_err(), "{text:?}");
        }
        assert!(divided("==> a <==\n==> a <==\n").is_err());
        assert_eq!(divided(""), Ok(BTreeMap::new()));
    }
}
