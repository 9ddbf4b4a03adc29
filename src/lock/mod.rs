//! Upstreams pinned: which versions, with which digests, and the numbers of users. `brc.lock` is the text of it.
//!
//! *Takes* what recipes want, the old lock and the bytes of indices and packages. *Gives* the files that are needed
//! next and, in the end, a [`Lock`]. *Promises*: no I/O and no clock; nothing counts that a pinned key does not vouch
//! for; equal input gives equal bytes; what is locked stays unless it is told to move. *Does not know* recipes,
//! mirrors' addresses, or how a file is fetched.

mod cleartext;
mod closure;
mod control;
mod document;
mod goal;
mod index;
mod inherit;
mod keyring;
mod license;
mod line;
mod locking;
mod missing;
#[doc(hidden)]
pub mod probe;
mod refusal;
mod relation;
mod release;
mod report;
mod resolution;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod user;
mod wanted;

pub use document::{
    BuiltFor, BuiltFrom, ClosureId, Contents, Group, Identity, IdentityKind, Lock, LockedClosure, LockedSet,
    LockedSource, LockedSourceFile, LockedSuite, LockedWant, Package, PackageId, Purpose, Relations, SourceId,
    Standing, TreeId, TreeKind, User,
};
pub use goal::{Goal, Gone};
pub use line::ParseLockError;
pub use locking::{Locking, NeededFile};
pub use missing::Conflict;
pub use refusal::{ArchiveError, LockError};
pub use report::{LockChange, Problem, Report};
pub use wanted::{
    Archive, Closure, Pruned, SameVersion, Suite, Want, Wanted, WantedSource, WantedTree, WantedUrl, WantedUser,
};
