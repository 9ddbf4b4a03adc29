//! Trees laid over each other to one root.

use std::collections::BTreeMap;

use crate::{
    content::{Glob, RelPath},
    plan::walk::{Kind, Walk, names},
};

/// Trees laid over each other, with no path owned twice. Outputs: `root`, `owners` (a file `owners`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Root<T> {
    /// The layers, in order.
    pub layers: Vec<RootLayer<T>>,
}

/// One layer of a root tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RootLayer<T> {
    /// Who brings it; stands in the manifest, so part of the key.
    pub owner: String,
    /// The tree.
    pub tree: T,
    /// What of it is left out.
    pub drop: Vec<Glob>,
    /// The paths it may take from earlier layers.
    pub replaces: Vec<RelPath>,
    /// The numbers of the user and the group that paths of it belong to; root's where nothing is said.
    pub users: BTreeMap<RelPath, (u32, u32)>,
}

impl<T> RootLayer<T> {
    /// A layer of which nothing is dropped and that replaces nothing.
    pub fn plain(owner: &str, tree: T) -> Self {
        RootLayer { owner: owner.to_owned(), tree, drop: Vec::new(), replaces: Vec::new(), users: BTreeMap::new() }
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<RootLayer<U>, E> {
        let owner = walk.named("owner", "layer", &self.owner);
        let layer = RootLayer {
            owner,
            tree: walk.tree("layer", &self.tree)?,
            drop: walk.globs("drop", &self.drop),
            replaces: walk.paths("replaces", &self.replaces),
            users: self
                .users
                .iter()
                .map(|(path, (uid, gid))| {
                    let path = walk.path("user of", path);
                    (path, (walk.number("user uid", *uid), walk.number("user gid", *gid)))
                })
                .collect(),
        };
        walk.about_all();
        Ok(layer)
    }
}

impl<T> Kind<T> for Root<T> {
    type With<U> = Root<U>;

    fn kind(&self) -> (&'static str, u64) {
        ("root", 2)
    }

    fn walk<U, E>(&self, walk: &mut Walk<'_, T, U, E>) -> Result<Root<U>, E> {
        Ok(Root { layers: walk.each(&self.layers, |walk, layer| layer.walk(walk))? })
    }

    fn outputs(&self) -> Vec<String> {
        names(&["owners", "root"])
    }
}
