//! Users of an image, and who owns a path.

use super::{
    Code, Spanned,
    decode::{Cursor, Reader, Seen},
    word::UserWord,
};
use crate::content::RelPath;

/// Who owns a path: names, never numbers; the lock gives the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group; the user's own when it is not said.
    pub group: Option<String>,
}

/// A system user and the group of the same name: `user "etcd" home="/var/lib/etcd"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserItem {
    /// Its name.
    pub name: Spanned<String>,
    /// `home="/var/lib/etcd"`: its home, absolute; `/` when it is not said.
    pub home: Option<Spanned<RelPath>>,
    /// `shell="/usr/bin/sh"`: its shell, absolute; none to log in with when it is not said.
    pub shell: Option<Spanned<RelPath>>,
    /// `comment="key-value store"`: what it is for.
    pub comment: Option<Spanned<String>>,
    /// `group "kvm" …`: inside its block, more groups that it belongs to, which packages or a `group` bring.
    pub groups: Vec<Spanned<String>>,
}

impl UserItem {
    pub(super) fn read(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Self> {
        let name = cursor.text(reader, "the name of a user").and_then(|name| user_name(reader, name, "a user"));
        let home = cursor.text_property(reader, "home").and_then(|text| account_path(reader, text, "a home"));
        let shell = cursor.text_property(reader, "shell").and_then(|text| account_path(reader, text, "a shell"));
        let shell = shell.filter(|shell| is_program(reader, shell));
        let comment = cursor.text_property(reader, "comment");
        let comment = comment.filter(|comment| is_account_field(reader, comment, "a comment"));
        let mut groups = Vec::new();
        let mut seen = Seen::new();
        for node in cursor.block() {
            let Some(word @ UserWord::Group) = reader.word(node, &mut seen) else { continue };
            let mut inner = Cursor::new(reader, node, word);
            let texts = inner.texts(reader, "the name of a group");
            groups.extend(texts.into_iter().filter_map(|name| user_name(reader, name, "a group")));
            inner.finish(reader);
        }
        Some(UserItem { name: name?, home, shell, comment, groups })
    }
}

/// `owner="user"` or `owner="user:group"`.
pub(super) fn owner(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Option<Spanned<Owner>> {
    let text = cursor.text_property(reader, "owner")?;
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text.as_str(), None),
    };
    for (name, what) in [(Some(user), "a user"), (group, "a group")] {
        if let Some(name) = name {
            user_name(reader, Spanned::new(name.to_owned(), text.span), what)?;
        }
    }
    let owner = Owner { user: user.to_owned(), group: group.map(str::to_owned) };
    Some(Spanned::new(owner, text.span))
}

/// A user's or group's name as every tool takes it: `[a-z_][a-z0-9_-]{0,30}` (systemd's strict form).
pub(super) fn user_name(reader: &mut Reader<'_>, name: Spanned<String>, what: &str) -> Option<Spanned<String>> {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if !first || name.len() > 31 || !name.chars().all(fits) {
        let message = format!("`{}` cannot be the name of {what}", name.value);
        reader.error(Code::BadName, name.span, message, "names are `[a-z_][a-z0-9_-]{0,30}`, never numbers");
        return None;
    }
    Some(name)
}

fn account_path(reader: &mut Reader<'_>, text: Spanned<String>, what: &str) -> Option<Spanned<RelPath>> {
    if is_account_field(reader, &text, what) { reader.plain_path(text) } else { None }
}

fn is_program(reader: &mut Reader<'_>, shell: &Spanned<RelPath>) -> bool {
    if shell.is_root() {
        reader.error(Code::BadPath, shell.span, "`/` is no program", "write `shell=\"/usr/bin/sh\"`");
    }
    !shell.is_root()
}

/// Whether a text can stand in a line of passwd(5), whose fields end at `:`; reports one that cannot. A lone `-` means
/// nothing to sysusers.d(5).
fn is_account_field(reader: &mut Reader<'_>, text: &Spanned<String>, what: &str) -> bool {
    if reader.has_control_character(text, &format!("{what} of a user")) {
        return false;
    }
    let why = match text.as_str() {
        "-" => "to systemd-sysusers it means none",
        text if text.contains(':') => "a `:` ends it in /etc/passwd",
        _ => return true,
    };
    let message = format!("`{}` cannot be {what} of a user: {why}", text.value);
    reader.error(Code::BadValue, text.span, message, "leave it out");
    false
}
