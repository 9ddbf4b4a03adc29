//! Settings that a variant states: what counts on a machine as long as nobody says otherwise.

use std::fmt;

use brc_contract::settings::OnUnknown;

use super::{
    Code, Spanned, Switch,
    decode::{Cursor, Reader},
    parse::{Node, Value},
};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The words from the outermost node inward.
    pub path: Vec<String>,
    /// Its values; one for most.
    pub values: Vec<Spanned<SettingValue>>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Written `#true` or `#false`.
    Switch(Switch),
}

impl fmt::Display for SettingValue {
    /// Writes it as recipes do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Text(text) => write!(f, "{text:?}"),
            SettingValue::Number(number) => write!(f, "{number}"),
            SettingValue::Switch(Switch::On) => f.write_str("#true"),
            SettingValue::Switch(Switch::Off) => f.write_str("#false"),
        }
    }
}

/// Every leaf below `settings`, and what becomes of keys that there are not, where that is said.
pub(super) fn read_settings(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
) -> (Option<Spanned<OnUnknown>>, Vec<Setting>) {
    let unknown = cursor.text_property(reader, "unknown").and_then(|text| match text.as_str() {
        "warn" => Some(Spanned::new(OnUnknown::Warn, text.span)),
        "refuse" => Some(Spanned::new(OnUnknown::Refuse, text.span)),
        other => {
            let message = format!("`{other}` is nothing that becomes of unknown settings");
            reader.error(Code::BadValue, text.span, message, "there is `warn` and `refuse`");
            None
        }
    });
    let mut settings = Vec::new();
    for inner in cursor.block() {
        Setting::read_below(reader, inner, &mut Vec::new(), &mut settings);
    }
    cursor.finish(reader);
    (unknown, settings)
}

impl Setting {
    /// As deep as `token` lets through, so the recursion is bounded.
    fn read_below(reader: &mut Reader<'_>, node: &Node<'_>, path: &mut Vec<String>, found: &mut Vec<Setting>) {
        path.push(node.name.clone().into_owned());
        if let Some(children) = &node.children {
            for entry in &node.entries {
                let message = format!("`{}` has a block, so it has no value of its own", node.name);
                reader.error(Code::ExtraArgument, entry.span, message, "write the value as a node inside");
            }
            for inner in children {
                Self::read_below(reader, inner, path, found);
            }
        } else {
            let mut values = Vec::new();
            for entry in &node.entries {
                if let Some((name, span)) = &entry.name {
                    let message = format!("the setting `{}` has no `{name}=`", node.name);
                    reader.error(Code::UnknownProperty, *span, message, "write it as a node inside: `{ … }`");
                }
                let value = match &entry.value {
                    Value::Text(text) => Some(SettingValue::Text(text.clone().into_owned())),
                    Value::Integer(number, _) => i64::try_from(*number).ok().map(SettingValue::Number),
                    Value::Switch(on) => Some(SettingValue::Switch(if *on { Switch::On } else { Switch::Off })),
                    Value::Float(_) | Value::Null => None,
                };
                match value {
                    Some(value) => values.push(Spanned::new(value, entry.span)),
                    None => {
                        let message = "a setting is a text, a whole number of 64 bits, `#true` or `#false`";
                        reader.error(Code::WrongType, entry.span, message, "write it in quotes");
                    }
                }
            }
            if node.entries.is_empty() {
                let message = format!("the setting `{}` has no value", node.name);
                reader.error(Code::MissingArgument, node.name_span, message, format!("write `{} \"…\"`", node.name));
            }
            found.push(Setting { path: path.clone(), values });
        }
        path.pop();
    }
}
