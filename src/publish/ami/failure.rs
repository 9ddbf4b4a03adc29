//! Why a disk could not be published.

use super::{blocks::DiskError, record::RecordError};
use crate::publish::aws::AwsError;

/// A disk could not be published.
#[derive(Debug, thiserror::Error)]
pub enum AmiError {
    /// AWS refuses.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The disk cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What was sent cannot be remembered.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another disk has the name.
    #[error("`{name}` is `{image}` in `{region}` and of another disk: give another `--name`, or deregister that image")]
    NameTaken { name: String, image: String, region: String },
    /// AWS gave something up.
    #[error("AWS gave `{what}` up: {reason}")]
    Failed { what: String, reason: String },
    /// AWS takes longer than anybody waits.
    #[error("`{what}` is not done in `{region}` after an hour: the same command goes on with it")]
    Slow { what: String, region: String },
    /// Whoever watches has enough.
    #[error(
        "stopped: `{snapshot}` in `{region}` has what was sent; the same command goes on with it, and \
         `brc ami prune --unfinished --region {region}` removes it"
    )]
    Stopped { snapshot: String, region: String },
}
