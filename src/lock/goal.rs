//! What is to be done to an old lock.

use std::collections::BTreeSet;

use super::document::{PackageId, SourceId};

/// What is to be done to an old lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Add what is missing, keep what is locked.
    Complete,
    /// Move these packages to the newest version; all of them when empty.
    Update(BTreeSet<String>),
    /// Move just what is gone from the mirrors.
    Relock(Gone),
}

/// What of a lock no mirror has any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gone {
    /// Packages.
    pub packages: BTreeSet<PackageId>,
    /// Source packages of which an archive is gone.
    pub sources: BTreeSet<SourceId>,
}

impl Gone {
    /// Whether everything is there.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.sources.is_empty()
    }
}
