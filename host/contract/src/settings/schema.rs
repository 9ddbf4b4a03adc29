//! What a setting may be.

use super::Form;

/// A setting, or a table of settings.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Whether its table must have it.
    pub need: Need,
}

/// Whether a table must have a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It may be left out.
    Optional,
    /// A table without it says nothing.
    Required,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A text.
    Text(Form),
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// The same; a text that holds one is taken too, since generators of user data write it so.
    IntegerOrText(i64, i64),
    /// Yes or no.
    Flag,
    /// Values of one kind, in order.
    List(&'static Kind),
    /// The same; one value alone is taken as a list of it, since generators of user data write it so.
    ListOrOne(&'static Kind),
    /// Settings with these names.
    Group(&'static [Key]),
    /// Values of one kind, by names of the user's own.
    Table(Form, &'static Kind),
}

impl Kind {
    /// What it is, for a message and the reference.
    pub fn described(self) -> String {
        match self {
            Kind::Text(form) => form.described(),
            Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Kind::IntegerOrText(least, most) => format!("a whole number from {least} to {most}, as a text too"),
            Kind::Flag => "`true` or `false`".to_owned(),
            Kind::List(of) => format!("a list, each {}", of.described()),
            Kind::ListOrOne(of) => format!("a list, or one alone, each {}", of.described()),
            Kind::Group(_) => "a table".to_owned(),
            Kind::Table(name, of) => format!("a table; its names: {}, each {}", name.described(), of.described()),
        }
    }
}

/// The kind at a path below `keys`, whose names are those of settings: `["kernel", "sysctl"]`.
pub fn find<'a>(keys: &'static [Key], path: impl IntoIterator<Item = &'a str>) -> Option<Kind> {
    path.into_iter().try_fold(Kind::Group(keys), |kind, name| match kind {
        Kind::Group(keys) => keys.iter().find(|key| key.name == name).map(|key| key.kind),
        Kind::Table(form, of) => form.fits(name).then_some(*of),
        _ => None,
    })
}
