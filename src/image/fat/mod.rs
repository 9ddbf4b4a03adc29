//! FAT32 file systems: written whole, from a list of files, always to the same bytes, and read back.
//!
//! Format: Microsoft, "FAT32 File System Specification" 1.03. Why this is not `fatfs`: docs/design/fat.md.

mod entry;
mod geometry;
mod read;
mod write;

pub use geometry::{Geometry, MIN_CLUSTERS, SECTOR_BYTES};
pub use read::{Files, ReadError, read};
pub use write::{Content, FatError, FatFile, Stretch, Volume, lay_out, write};
