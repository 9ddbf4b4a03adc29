//! What `brc publish ami` and `brc ami` answer. The objects are of the [`VERSION`](super::VERSION) of all lines.

use serde::Serialize;

/// What `brc publish ami --dry-run` would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AmiPlan {
    /// The name of the AMI.
    pub name: String,
    /// The SHA-256 of the disk image.
    pub sha256: String,
    /// The regions, the one that it is sent to first.
    pub regions: Vec<String>,
    /// The AMI in the first region, when it is there already.
    pub image: Option<String>,
    /// The snapshot, when it is there or begun.
    pub snapshot: Option<String>,
    /// That of the disk for data, when it is there or begun.
    pub data_snapshot: Option<String>,
    /// The snapshot that only differences are sent to.
    pub parent: Option<String>,
    /// How many blocks are to be sent.
    pub blocks: usize,
    /// How many bytes those have.
    pub sent_bytes: u64,
    /// The requests that would change something.
    pub calls: Vec<AmiCall>,
}

/// Requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AmiCall {
    /// What is asked, as AWS calls it.
    pub operation: String,
    /// How often.
    pub count: usize,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published {
    /// The name of the AMI.
    pub name: String,
    /// The SHA-256 of the disk image.
    pub sha256: String,
    /// The snapshot in the first region; null when the AMI was there.
    pub snapshot: Option<String>,
    /// That of the disk for data, where images of containers come on it; null when the AMI was there.
    pub data_snapshot: Option<String>,
    /// The AMIs, that of the first region first.
    pub images: Vec<PublishedAmi>,
    /// How many blocks were sent now.
    pub sent_blocks: usize,
    /// The parameters that name an AMI now and named another one or none before.
    pub parameters: Vec<String>,
}

/// An AMI in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PublishedAmi {
    /// The region.
    pub region: String,
    /// Its name at AWS.
    pub image: String,
    /// Whether it was made now.
    pub new: bool,
}

/// An AMI of brc, or a snapshot that no AMI has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ami {
    /// The region.
    pub region: String,
    /// Its name at AWS: `ami-…` or `snap-…`.
    pub id: String,
    /// The name of an AMI.
    pub name: Option<String>,
    /// What AWS says of an AMI; of a snapshot `begun`, `whole`, `given up`.
    pub state: String,
    /// When it was made or begun, as AWS writes it.
    pub since: String,
    /// The variant.
    pub variant: String,
    /// The version of the image.
    pub image_version: String,
    /// The architecture.
    pub architecture: String,
    /// The SHA-256 of the disk image.
    pub sha256: String,
    /// The snapshots of an AMI.
    pub snapshots: Vec<String>,
    /// The targets of recipes that have an AMI.
    pub targets: Vec<String>,
}

/// What `brc ami prune` removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AmiRemoval {
    /// The region.
    pub region: String,
    /// Whether it was only said.
    pub dry_run: bool,
    /// AMIs and snapshots by their names at AWS.
    pub removed: Vec<String>,
    /// AMIs that stay since another target has them too; the tag of this target is gone.
    pub released: Vec<String>,
}
