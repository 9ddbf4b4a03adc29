//! Which file an object is, and why it cannot be read.

use std::{io, path::Path};

use super::StoreError;
use crate::content::Digest;

/// An object file: the plain one, or its executable twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectId {
    pub digest: Digest,
    pub mode: ObjectMode,
}

/// The permissions of an object file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectMode {
    /// 0444
    Plain,
    /// 0555
    Executable,
}

impl ObjectMode {
    pub(super) fn bits(self) -> u32 {
        match self {
            ObjectMode::Plain => 0o444,
            ObjectMode::Executable => 0o555,
        }
    }
}

/// Why an object cannot be read: it is not there, or the disk cannot read it any more, or something else.
pub(super) fn object_failure(digest: Digest, path: &Path, source: io::Error) -> StoreError {
    if source.kind() == io::ErrorKind::NotFound {
        StoreError::Missing { digest }
    } else if source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        StoreError::Damaged { digest, path: path.to_owned() }
    } else {
        StoreError::io("read", path, source)
    }
}
