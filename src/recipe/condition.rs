//! When something holds: `when arch="x86_64|aarch64" { … } otherwise { … }`. Not decided here, only read.

use std::{collections::BTreeSet, fmt};

use super::Span;

/// What a condition asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The architecture of the image.
    Arch,
    /// The platform of the variant.
    Platform,
    /// The features that are on: holds when at least one of the values is.
    Feature,
    /// The name of the variant that is composed, not of those it extends.
    Variant,
}

/// Whether a condition wants its values or anything but them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sense {
    /// One of the values.
    Is,
    /// None of the values.
    IsNot,
}

/// One question: `arch="x86_64|aarch64"`, `feature="!debug"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What is asked about.
    pub key: Key,
    /// The values, at least one.
    pub values: BTreeSet<String>,
    /// Whether they are wanted or not.
    pub sense: Sense,
    /// Where it stands.
    pub span: Span,
}

/// Conditions of which one must hold. A `when` gives a clause for each of its properties; its `otherwise` gives
/// one clause with all of them turned round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause {
    /// At least one condition.
    pub any: Vec<Condition>,
}

/// A thing that may stand inside conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded<T> {
    /// Every one must hold, outermost first; empty for a thing that always counts.
    pub when: Vec<Clause>,
    /// The thing.
    pub item: T,
    /// The node that states it.
    pub span: Span,
}

impl Key {
    pub(super) const ALL: [Key; 4] = [Key::Arch, Key::Platform, Key::Feature, Key::Variant];

    /// The word that recipes write.
    pub fn name(self) -> &'static str {
        match self {
            Key::Arch => "arch",
            Key::Platform => "platform",
            Key::Feature => "feature",
            Key::Variant => "variant",
        }
    }
}

impl Condition {
    /// The opposite question.
    #[must_use]
    pub fn negated(&self) -> Self {
        let sense = match self.sense {
            Sense::Is => Sense::IsNot,
            Sense::IsNot => Sense::Is,
        };
        Condition { sense, ..self.clone() }
    }
}

impl fmt::Display for Condition {
    /// Writes the condition as recipes do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let not = if self.sense == Sense::IsNot { "!" } else { "" };
        write!(f, "{}=\"{not}{}\"", self.key.name(), values.join("|"))
    }
}
