//! Several trees laid over each other into one, where no path may have two owners.

use std::collections::BTreeMap;

use super::{Entry, Metadata, RelPath, Tree};

/// Links between folders are followed at most this often before a path is given up.
const MAX_LINKS: usize = 8;

/// One tree of a merge and whom to name when it disagrees with another.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Who brings the tree, as people know it: `runc`, `libc6`.
    pub owner: &'a str,
    /// What it brings.
    pub tree: &'a Tree,
    /// The paths it may take from an earlier layer.
    pub replaces: &'a [RelPath],
}

/// Two layers want the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path in the merged tree.
    pub path: RelPath,
    /// The layer that had it.
    pub first: String,
    /// The layer that wants it too.
    pub second: String,
}

/// Lays `layers` over each other and says who owns what.
///
/// A folder may come from many layers; of its metadata the one that is not plain counts. A layer that brings a
/// folder where another has a link to a folder (`/lib` -> `usr/lib`) is led through the link, whichever comes
/// first. Files and links with equal content and metadata are no conflict.
///
/// # Errors
/// Every path that two layers want, sorted.
pub fn merge(layers: &[Layer<'_>]) -> Result<(Tree, BTreeMap<RelPath, String>), Vec<Conflict>> {
    let links = folder_links(layers);
    let mut tree = Tree::new();
    let mut owners: BTreeMap<RelPath, String> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for layer in layers {
        for (path, entry) in layer.tree.entries() {
            let at = through_links(path, &links);
            if *entry == Entry::Directory && links.contains_key(path) {
                continue;
            }
            let metadata = layer.tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
            let had = tree.entry(&at).cloned();
            let conflict = || Conflict {
                path: at.clone(),
                first: owners.get(&at).cloned().unwrap_or_default(),
                second: layer.owner.to_owned(),
            };
            match had {
                None => {
                    if tree.insert_with(at.clone(), entry.clone(), metadata).is_err() {
                        conflicts.push(conflict());
                        continue;
                    }
                    owners.insert(at, layer.owner.to_owned());
                }
                Some(Entry::Directory) if *entry == Entry::Directory => {
                    if let Err(()) = merge_folder(&mut tree, &at, metadata) {
                        conflicts.push(conflict());
                    }
                }
                Some(old) if old == *entry && tree.metadata(&at).as_ref() == Some(&metadata) => {}
                Some(_) if layer.replaces.contains(&at) => {
                    tree.remove(&at);
                    owners.retain(|path, _| path.below(&at).is_none());
                    if tree.insert_with(at.clone(), entry.clone(), metadata).is_ok() {
                        owners.insert(at, layer.owner.to_owned());
                    }
                }
                Some(_) => conflicts.push(conflict()),
            }
        }
        if let Some((_, metadata)) = layer.tree.special_metadata().find(|(path, _)| path.is_root()) {
            merge_folder(&mut tree, &RelPath::ROOT, metadata.clone()).unwrap_or_default();
        }
    }
    conflicts.sort_by(|a, b| (&a.path, &a.second).cmp(&(&b.path, &b.second)));
    if conflicts.is_empty() { Ok((tree, owners)) } else { Err(conflicts) }
}

fn merge_folder(tree: &mut Tree, path: &RelPath, new: Metadata) -> Result<(), ()> {
    let plain = Entry::Directory.plain_metadata();
    let old = tree.metadata(path).unwrap_or_else(|| plain.clone());
    if new == old || new == plain {
        return Ok(());
    }
    if old != plain {
        return Err(());
    }
    tree.set_metadata(path.clone(), new);
    Ok(())
}

/// The links of some layer that stand where another layer has a folder.
fn folder_links(layers: &[Layer<'_>]) -> BTreeMap<RelPath, RelPath> {
    let mut links = BTreeMap::new();
    for layer in layers {
        for (path, entry) in layer.tree.entries() {
            let Entry::Symlink { target } = entry else { continue };
            let is_folder = |other: &Layer<'_>| other.tree.entry(path) == Some(&Entry::Directory);
            if layers.iter().any(is_folder)
                && let Some(target) = resolve(path, target)
            {
                links.insert(path.clone(), target);
            }
        }
    }
    links
}

/// Where a link at `path` points to, inside the tree.
fn resolve(path: &RelPath, target: &str) -> Option<RelPath> {
    let mut names: Vec<&str> = Vec::new();
    let parent = path.parent().unwrap_or_default();
    if !target.starts_with('/') {
        names.extend(parent.as_str().split('/').filter(|name| !name.is_empty()));
    }
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    RelPath::new(&names.join("/")).ok()
}

fn through_links(path: &RelPath, links: &BTreeMap<RelPath, RelPath>) -> RelPath {
    let mut path = path.clone();
    for _ in 0..MAX_LINKS {
        let Some((link, target)) =
            path.ancestors().find_map(|above| links.get(&above).map(|target| (above.clone(), target)))
        else {
            break;
        };
        path = target.join(&path.below(&link).unwrap_or_default());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Digest;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (at, text) in files {
            let entry = match text.strip_prefix("-> ") {
                Some(target) => Entry::Symlink { target: target.to_owned() },
                None => Entry::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false },
            };
            tree.insert(path(at), entry).unwrap();
        }
        tree
    }

    fn layer<'a>(owner: &'a str, tree: &'a Tree) -> Layer<'a> {
        Layer { owner, tree, replaces: &[] }
    }

    #[test]
    fn two_owners_are_named() {
        let (a, b) = (tree(&[("etc/x", "1"), ("etc/y", "1")]), tree(&[("etc/x", "2"), ("etc/y", "1")]));
        let conflicts = merge(&[layer("a", &a), layer("b", &b)]).unwrap_err();
        assert_eq!(conflicts, [Conflict { path: path("etc/x"), first: "a".into(), second: "b".into() }]);
        let replaces = [path("etc/x")];
        let (merged, owners) = merge(&[layer("a", &a), Layer { owner: "b", tree: &b, replaces: &replaces }]).unwrap();
        assert_eq!(merged.entry(&path("etc/x")), b.entry(&path("etc/x")));
        assert_eq!(owners[&path("etc/x")], "b");
    }

    #[test]
    fn what_went_with_a_replaced_folder_has_no_owner() {
        let (a, b) = (tree(&[("etc/x/1", "1")]), tree(&[("etc/x", "2")]));
        let replaces = [path("etc/x")];
        let (merged, owners) = merge(&[layer("a", &a), Layer { owner: "b", tree: &b, replaces: &replaces }]).unwrap();
        assert!(merged.entry(&path("etc/x/1")).is_none());
        let expected = [(path("etc"), "a".to_owned()), (path("etc/x"), "b".to_owned())];
        assert_eq!(owners.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_folder_is_led_through_a_link_in_either_order() {
        let base = tree(&[("lib", "-> usr/lib"), ("usr/lib/a", "a")]);
        let old = tree(&[("lib/modules/b", "b")]);
        for layers in [[layer("base", &base), layer("old", &old)], [layer("old", &old), layer("base", &base)]] {
            let (merged, _) = merge(&layers).unwrap();
            assert!(merged.entry(&path("usr/lib/modules/b")).is_some());
            assert!(matches!(merged.entry(&path("lib")), Some(Entry::Symlink { .. })));
        }
    }

    #[test]
    fn of_folder_metadata_the_one_that_is_not_plain_counts() {
        let mut a = tree(&[("tmp/x", "x")]);
        let mut b = Tree::new();
        b.insert_with(path("tmp"), Entry::Directory, Metadata::with_mode(0o1777)).unwrap();
        let (merged, _) = merge(&[layer("a", &a), layer("b", &b)]).unwrap();
        assert_eq!(merged.metadata(&path("tmp")).unwrap().mode, 0o1777);
        a.set_metadata(path("tmp"), Metadata::with_mode(0o700));
        assert_eq!(merge(&[layer("a", &a), layer("b", &b)]).unwrap_err().len(), 1);
    }
}
