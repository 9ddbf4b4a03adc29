//! Why a recipe set cannot be had, and what helps.

use crate::{
    content::{Digest, Fault, Url},
    fetch::{FetchError, GitError, OciError},
    store::StoreError,
};

/// A recipe set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Its repository cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Its registry cannot be read.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A vendored folder has something else.
    #[error(transparent)]
    Vendored(#[from] Box<FetchError>),
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// It is not here.
    #[error("{version} is neither in the store nor in a vendored folder, and `--offline` was said")]
    Offline { version: String },
    /// A mirror is no server.
    #[error("its mirror `{place}` is a folder: expected the URL of a repository; a folder is imported by `path`")]
    LocalMirror { place: String },
    /// What is to be a commit is none.
    #[error("`{text}` is no commit: expected 40 hexadecimal digits")]
    NoCommit { text: String },
    /// The files of the commit are not those that were locked.
    #[error(
        "`{pin}` of `{place}` is not what `brc.lock` states: expected the tree {expected}, found {found}; either \
         the lock was changed by hand, or that server is not to be trusted"
    )]
    OtherTree { place: Url, pin: String, expected: Digest, found: Digest },
    /// What was locked is not there any more.
    #[error(
        "`{place}` does not have {version} any more{}: `brc update {set}` takes what there is, or name a mirror or vendored \
         folder that has it",
        now.as_ref().map(|now| format!(", and the same name is `{now}` now, so it was moved")).unwrap_or_default()
    )]
    Gone { place: Url, version: String, set: String, now: Option<String> },
    /// It has no recipes.
    #[error("`{place}` has no `brc.kdl` at the top of {version}: expected a recipe set")]
    NoSet { place: Url, version: String },
}

impl SetError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            SetError::Git(error) => error.fault(),
            SetError::Oci(error) => error.fault(),
            SetError::Vendored(error) => error.fault(),
            SetError::Store(error) => error.fault(),
            SetError::Offline { .. } | SetError::LocalMirror { .. } => Fault::Machine,
            _ => Fault::Outside,
        }
    }

    /// Whether what was locked is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, SetError::Git(GitError::NoCommit { .. }) | SetError::Oci(OciError::Missing { .. }))
    }

    /// What a person can do about it.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            SetError::Git(GitError::Transfer { .. }) | SetError::Oci(OciError::Transfer { .. }) => Some(
                "look at the network, at proxies and at certificates (`SSL_CERT_FILE`), or name another place of the set by \
                 `--mirror NAME=URL`",
            ),
            SetError::Git(GitError::Forbidden { .. }) | SetError::Oci(OciError::Forbidden { .. }) => Some(
                "name its URL with user name and password by `--mirror NAME=URL` or `BRC_MIRROR_NAME`; recipes hold no secrets",
            ),
            SetError::Git(GitError::NoReference { .. } | GitError::NoRepository { .. })
            | SetError::Oci(OciError::Missing { .. }) => Some("correct the import in `brc.kdl`"),
            SetError::OtherTree { .. } => {
                Some("restore `brc.lock` from version control; compare the repository with another copy of it")
            }
            SetError::Offline { .. } => Some("`brc vendor` on a machine with network fills a folder for `BRC_VENDOR`"),
            _ => None,
        }
    }
}
