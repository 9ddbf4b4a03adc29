//! A tree with other content in some of its files.

use crate::plan::walk::{Kind, Walk, names};

/// A tree with other content in some of its files. Output: `root`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replaced<T> {
    /// The tree.
    pub tree: T,
    /// The files, at the paths of those that they replace.
    pub with: T,
}

impl<T> Kind<T> for Replaced<T> {
    type With<U> = Replaced<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("replaced", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Replaced<U>, E> {
        Ok(Replaced { tree: walk.tree("tree", &self.tree)?, with: walk.tree("with", &self.with)? })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["root"])
    }
}
