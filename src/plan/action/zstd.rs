//! A file as one zstd stream.

use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// A file as one zstd stream. Output: `artifact` (a file).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Zstd<T> {
    /// The file.
    pub of: FileOf<T>,
    /// The name of the stream's file.
    pub name: String,
}

impl<T> Kind<T> for Zstd<T> {
    type With<U> = Zstd<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("zstd", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Zstd<U>, E> {
        Ok(Zstd { of: walk.file("of", &self.of)?, name: walk.text("name", &self.name) })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["artifact"])
    }
}
