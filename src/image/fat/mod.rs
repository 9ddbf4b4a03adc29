//! FAT32 file systems: written whole by `fatfs`, from a list of files, always to the same bytes, and read back by a reader
//! of our own.
//!
//! Format: Microsoft, "FAT32 File System Specification" 1.03. What is done to what `fatfs` writes: docs/design/fat.md.

mod entry;
mod format;
mod geometry;
mod read;
mod sectors;
mod volume;
mod write;

pub use geometry::{Geometry, MIN_CLUSTERS, SECTOR_BYTES};
pub use read::{Files, ReadError, read};
pub use volume::Volume;
pub use write::{Content, FatError, FatFile, Stretch, lay_out, write};
