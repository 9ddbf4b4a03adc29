//! The lock of a project or recipe set as a file.

use std::{
    io::{self, Read as _},
    path::PathBuf,
};

use super::{ComposeError, beneath::open_file};
use crate::lock::Lock;

/// The lock's name beside `brc.kdl`.
pub(super) const LOCK_FILE: &str = "brc.lock";
/// The largest lock that is read.
pub(super) const MAX_LOCK_BYTES: u64 = 64 << 20;

/// The lock in a file; `None` when there is none.
pub(super) fn read_lock(path: PathBuf) -> Result<Option<Lock>, ComposeError> {
    match open_file(&path).and_then(|file| io::read_to_string(file.take(MAX_LOCK_BYTES + 1))) {
        Ok(text) => Lock::parse(&text).map(Some).map_err(|source| ComposeError::BadLock { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(source) => Err(ComposeError::Read { path, source }),
    }
}
