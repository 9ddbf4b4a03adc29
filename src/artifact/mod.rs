//! Performs `Action::Pack`: the manifest of an image, and the disk as the files that it is published as.
//!
//! *Takes* a root tree, who owns what in it, a disk. *Gives* files that leave brc. *Promises*: the same inputs give
//! the same bytes; what a manifest says of a file is what stands in the tree. *Does not know* how the disk was made
//! or where its files go.

mod manifest;
mod perform;
mod release;
mod zstd;

pub use manifest::{
    DATA_DISK_ENDING, MANIFEST_ENDING, MANIFEST_VERSION, Manifest, ManifestComponent, ManifestError, ManifestFile,
    ManifestKind, ManifestPart, ManifestRoot,
};
pub use perform::{PackError, Packer};
pub use release::{DevelopmentError, refuse_development};
