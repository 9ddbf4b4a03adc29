//! Why a file could not be fetched, and what helps.

use std::{io, path::PathBuf};

use super::{Location, LocationError, Place, TransferError, UnpackError};
use crate::{
    content::{Digest, RelPathError, Sha256},
    plan::{Failure, Fault, Located},
};

/// How a file differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It has another digest.
    #[error("expected SHA-256 {expected}, found {found}")]
    Sha256 {
        /// What the lock states.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// It has another size.
    #[error("expected {expected} bytes, found {found}")]
    Size {
        /// What the lock states.
        expected: u64,
        /// What came or was announced.
        found: u64,
    },
    /// It is longer than anything of its kind may be.
    #[error("expected at most {limit} bytes, more came")]
    TooLong {
        /// The most that is taken.
        limit: u64,
    },
}

/// A file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody said who serves an archive.
    #[error(
        "no mirror is known for `{mirror}`, which has `{name}`: give `--mirror {mirror}=URL`, set \
         `BRC_MIRROR_{variable}=URL`, or name one in the configuration"
    )]
    NoMirror {
        /// What was wanted.
        name: String,
        /// The mirror's name.
        mirror: String,
        /// The end of the variable's name.
        variable: String,
    },
    /// A URL cannot be read.
    #[error("`{name}` cannot be fetched")]
    Place {
        /// What was wanted.
        name: String,
        /// What is wrong.
        source: LocationError,
    },
    /// A path in an archive cannot be read.
    #[error("`{name}` cannot be fetched: its path in the archive is wrong")]
    Path {
        /// What was wanted.
        name: String,
        /// What is wrong.
        source: RelPathError,
    },
    /// The network would be needed.
    #[error("`{name}` is not here and `--offline` forbids to fetch it from {place}: run once without, or `brc vendor`")]
    Offline {
        /// What was wanted.
        name: String,
        /// Where it would have been looked for.
        place: Location,
    },
    /// No place has the file.
    #[error("`{name}` ({wanted}) is gone: not at {}", list(places))]
    Gone {
        /// What was wanted.
        name: String,
        /// The mirror and the path in it, or the URLs.
        wanted: Place,
        /// Where it was looked for.
        places: Vec<Location>,
    },
    /// A place failed.
    #[error("`{name}` could not be fetched from {place} (tries: {tries})")]
    Transfer {
        /// What was wanted.
        name: String,
        /// Where it was looked for.
        place: Location,
        /// How often it was tried.
        tries: u32,
        /// What happened last.
        source: TransferError,
    },
    /// A place has something else.
    #[error("`{name}` from {place} is not what the lock states: {mismatch}")]
    Mismatch {
        /// What was wanted.
        name: String,
        /// Where it came from.
        place: Location,
        /// How it differs.
        mismatch: Box<Mismatch>,
    },
    /// A vendored folder has another tree.
    #[error("`{path}` is not what the lock states: expected the tree {expected}, found {found}; vendor it again")]
    OtherTree {
        /// The file.
        path: PathBuf,
        /// What the lock states.
        expected: Digest,
        /// What it holds.
        found: Digest,
    },
    /// What a vendored folder has is no tree.
    #[error("`{path}` cannot be unpacked: vendor it again")]
    NoTree {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<UnpackError>,
    },
    /// The disk failed.
    #[error("the download `{path}` could not be {doing}")]
    Disk {
        /// What was done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The fetch was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

/// Places as people read them.
fn list(places: &[Location]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl FetchError {
    /// Whether every place said that it does not have the file.
    pub fn is_gone(&self) -> bool {
        matches!(self, FetchError::Gone { .. } | FetchError::Transfer { source: TransferError::Gone, .. })
    }

    /// Whether one place failed, and what another place has can still be trusted.
    pub fn is_of_one_place(&self) -> bool {
        matches!(self, FetchError::Gone { .. } | FetchError::Transfer { .. } | FetchError::Offline { .. })
    }

    /// The file of a mirror that every place said it does not have.
    pub fn gone(&self) -> Option<&Located> {
        match self {
            FetchError::Gone { wanted: Place::Mirror(located), .. } => Some(located),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn way_out(&self) -> Option<&'static str> {
        match self {
            FetchError::Gone { wanted: Place::Mirror(_), .. } => Some(
                "`brc update` takes what there is now; or name a mirror that keeps old files, or a folder of `brc vendor`",
            ),
            FetchError::Gone { .. } => Some("correct `url` in the recipe, or name a second one that has the file"),
            FetchError::Transfer { .. } => Some("look at the network and at proxies, or name another mirror or `url`"),
            FetchError::Mismatch { .. } => Some(
                "it is not the file that was locked: if that is meant, correct `sha256` in the recipe or run \
                 `brc update`; if not, do not trust that server",
            ),
            _ => None,
        }
    }

    /// Whether another place cannot help.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, FetchError::Disk { .. } | FetchError::Cancelled)
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            FetchError::NoMirror { .. } | FetchError::Offline { .. } | FetchError::Disk { .. } => Fault::Machine,
            FetchError::Transfer { source, .. } if source.is_local() => Fault::Machine,
            FetchError::NoTree { source, .. } => source.fault(),
            FetchError::Cancelled => Fault::Cancelled,
            _ => Fault::Outside,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Failure { fault: error.fault(), error: Box::new(error) }
    }
}
