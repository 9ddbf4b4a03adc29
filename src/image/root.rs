//! The root tree: every component's tree laid over the others, each path with exactly one owner.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use crate::{
    content::{Conflict, Digest, Entry, FolderLinks, Glob, Layer, Metadata, RelPath, Tree, counted, merge},
    plan::RootLayer,
};

/// Conflicts that are told one by one; of the others only the number.
const MAX_TOLD: usize = 20;

/// A root tree and who brought each path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The tree.
    pub tree: Tree,
    /// Lines `owner`, tab, path, newline; sorted bytewise.
    pub owners: String,
}

/// Lays `layers` over each other; `trees` are theirs, in the same order.
///
/// # Errors
/// Every path with two owners; a user for a path that its layer does not have; a path that cannot be listed.
pub fn build(layers: &[RootLayer<Digest>], trees: Vec<Tree>) -> Result<Root, RootError> {
    let links = FolderLinks::of(&trees);
    let mut prepared = Vec::with_capacity(trees.len());
    for (layer, mut tree) in layers.iter().zip(trees) {
        let drop: Vec<Glob> = layer.drop.iter().map(|glob| links.real_glob(glob)).collect();
        tree.drop_where(|path, entry| {
            let place = (!drop.is_empty()).then(|| place(&links, path, entry));
            place.is_some_and(|place| drop.iter().any(|glob| glob.matches(&place)))
        });
        for (path, (uid, gid)) in &layer.users {
            let Some(metadata) = tree.metadata(path) else {
                return Err(RootError::NoPath { owner: layer.owner.clone(), path: path.clone() });
            };
            tree.set_metadata(path.clone(), Metadata { uid: *uid, gid: *gid, ..metadata });
        }
        prepared.push(tree);
    }
    let merged: Vec<Layer<'_>> = layers
        .iter()
        .zip(&prepared)
        .map(|(layer, tree)| Layer { owner: &layer.owner, tree, replaces: &layer.replaces })
        .collect();
    let (tree, owners) = merge(&merged).map_err(RootError::conflicts)?;
    let mut lines = Vec::with_capacity(owners.len());
    for (path, owner) in owners {
        if path.as_str().contains(|character: char| character.is_control()) {
            return Err(RootError::Unprintable { owner, path });
        }
        lines.push(format!("{owner}\t{path}\n"));
    }
    lines.sort_unstable();
    Ok(Root { tree, owners: lines.concat() })
}

/// Where an entry of some layer stands in the root: a package may bring `/lib/a` where `/lib` is a link.
fn place(links: &FolderLinks, path: &RelPath, entry: &Entry) -> RelPath {
    let real = if *entry == Entry::Directory { links.real_folder(path) } else { links.real(path) };
    real.unwrap_or_else(|_| path.clone())
}

/// The globs of `layers` that fit nothing in any of the `trees` that are theirs, in the same order.
pub fn idle_drops(layers: &[RootLayer<Digest>], trees: &[Arc<Tree>]) -> BTreeSet<Glob> {
    let links = FolderLinks::of(trees.iter().map(Arc::as_ref));
    let all: BTreeSet<&Glob> = layers.iter().flat_map(|layer| &layer.drop).collect();
    let mut idle: BTreeMap<&Glob, Glob> = all.into_iter().map(|glob| (glob, links.real_glob(glob))).collect();
    for (layer, tree) in layers.iter().zip(trees).filter(|(layer, _)| !layer.drop.is_empty()) {
        for (path, entry) in tree.entries() {
            let place = place(&links, path, entry);
            idle.retain(|glob, real| !(real.matches(&place) && layer.drop.contains(glob)));
        }
    }
    idle.into_keys().cloned().collect()
}

/// A root tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Paths with two owners.
    #[error(
        "{list}say `replaces=\"…\"` with that path on the `file`, `tree`, `link`, `dir` or `install` that is meant to win, \
         or `drop \"…\"` in the component that is to go without it, of a package `drop \"…\" from=\"…\"` in its group"
    )]
    Conflicts { conflicts: Vec<Conflict>, list: String },
    /// Nothing is given to a user.
    #[error("`{owner}` says to whom `{path}` belongs, which it does not have")]
    NoPath { owner: String, path: RelPath },
    /// A name that no list can hold.
    #[error("`{path}` of `{owner}` has a control character in its name")]
    Unprintable { owner: String, path: RelPath },
}

impl RootError {
    fn conflicts(conflicts: Vec<Conflict>) -> Self {
        let mut list = String::new();
        for conflict in conflicts.iter().take(MAX_TOLD) {
            // Writing to a string cannot fail.
            let _ = writeln!(list, "{conflict}");
        }
        if conflicts.len() > MAX_TOLD {
            let _ = writeln!(list, "and so {}", counted(conflicts.len() - MAX_TOLD, "more path"));
        }
        RootError::Conflicts { conflicts, list }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (at, text) in files {
            let entry = Entry::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false };
            tree.insert(path(at), entry).unwrap();
        }
        tree
    }

    fn layer(owner: &str) -> RootLayer<Digest> {
        RootLayer {
            owner: owner.to_owned(),
            tree: Digest::of(b""),
            drop: Vec::new(),
            replaces: Vec::new(),
            users: BTreeMap::new(),
        }
    }

    #[test]
    fn every_conflict_is_told_with_both_owners() {
        let trees = vec![tree(&[("a", "1"), ("b", "1"), ("c", "1")]), tree(&[("a", "2"), ("b", "2"), ("c", "1")])];
        let error = build(&[layer("runc"), layer("crun")], trees).unwrap_err().to_string();
        assert!(error.contains("`/a` is brought by both `runc` and `crun`"), "{error}");
        assert!(error.contains("`/b` is brought by both"), "{error}");
        assert!(!error.contains("`/c`"), "{error}");
    }

    #[test]
    fn owners_are_listed_after_drops_and_replacements() {
        let mut over = layer("over");
        over.replaces = vec![path("etc/a")];
        over.users = BTreeMap::from([(path("etc/a"), (7, 8))]);
        let mut base = layer("base");
        base.drop = vec![Glob::new("/doc/**").unwrap()];
        let mut trees = vec![tree(&[("etc/a", "1"), ("etc/b", "1"), ("doc/x", "1")]), tree(&[("etc/a", "2")])];
        trees[1].set_metadata(path("etc/a"), Metadata::with_mode(0o4600));
        let root = build(&[base, over], trees).unwrap();
        assert_eq!(root.owners, "base\t/doc\nbase\t/etc\nbase\t/etc/b\nover\t/etc/a\n");
        let given = Metadata { uid: 7, gid: 8, ..Metadata::with_mode(0o4600) };
        assert_eq!(root.tree.metadata(&path("etc/a")), Some(given), "the mode stays");
        assert!(root.tree.entry(&path("doc/x")).is_none());
    }

    #[test]
    fn what_is_dropped_is_dropped_wherever_a_package_has_it() {
        let base = || {
            let mut base = tree(&[("usr/lib/a", "1"), ("usr/lib/b", "1")]);
            base.insert(path("lib"), Entry::Symlink { target: "usr/lib".to_owned() }).unwrap();
            base
        };
        for (glob, left) in [
            ("/usr/lib/old", "a b"),
            ("/lib/old", "a b"),
            ("/lib/a", "b old"),
            ("/usr/lib/a", "b old"),
            ("/lib/**", ""),
            ("/usr/lib/*", ""),
            ("/lib/x", "a b old"),
        ] {
            let glob = Glob::new(glob).unwrap();
            let dropping = |owner| RootLayer { drop: vec![glob.clone()], ..layer(owner) };
            let layers = [dropping("base"), dropping("old")];
            let trees = vec![base(), tree(&[("lib/old", "1")])];
            let idle = idle_drops(&layers, &trees.iter().cloned().map(Arc::new).collect::<Vec<_>>());
            assert_eq!(idle.contains(&glob), left == "a b old", "{glob:?}");
            let root = build(&layers, trees).unwrap();
            let below = root.tree.entries().filter_map(|(at, _)| at.as_str().strip_prefix("usr/lib/"));
            assert_eq!(below.collect::<Vec<_>>().join(" "), left, "{glob:?}");
        }
    }

    #[test]
    fn users_of_nothing_and_names_that_break_lines_are_refused() {
        let mut wrong = layer("a");
        wrong.users = BTreeMap::from([(path("etc/none"), (7, 8))]);
        assert!(matches!(build(&[wrong], vec![tree(&[("etc/a", "1")])]), Err(RootError::NoPath { .. })));
        let broken = vec![tree(&[("etc/a\nb", "1")])];
        assert!(matches!(build(&[layer("a")], broken), Err(RootError::Unprintable { .. })));
    }
}
