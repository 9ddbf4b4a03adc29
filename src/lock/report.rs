//! What locking tells a person: problems, changes, warnings.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::document::Lock;

/// A wish that cannot be met, in words for the person who wrote the recipe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the recipe asks for it: `FILE:LINE`; empty when no single line does.
    pub origin: String,
    /// What is wrong, one sentence or more.
    pub message: String,
}

/// A package or recipe set whose version changed, came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockChange {
    /// Its name.
    pub name: String,
    /// What it is built for, in Debian's word; `source` for a source package, `set` for a recipe set.
    pub architecture: String,
    /// The version before; `None` when it is new.
    pub from: Option<String>,
    /// The version after; `None` when it is gone.
    pub to: Option<String>,
}

/// What locking did, beside the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Packages that came, went or moved.
    pub changes: Vec<LockChange>,
    /// Things that a person should know but that hinder nothing: prunings that prune nothing.
    pub warnings: Vec<Problem>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.origin.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.origin, self.message) }
    }
}

impl Lock {
    /// The packages that came, went or moved between two locks, sorted by name.
    pub fn changes_since(&self, old: &Lock) -> Vec<LockChange> {
        let (before, after) = (versions(old), versions(self));
        let keys: BTreeSet<&(&str, &str)> = before.keys().chain(after.keys()).collect();
        let none = BTreeSet::new();
        let mut changes = Vec::new();
        for key in keys {
            let (from, to) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
            let mut gone = from.difference(to);
            let mut new = to.difference(from);
            loop {
                let (from, to) = (gone.next(), new.next());
                if from.is_none() && to.is_none() {
                    break;
                }
                changes.push(LockChange {
                    name: key.0.to_owned(),
                    architecture: key.1.to_owned(),
                    from: from.map(|version| version.clone().into_owned()),
                    to: to.map(|version| version.clone().into_owned()),
                });
            }
        }
        changes
    }
}

fn versions(lock: &Lock) -> BTreeMap<(&str, &str), BTreeSet<Cow<'_, str>>> {
    let mut versions: BTreeMap<_, BTreeSet<Cow<'_, str>>> = BTreeMap::new();
    for id in lock.packages.keys() {
        versions.entry((id.name.as_str(), id.built_for.debian())).or_default().insert(Cow::from(&id.version));
    }
    for (id, source) in &lock.sources {
        versions.entry((id.name.as_str(), "source")).or_default().insert(Cow::from(&source.version));
    }
    for (name, set) in &lock.sets {
        versions.entry((name.as_str(), "set")).or_default().insert(Cow::from(set.version()));
    }
    versions
}
