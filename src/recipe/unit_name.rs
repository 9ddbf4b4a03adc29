//! Names of units, and of what recipes make in files of that name.

use super::{Code, Diagnostic, Spanned, decode::Reader};

/// The longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// A name that a file can have, of characters that fit.
pub(super) fn name_of(
    reader: &mut Reader<'_>,
    name: Spanned<String>,
    what: &str,
    fits: impl Fn(char) -> bool,
) -> Option<Spanned<String>> {
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of {what}", name.value);
        reader.problems.push(Diagnostic::error(Code::BadName, name.span, message));
        return None;
    }
    Some(name)
}

/// A unit's name with its suffix (systemd.unit(5)).
pub(super) fn unit_name(reader: &mut Reader<'_>, name: Spanned<String>) -> Option<Spanned<String>> {
    const SUFFIXES: [&str; 11] =
        ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
    let name = name_of(reader, name, "a unit", fits)?;
    match name.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => Some(name),
        _ => {
            let message = format!("`{}` has no suffix of a unit", name.value);
            reader.error(Code::BadName, name.span, message, format!("`{}.service`?", name.value));
            None
        }
    }
}
