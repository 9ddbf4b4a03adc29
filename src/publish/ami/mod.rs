//! Images of EC2 (AMI): a disk becomes a snapshot of EBS by its direct APIs, and the snapshot an image.
//!
//! The blocks of a disk that are not all zeros are sent, or where a snapshot of an earlier version is there, those that
//! are others than its. What a snapshot holds is remembered on this machine (`record`), since AWS tells which blocks two
//! snapshots do not share and never their digests.

mod blocks;
mod console;
mod existing;
mod failure;
mod order;
mod promote;
mod publish;
mod record;
mod register;
mod snapshot;
mod spread;
mod step;
mod trial;
mod upload;

pub use blocks::{BLOCK_BYTES, Disk, DiskError};
pub use existing::{Existing, ExistingImage, ExistingSnapshot, Removal, existing, prune};
pub use failure::AmiError;
pub use order::{
    AmiOrder, Encryption, ParentChoice, Placement, Recipient, Target, ami_name, check_name, fill, recipient,
};
pub use promote::{Promotion, promotions};
pub use publish::{AmiImage, Disks, Plan, Planned, Published, SnapshotPlan, plan, publish};
pub use record::{RecordError, Records};
pub use snapshot::is_snapshot;
pub use step::Step;
pub use trial::{Trial, TrialStep, Tried};
