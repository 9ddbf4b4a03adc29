//! What is wrong with what a server of git sent.

use crate::store::StoreError;

/// What came is not what git's protocol and packs are.
#[derive(Debug, thiserror::Error)]
pub enum GitFormatError {
    /// It is wrong, or not within what is accepted.
    #[error("{0}")]
    Wrong(String),
    /// The server itself says so.
    #[error("the server says `{0}`")]
    Said(String),
    /// The store does not take it.
    #[error("its content cannot be stored")]
    Store(#[source] StoreError),
    /// It was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

impl GitFormatError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        GitFormatError::Wrong(reason.into())
    }

    pub(super) fn said(text: &[u8]) -> Self {
        GitFormatError::Said(String::from_utf8_lossy(text).trim().escape_debug().to_string())
    }
}
