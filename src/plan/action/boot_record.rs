//! What a root says of the files that start it.

use super::BootFile;
use crate::plan::{
    FileOf,
    walk::{Kind, Walk, names},
};

/// What the root says of the files that start it. Output: `record` (a tree to lay into the root).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootRecord<T> {
    /// The kernel image, not bound.
    pub uki: FileOf<T>,
    /// Every other file of the ESP.
    pub files: Vec<BootFile<T>>,
}

impl<T> Kind<T> for BootRecord<T> {
    type With<U> = BootRecord<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("boot record", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<BootRecord<U>, E> {
        Ok(BootRecord {
            uki: walk.file("uki", &self.uki)?,
            files: walk.each(&self.files, |walk, file| file.walk(walk))?,
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["record"])
    }
}
