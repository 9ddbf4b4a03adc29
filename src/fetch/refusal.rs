//! Why an archive is not unpacked.

use std::io;

use crate::{
    content::{Compression, tar_reader::ReadError},
    plan::Fault,
    store::StoreError,
};

/// An archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is not what it should be, or not within what is accepted.
    #[error(transparent)]
    Archive(ReadError),
    /// There is something else in it.
    #[error("expected a tar archive, found {found}{}", if *compression == Compression::Plain { "" } else { ", compressed" })]
    NoTar {
        /// How it is compressed.
        compression: Compression,
        /// What is in it, in words.
        found: &'static str,
    },
    /// The store does not take it.
    #[error("its content cannot be stored")]
    Store(#[source] StoreError),
    /// The fetch was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

impl UnpackError {
    /// Whose fault it is.
    pub(super) fn fault(&self) -> Fault {
        match self {
            UnpackError::Cancelled => Fault::Cancelled,
            UnpackError::Store(error) => error.fault(),
            _ => Fault::Outside,
        }
    }

    /// The reason that a bounded reader gave, or that it could not read.
    pub(super) fn from_reader(error: io::Error) -> Self {
        error.downcast::<UnpackError>().unwrap_or_else(|error| UnpackError::Archive(ReadError::from_reader(error)))
    }

    pub(super) fn from_store(error: StoreError) -> Self {
        match error {
            StoreError::Input { source } => UnpackError::from_reader(source),
            error => UnpackError::Store(error),
        }
    }
}

impl From<ReadError> for UnpackError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Read(source) => UnpackError::from_reader(source),
            error => UnpackError::Archive(error),
        }
    }
}
