//! The text of `brc.lock`: the one place that writes and reads it.

use super::document::Lock;

impl Lock {
    /// Reads the text of a lock.
    pub fn parse(_text: &str) -> Result<Lock, ParseLockError> {
        todo!()
    }

    /// Writes the lock as text; equal locks give equal texts.
    pub fn to_text(&self) -> String {
        todo!()
    }
}

/// A text is not a lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the lock cannot be read: {reason}")]
pub struct ParseLockError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected and found.
    pub reason: String,
}
