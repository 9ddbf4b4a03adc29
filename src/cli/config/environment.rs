//! The variables of the environment, as they were when brc started.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The environment's variables. One that is not UTF-8 is none: no variable that brc reads has another text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// These variables.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Environment(variables.into_iter().filter_map(text).collect())
    }

    /// The text of a variable; an empty one says nothing.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The absolute path that a variable holds; a relative one says nothing (XDG Base Directory Specification).
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// `variable`, which names a folder of a user's, or else `below` the home; with `name` at its end.
    pub fn folder(&self, variable: &str, below: &str, name: &str) -> Option<PathBuf> {
        let folder = self.path(variable).or_else(|| Some(self.path("HOME")?.join(below)));
        folder.map(|folder| folder.join(Path::new(name)))
    }

    /// Every variable that says something, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        all.filter(|(_, text)| !text.is_empty())
    }
}
