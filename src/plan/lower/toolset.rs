//! Tool sets: packages and stated files merged into one tree that a command sees as its whole system.

use super::{Lowering, output};
use crate::{
    content::{Entry, Tree, rel_path},
    graph::{Dropped, Toolset},
    plan::{Root, RootLayer, Source},
};

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
        // Debian's own programs count on them since `/usr` was merged; base-files brings them, but a tool set may do
        // without it.
        let links = [
            (rel_path!("bin"), "usr/bin"),
            (rel_path!("sbin"), "usr/sbin"),
            (rel_path!("lib"), "usr/lib"),
            (rel_path!("lib64"), "usr/lib64"),
        ];
        for (link, target) in links {
            self.place(&mut tree, &link, Entry::Symlink { target: target.to_owned() }, None);
        }
        self.tree(tree)
    }
}
