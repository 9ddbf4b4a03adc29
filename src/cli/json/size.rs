//! What takes the room in an image, as `brc size` prints it. It is of the [`VERSION`](super::VERSION) of all lines.

use serde::Serialize;

use super::difference::ImageLabel;

/// What takes the room in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageSize {
    /// Which image it is.
    pub of: ImageLabel,
    /// The size of its root.
    pub root_bytes: u64,
    /// What the root has beside the content of files: folders, links, names, owners.
    pub metadata_bytes: u64,
    /// The most that the root may have; null where its recipe is not known or does not say it.
    pub budget_bytes: Option<u64>,
    /// The size of its unified kernel image.
    pub kernel_image_bytes: u64,
    /// What each component takes, the largest first.
    pub components: Vec<SizeShare>,
    /// What each folder takes, the largest first.
    pub folders: Vec<SizeShare>,
    /// Its partitions.
    pub partitions: Vec<PartitionRoom>,
}

/// What a component or folder takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SizeShare {
    /// Its name.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The bytes of the image that they take, as they are compressed.
    pub stored_bytes: u64,
}

/// A partition and its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PartitionRoom {
    /// What it is for.
    pub what: String,
    /// Its size.
    pub bytes: u64,
    /// How much of it is used.
    pub used_bytes: u64,
}
