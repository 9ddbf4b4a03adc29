//! The kernel modules of a tree.

use crate::plan::walk::{Kind, Walk, names};

/// The kernel modules of a tree, wherever they are, and nothing else. Output: `modules`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Modules<T> {
    /// The tree.
    pub tree: T,
}

impl<T> Kind<T> for Modules<T> {
    type With<U> = Modules<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("modules", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Modules<U>, E> {
        Ok(Modules { tree: walk.tree("tree", &self.tree)? })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["modules"])
    }
}
