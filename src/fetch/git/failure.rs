//! Why a repository of git cannot be read.

use super::{GitFormatError, ObjectName};
use crate::{
    content::{Fault, Url},
    fetch::TransferError,
    store::StoreError,
};

/// A repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No server may be asked.
    #[error("`{place}` would have to be asked, and `--offline` was said")]
    Offline {
        /// The repository.
        place: Url,
    },
    /// No answer.
    #[error("`{place}` could not be asked")]
    Transfer {
        /// The repository.
        place: Url,
        /// What happened.
        source: TransferError,
    },
    /// Nothing is there, or something else.
    #[error(
        "there is no git repository at `{place}` (the server answered {status}): expected one that `git clone` takes"
    )]
    NoRepository {
        /// Where it was looked for.
        place: Url,
        /// What the server answered.
        status: u16,
    },
    /// Whoever asks has to say who it is.
    #[error("`{place}` is not for everybody (the server answered {status})")]
    Forbidden {
        /// The repository.
        place: Url,
        /// What the server answered.
        status: u16,
    },
    /// There is no such tag or branch.
    #[error(
        "`{place}` has no `{reference}`{}",
        if near.is_empty() { ": it has none at all of that kind".to_owned() } else { format!(", but `{}`", near.join("`, `")) }
    )]
    NoReference {
        /// The repository.
        place: Url,
        /// What was looked for.
        reference: String,
        /// The names that are most like it.
        near: Vec<String>,
    },
    /// There is no such commit.
    #[error("`{place}` has no commit `{commit}`, or gives it to nobody")]
    NoCommit {
        /// The repository.
        place: Url,
        /// What was looked for.
        commit: ObjectName,
    },
    /// What came is wrong.
    #[error("what `{place}` sent cannot be read")]
    Format {
        /// The repository.
        place: Url,
        /// What is wrong.
        source: GitFormatError,
    },
    /// The store does not take it.
    #[error("the files of a commit cannot be stored")]
    Store(#[source] StoreError),
    /// It was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

impl GitError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            GitError::Offline { .. } => Fault::Machine,
            GitError::Store(error) => error.fault(),
            GitError::Cancelled => Fault::Cancelled,
            _ => Fault::Outside,
        }
    }
}
