//! What an image says of settings: their values at first, and the files that are made of them.

use brc_contract::settings::{ImageSettings, Value};

use super::super::change::Facts;
use crate::artifact::{ManifestFile, ManifestKind};

/// What is set at first, by path; where user data may come from, and what becomes of keys that there are not.
pub fn defaults(text: &str) -> Facts {
    let Some(settings) = read(text) else { return unread(text) };
    let mut facts = Facts::new();
    flatten("settings", &settings.defaults, &mut facts);
    facts.insert("unknown keys".to_owned(), format!("{:?}", settings.unknown).to_lowercase());
    let sources: Vec<&str> = settings.sources.iter().map(|source| source.name()).collect();
    facts.insert("user data from".to_owned(), sources.join(", "));
    facts
}

/// The files that are made of settings, by where they go.
pub fn templates(text: &str, files: &[ManifestFile]) -> Facts {
    let templates = read(text).map(|settings| settings.templates).unwrap_or_default();
    let digest = |from: &str| match files.iter().find(|file| file.path == from).map(|file| &file.kind) {
        Some(ManifestKind::File { sha256, .. }) => sha256.chars().take(12).collect(),
        _ => "missing".to_owned(),
    };
    let fact = |entry: brc_contract::settings::TemplateEntry| {
        let restarts: String = entry.restart.iter().map(|unit| format!(", restarts {unit}")).collect();
        (entry.to, format!("mode {:04o}, text {}{restarts}", entry.mode, digest(&entry.from)))
    };
    templates.into_iter().map(fact).collect()
}

fn read(text: &str) -> Option<ImageSettings> {
    serde_json::from_str(text).ok()
}

/// What cannot be read can still be another one.
fn unread(text: &str) -> Facts {
    if text.is_empty() { Facts::new() } else { Facts::from([("what cannot be read".to_owned(), text.to_owned())]) }
}

fn flatten(path: &str, value: &Value, facts: &mut Facts) {
    match value {
        Value::Table(values) => {
            values.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, facts));
        }
        value => drop(facts.insert(path.to_owned(), shown(value))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(values) => {
            let pairs: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {}", shown(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}
