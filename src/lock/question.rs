//! Questions that a lock answers without any file: is it complete, what conflicts, which scripts run nowhere.

use std::collections::BTreeSet;

use super::{
    document::{Lock, LockedClosure},
    locking::Problem,
    wanted::Wanted,
};

/// Two members of a closure that cannot be together, as one of them states.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The package that says so.
    pub package: String,
    /// The package that it says so of.
    pub with: String,
    /// The relation as the index has it: `foo (<< 2)`.
    pub relation: String,
}

impl Lock {
    /// What is wanted and not locked, or locked otherwise than wanted; empty when the lock serves these recipes.
    ///
    /// Cheap: it compares names and solves nothing, since it runs before every compose.
    pub fn missing(&self, _wanted: &Wanted) -> Vec<Problem> {
        todo!()
    }

    /// The maintainer scripts of a closure's packages that nobody accounted for: package and scripts, sorted.
    ///
    /// `accounted` holds package names. Packages that were not looked into (of tool sets) are left out.
    pub fn unaccounted(&self, _closure: &LockedClosure, _accounted: &BTreeSet<String>) -> Vec<(String, Vec<String>)> {
        todo!()
    }

    /// Members of a closure that declare a conflict with, or a break of, another member.
    pub fn conflicts(&self, _closure: &LockedClosure) -> Vec<Conflict> {
        todo!()
    }
}
