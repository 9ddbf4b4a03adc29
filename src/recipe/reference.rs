//! Names of components, kernels, variants and archives, and how one refers to another.

use std::fmt;

/// The full name of a thing: the recipe set that has it and its own name.
///
/// Written `brc/runc`; a recipe may leave the set out when it means its own set or only one set has the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The set: the name of the project for its own recipes; empty in a project without `brc.kdl`.
    pub set: String,
    /// The name inside the set.
    pub name: String,
}

impl Name {
    /// Joins a set's name and a thing's.
    pub fn new(set: impl Into<String>, name: impl Into<String>) -> Self {
        Name { set: set.into(), name: name.into() }
    }
}

impl fmt::Display for Name {
    /// Writes `set/name`, or the bare name where the set has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.set.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.set, self.name) }
    }
}
