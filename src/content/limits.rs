//! What is taken of an archive from a stranger, and why one is not read.

use std::io;

use super::RelPath;

/// What an archive may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes when decompressed, headers included.
    pub total_bytes: u64,
    /// Entries, folders that none of them names included.
    pub entries: u64,
    /// Bytes of one extended header: a path of 4096 bytes, or attributes of 64 KiB each.
    pub extension_bytes: u64,
    /// Bytes of all names, targets of links and attributes together: all that is kept in memory.
    pub kept_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { total_bytes: 8 << 30, entries: 200_000, extension_bytes: 1 << 20, kept_bytes: 128 << 20 }
    }
}

impl Limits {
    /// Refuses more entries than are accepted.
    ///
    /// # Errors
    /// [`ReadError::Limit`].
    pub fn check_entries(&self, found: u64) -> Result<(), ReadError> {
        limited("entries", found, self.entries)
    }

    /// Refuses to keep more bytes in memory than are accepted.
    ///
    /// # Errors
    /// [`ReadError::Limit`].
    pub fn check_kept(&self, kept: u64) -> Result<(), ReadError> {
        limited("bytes of names, links and attributes", kept, self.kept_bytes)
    }
}

fn limited(what: &'static str, found: u64, limit: u64) -> Result<(), ReadError> {
    if found > limit { Err(ReadError::Limit { what, limit }) } else { Ok(()) }
}

/// An archive is not read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not what it should be, or not within what is accepted.
    #[error("{0}")]
    Format(String),
    /// One entry is refused.
    #[error("`{path}` is refused: {reason}")]
    Entry {
        /// The entry.
        path: RelPath,
        /// Why.
        reason: String,
    },
    /// It is too large.
    #[error("it has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: u64,
    },
    /// It ends too early.
    #[error("it ends too early")]
    Truncated,
    /// It cannot be read or decompressed.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

impl ReadError {
    /// Why a reader failed.
    pub fn from_reader(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { ReadError::Truncated } else { ReadError::Read(error) }
    }
}
