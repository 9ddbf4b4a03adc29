//! Tool sets: packages and stated files merged into one tree that a command sees as its whole system.

use super::{Lowering, output, path};
use crate::{
    content::{Entry, Tree},
    graph::{Dropped, Toolset},
    plan::{Root, RootLayer, Source},
};

/// The links that Debian's own programs count on since `/usr` was merged; base-files brings them, but a tool set
/// may do without it.
const MERGED_USR: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

impl Lowering<'_> {
    /// The merged tree of a tool set.
    pub(super) fn toolset(&mut self, toolset: &Toolset) -> Source {
        let mut layers = vec![RootLayer::plain("brc", self.merged_usr())];
        for package in &toolset.packages {
            let tree = self.package(package);
            let drop = Dropped::of(&toolset.drop, &package.name);
            layers.push(RootLayer { drop, ..RootLayer::plain(&package.name, tree) });
        }
        let files = self.placed(&toolset.files);
        let replaces = toolset.files.iter().flat_map(|file| file.replaces.clone()).collect();
        let tree = self.tree(files);
        layers.push(RootLayer { replaces, ..RootLayer::plain(&toolset.name, tree) });
        let step = self.step(&toolset.name, "tools", Root { layers });
        output(step, "root")
    }

    pub(super) fn merged_usr(&mut self) -> Source {
        let mut tree = Tree::new();
        for (link, target) in MERGED_USR {
            self.place(&mut tree, &path(link), Entry::Symlink { target: target.to_owned() }, None);
        }
        self.tree(tree)
    }
}
