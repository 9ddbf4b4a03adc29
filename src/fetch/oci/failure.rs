//! Why a recipe set in a registry cannot be read.

use crate::{
    content::{Fault, Sha256, Url},
    fetch::{TransferError, UnpackError},
};

/// An artifact of a registry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// No server may be asked.
    #[error("`{place}` would have to be asked, and `--offline` was said")]
    Offline {
        /// The artifact.
        place: Url,
    },
    /// No answer.
    #[error("`{place}` could not be asked")]
    Transfer {
        /// Who was asked.
        place: Url,
        /// What happened.
        source: TransferError,
    },
    /// Nothing is there.
    #[error("`{place}` has no `{what}` (the server answered {status}){}", near_text(near))]
    Missing {
        /// The artifact.
        place: Url,
        /// The tag or digest.
        what: String,
        /// What the server answered.
        status: u16,
        /// Tags that are like it.
        near: Vec<String>,
    },
    /// Whoever asks has to say who it is.
    #[error("`{place}` is not for everybody (the server answered {status})")]
    Forbidden {
        /// The artifact.
        place: Url,
        /// What the server answered.
        status: u16,
    },
    /// It is no artifact with one layer of files.
    #[error("`{place}` is no recipe set: {reason}")]
    Manifest {
        /// The artifact.
        place: Url,
        /// What is wrong.
        reason: String,
    },
    /// The server has something else under a digest.
    #[error(
        "what `{place}` sent as `sha256:{expected}` is `sha256:{found}`: that server, or what stands before it, is not to be \
         trusted"
    )]
    OtherBytes {
        /// The artifact.
        place: Url,
        /// What was asked for.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// The files cannot be unpacked.
    #[error("the files of `{place}` cannot be unpacked")]
    Unpack {
        /// The artifact.
        place: Url,
        /// Why not.
        source: UnpackError,
    },
    /// It was told to stop.
    #[error("the fetch was stopped")]
    Cancelled,
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(", but `{}`", near.join("`, `")) }
}

impl OciError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            OciError::Offline { .. } => Fault::Machine,
            OciError::Unpack { source, .. } => source.fault(),
            OciError::Cancelled => Fault::Cancelled,
            _ => Fault::Outside,
        }
    }
}
