//! What differs between two images, as `brc diff` prints it. It is of the [`VERSION`](super::VERSION) of all lines.

use serde::Serialize;

/// What differs between two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageDifference {
    /// Whether nothing differs.
    pub equal: bool,
    /// The image that is compared with.
    pub left: ImageLabel,
    /// The image that is asked about.
    pub right: ImageLabel,
    /// What is said of both and is not the same.
    pub changes: Vec<TopicChange>,
    /// Sizes, the same or not.
    pub sizes: Vec<SizeChange>,
    /// Partitions, the same or not.
    pub partitions: Vec<PartitionChange>,
    /// What a machine that runs the left image downloads; null where the right one is no update of it.
    pub download: Option<Download>,
    /// How many files differ, by component.
    pub by_component: Vec<Tally>,
    /// How many files differ, by folder.
    pub by_folder: Vec<Tally>,
    /// The files that differ.
    pub files: Vec<FileDifference>,
}

/// Which image it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageLabel {
    /// Its variant.
    pub image: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
}

/// Something that is said of both images and is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TopicChange {
    /// `image`, `components`, `kernel`, `kernel-options`, `kernel-modules`, `command-line`, `users`, `groups`, `units`, `privileges`,
    /// `settings` or `templates`.
    pub topic: String,
    /// What it is.
    pub what: String,
    /// What it was; null when it was not there.
    pub old: Option<String>,
    /// What it is now; null when it is not there any more.
    pub new: Option<String>,
}

/// A size of both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SizeChange {
    /// What has it.
    pub what: String,
    /// The size before.
    pub old_bytes: u64,
    /// The size now.
    pub new_bytes: u64,
}

/// A partition of both images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PartitionChange {
    /// What it is for.
    pub what: String,
    /// Its size before; null when it was not there.
    pub old_bytes: Option<u64>,
    /// How much of it was used.
    pub old_used_bytes: Option<u64>,
    /// Its size now; null when it is not there any more.
    pub new_bytes: Option<u64>,
    /// How much of it is used.
    pub new_used_bytes: Option<u64>,
}

/// What a machine downloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Download {
    /// All of it.
    pub bytes: u64,
    /// Its parts.
    pub parts: Vec<DownloadPart>,
}

/// A part of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DownloadPart {
    /// What it is.
    pub what: String,
    /// Its bytes; 0 when both images have the same.
    pub bytes: u64,
}

/// How many files of something differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tally {
    /// The component or folder.
    pub name: String,
    /// Files that came.
    pub added: u64,
    /// Files that went.
    pub removed: u64,
    /// Files that are not the same.
    pub changed: u64,
    /// How many bytes it has more now, before compression.
    pub grown_bytes: i64,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileDifference {
    /// Its path.
    pub path: String,
    /// The component that brings it.
    pub component: String,
    /// Of a path that both images have: `content`, `link`, `kind`, `mode`, `owner`, `attributes`.
    pub differs: Vec<String>,
    /// Its size before; null when it was not there.
    pub old_bytes: Option<u64>,
    /// Its size now; null when it is not there any more.
    pub new_bytes: Option<u64>,
}
