//! A root without what the running machine would hide.

use crate::{
    content::RelPath,
    plan::walk::{Kind, Walk, names},
};

/// A root of which the running machine sees everything: what lies below `/var` is made at boot. Outputs: `root`,
/// `owners`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Visible<T> {
    /// The root.
    pub tree: T,
    /// The output `owners` of `Root` that it was made from.
    pub owners: T,
    /// Folders that recipes state: their owner and mode count more than what packages' own lists say of them.
    pub stated: Vec<RelPath>,
}

impl<T> Kind<T> for Visible<T> {
    type With<U> = Visible<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("visible", 1)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Visible<U>, E> {
        Ok(Visible {
            tree: walk.tree("tree", &self.tree)?,
            owners: walk.tree("owners", &self.owners)?,
            stated: walk.paths("stated", &self.stated),
        })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["owners", "root"])
    }
}
