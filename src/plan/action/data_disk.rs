//! The disk for data, with the archives of images of containers that a root names.

use crate::plan::walk::{Kind, Walk, names};

/// A disk for data with every archive of a tree as a partition, and the tree without them, in which a list names them.
/// Outputs: `disk` (a file `data.raw`), `root`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataDisk<T> {
    /// The tree; the archives lie in `well_known::DATA_ARCHIVES`.
    pub tree: T,
    /// The GPT's disk GUID, in text order.
    pub guid: [u8; 16],
    /// The most bytes that the disk may have.
    pub size: u64,
}

impl<T> Kind<T> for DataDisk<T> {
    type With<U> = DataDisk<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("data disk", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<DataDisk<U>, E> {
        Ok(DataDisk {
            tree: walk.tree("tree", &self.tree)?,
            guid: walk.bytes("guid", &self.guid),
            size: walk.number("size", self.size),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["disk", "root"])
    }
}
