//! The way from what is wanted to a lock, as a machine that asks for files and never fetches any itself.
//!
//! ```text
//! let mut locking = Locking::new(&wanted, &old, &goal, now)?;
//! loop {
//!     let needed = locking.needed();
//!     if needed.is_empty() { break }
//!     for file in fetched(needed) { locking.receive(&file, &bytes)?; }
//!     locking.advance()?;
//! }
//! let (lock, report) = locking.finish()?;
//! ```

use std::collections::BTreeSet;

use crate::content::Sha256;

use super::{
    document::{Lock, PackageId},
    refusal::ArchiveError,
    wanted::Wanted,
};

/// What is to be done to an old lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Add what is missing, keep what is locked.
    Complete,
    /// Move these packages to the newest version; all of them when empty.
    Update(BTreeSet<String>),
    /// Move just these packages, whose files are gone from the mirrors.
    Relock(BTreeSet<PackageId>),
}

/// A file that has to be fetched before locking can go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededFile {
    /// The mirror that serves it.
    pub mirror: String,
    /// Its path below the mirror's URL, and where else it may be, in the order to try (by-hash first).
    pub paths: Vec<String>,
    /// Its SHA-256, when something signed states it.
    pub sha256: Option<Sha256>,
    /// Its size in bytes, when something signed states it.
    pub size: Option<u64>,
    /// The most bytes it may have.
    pub limit: u64,
}

/// A wish that cannot be met, in words for the person who wrote the recipe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the recipe asks for it: `FILE:LINE`; empty when no single line does.
    pub origin: String,
    /// What is wrong, one sentence or more.
    pub message: String,
}

/// A package whose version changed, came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The package.
    pub name: String,
    /// What it is built for, in Debian's word.
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
    pub changes: Vec<Change>,
    /// Things that a person should know but that hinder nothing: prunings that prune nothing.
    pub warnings: Vec<Problem>,
}

/// Locking under way.
pub struct Locking {
    wanted: Wanted,
    lock: Lock,
    goal: Goal,
    now: u64,
}

impl Locking {
    /// Starts from what is wanted and the old lock (empty when there is none).
    ///
    /// `now` is seconds since 1970, for the validity of keys and archives.
    pub fn new(wanted: Wanted, old: Lock, goal: Goal, now: u64) -> Self {
        Self { wanted, lock: old, goal, now }
    }

    /// The files to fetch next; none when only [`Locking::finish`] is left.
    pub fn needed(&self) -> Vec<NeededFile> {
        todo!("{:?} {:?} {:?} {}", self.wanted, self.lock, self.goal, self.now)
    }

    /// Takes one file that was needed, in any order. What is not needed later is not kept.
    pub fn receive(&mut self, _file: &NeededFile, _bytes: &[u8]) -> Result<(), LockError> {
        todo!()
    }

    /// Goes on once everything needed was received; [`Locking::needed`] then says what comes next.
    pub fn advance(&mut self) -> Result<(), LockError> {
        todo!()
    }

    /// Gives the new lock and what was done.
    pub fn finish(self) -> Result<(Lock, Report), LockError> {
        todo!()
    }
}

/// Locking ended without a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The archive is not what the keyring vouches for (exit 4).
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError>),
    /// Recipes want what cannot be had together; every problem at once (exit 2).
    #[error("{}", problems(.0))]
    Unmet(Vec<Problem>),
    /// The caller gave a file that was not asked for, or went on before it had given all (our bug, exit 70).
    #[error("`{path}` was not expected now")]
    OutOfTurn {
        /// The file.
        path: String,
    },
}

fn problems(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.origin.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.origin, self.message) }
    }
}
