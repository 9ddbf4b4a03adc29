//! A disk as it is.

use super::{FileOf, Kind, Walk, names};

/// The disk as it is, compressed or not. Output: `artifact` (a file).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Raw<T> {
    /// The disk.
    pub disk: FileOf<T>,
    /// The name of the file.
    pub name: String,
    /// How it is compressed.
    pub compression: Compression,
}

/// How a raw disk is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Sparse, as it is.
    Plain,
    /// As one zstd stream.
    Zstd,
}

impl<T> Kind<T> for Raw<T> {
    type With<U> = Raw<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("raw", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Raw<U>, E> {
        let raw = Raw {
            disk: walk.file("disk", &self.disk)?,
            name: walk.text("name", &self.name),
            compression: self.compression,
        };
        let compression = match self.compression {
            Compression::Plain => "plain",
            Compression::Zstd => "zstd",
        };
        walk.word("compression", compression);
        Ok(raw)
    }

    fn outputs(&self) -> Vec<String> {
        names(&["artifact"])
    }
}
