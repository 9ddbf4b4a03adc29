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
    #[error(
        "AWS gave `{what}` in `{region}` up: {reason}; `brc ami prune --region {region}` removes what was given up, and the \
         same command begins anew"
    )]
    Failed { what: String, region: String, reason: String },
    /// An image is there and not encrypted.
    #[error(
        "`{image}` in `{region}` is not encrypted, and the target wants that: an image is encrypted when it is sent or \
         copied, so publish or copy it for this target with another `--name`, or into another region or account"
    )]
    NotEncrypted { image: String, region: String },
    /// What is promoted is not what is there.
    #[error("there is no AMI of {what} for the target `{target}` in `{region}`: `brc ami list` shows what there is")]
    NothingToPromote { what: String, target: String, region: String },
    /// AWS takes longer than anybody waits.
    #[error("`{what}` is not done in `{region}` after an hour: the same command goes on with it")]
    Slow { what: String, region: String },
    /// Another account does not see the image that it is to copy.
    #[error(
        "`{image}` in `{region}` cannot be copied by who publishes for the other target: a target in another account has \
         to be among those that `{target}` is shared with, `share account=\"…\"`"
    )]
    Unshared { image: String, region: String, target: String, source: AwsError },
    /// An instance could not be ended.
    #[error(
        "`{instance}` in `{region}` could not be ended and costs money while it runs: end it, say with \
         `aws ec2 terminate-instances --region {region} --instance-ids {instance}`"
    )]
    LeftRunning { instance: String, region: String, source: AwsError },
    /// Whoever watches has enough.
    #[error("stopped: `{snapshot}` in `{region}` has what was sent")]
    Stopped { snapshot: String, region: String },
}
