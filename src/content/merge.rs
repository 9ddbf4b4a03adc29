//! Several trees laid over each other into one, where no path may have two owners.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Entry, FolderLinks, Metadata, RelPath, Tree, TreeError};

/// One tree of a merge and whom to name when it disagrees with another.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Who brings the tree, as people know it: `runc`, `libc6`.
    pub owner: &'a str,
    /// What it brings.
    pub tree: &'a Tree,
    /// The paths it may take from another layer, whichever comes first.
    pub replaces: &'a [RelPath],
}

/// Two layers want the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The path in the merged tree, every link to a folder followed.
    pub path: RelPath,
    /// The layer that had it.
    pub first: String,
    /// The layer that wants it too.
    pub second: String,
    /// What they do not agree on.
    pub about: Disagreement,
}

/// What two layers do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// The content of a file, the target of a link, or what either is.
    Content,
    /// Mode, owner or attributes of a folder that both bring.
    Folder(Metadata, Metadata),
    /// Whether it is a folder.
    Kind(&'static str, &'static str),
    /// The way there: the link leads around in a circle.
    Circle,
    /// Nothing: the second does not fit into one tree with the first.
    Limit(TreeError),
}

impl Conflict {
    /// The first of some conflicts, and how many more there are.
    pub fn told(conflicts: &[Conflict]) -> String {
        let first = conflicts.first().map_or_else(String::new, Conflict::to_string);
        match conflicts.len() {
            0 | 1 => first,
            many => format!("{first} (and {} more)", many - 1),
        }
    }
}

impl fmt::Display for Conflict {
    /// One sentence without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { path, first, second, about } = self;
        match about {
            Disagreement::Content => write!(f, "`{path}` is brought by both `{first}` and `{second}`"),
            Disagreement::Folder(one, other) if shown(one) == shown(other) => {
                write!(f, "the folder `{path}` has other extended attributes in `{first}` than in `{second}`")
            }
            Disagreement::Folder(one, other) => {
                write!(f, "the folder `{path}` is {} in `{first}` and {} in `{second}`", shown(one), shown(other))
            }
            Disagreement::Kind(one, other) => write!(f, "`{path}` is {one} in `{first}` and {other} in `{second}`"),
            Disagreement::Limit(error) => write!(f, "`{second}` does not fit in: {error}"),
            Disagreement::Circle => {
                write!(f, "`{second}` has a folder where the link `{path}` of `{first}` leads around in a circle")
            }
        }
    }
}

fn shown(metadata: &Metadata) -> String {
    format!("{:04o} of {}:{}", metadata.mode, metadata.uid, metadata.gid)
}

/// Lays `layers` over each other and says who owns what.
///
/// A folder may come from many layers; of its metadata the one that is not plain counts. A layer that brings a
/// folder where another has a link to a folder (`/lib` -> `usr/lib`) is led through the link, whichever comes
/// first. Files and links with equal content and metadata are no conflict, nor is what a layer replaces; of two that
/// replace a path the later one has it.
///
/// # Errors
/// Every path that two layers want, sorted.
pub fn merge(layers: &[Layer<'_>]) -> Result<(Tree, BTreeMap<RelPath, String>), Vec<Conflict>> {
    let (plain, taking): (Vec<_>, Vec<_>) = layers.iter().cloned().partition(|layer| layer.replaces.is_empty());
    let layers = [plain, taking].concat();
    let gone = replaced_links(&layers);
    let links = layers.iter().enumerate().flat_map(|(number, layer)| {
        let gone = &gone;
        let stands = move |path: &RelPath| gone.get(path).is_none_or(|by| *by <= number);
        layer.tree.entries().filter_map(move |(path, entry)| match entry {
            Entry::Symlink { target } if stands(path) => Some((path, target)),
            _ => None,
        })
    });
    let mut merging = Merging {
        links: FolderLinks::of_links(links),
        tree: Tree::new(),
        owners: BTreeMap::new(),
        folders: BTreeMap::new(),
        conflicts: BTreeMap::new(),
    };
    for (number, layer) in layers.iter().enumerate() {
        merging.lay(layer, |path| gone.get(path).is_some_and(|by| *by > number));
    }
    let mut conflicts: Vec<Conflict> = merging.conflicts.into_values().flatten().collect();
    conflicts.sort_by(|a, b| (&a.path, &a.second).cmp(&(&b.path, &b.second)));
    let owners = || merging.owners.into_iter().map(|(path, owner)| (path, owner.to_owned())).collect();
    if conflicts.is_empty() { Ok((merging.tree, owners())) } else { Err(conflicts) }
}

/// The links that a later layer replaces, each with the number of the last one that does: nobody is led through them.
fn replaced_links<'a>(layers: &'a [Layer<'_>]) -> BTreeMap<&'a RelPath, usize> {
    let replaced = layers.iter().enumerate().flat_map(|(number, layer)| {
        let brought = layer.replaces.iter().filter(|path| layer.tree.entry(path).is_some());
        brought.map(move |path| (path, number))
    });
    replaced.collect()
}

struct Merging<'a> {
    links: FolderLinks,
    tree: Tree,
    owners: BTreeMap<RelPath, &'a str>,
    /// Who said the metadata of a folder, where that is not plain.
    folders: BTreeMap<RelPath, &'a str>,
    conflicts: BTreeMap<RelPath, Vec<Conflict>>,
}

impl<'a> Merging<'a> {
    /// `is_gone` says which links of the layer a later one replaces.
    fn lay(&mut self, layer: &Layer<'a>, is_gone: impl Fn(&RelPath) -> bool) {
        let replaces = layer.replaces.iter().filter_map(|path| self.links.real(path).ok());
        let replaces: BTreeSet<RelPath> = replaces.collect();
        // Folders of the layer that found no place: what is in them needs no word of its own.
        let mut blocked: BTreeSet<&RelPath> = BTreeSet::new();
        let mut above: Option<(RelPath, RelPath)> = None;
        for (path, entry) in layer.tree.entries() {
            if matches!(entry, Entry::Symlink { .. }) && is_gone(path) {
                continue;
            }
            let parent = path.parent().unwrap_or_default();
            if blocked.contains(&parent) {
                blocked.insert(path);
                continue;
            }
            // Many entries stand side by side.
            if above.as_ref().is_none_or(|(known, _)| *known != parent) {
                above = self.links.real_folder(&parent).ok().map(|real| (parent, real));
            }
            let beside =
                above.as_ref().and_then(|(_, real)| RelPath::new(path.name()).ok().map(|name| real.join(&name)));
            let Some(at) = beside else { continue };
            let metadata = layer.tree.metadata(path).unwrap_or_else(|| entry.plain_metadata());
            let done = match entry {
                Entry::Directory => self.folder(layer.owner, at, metadata, &replaces),
                entry => self.file(layer.owner, at, entry, metadata, &replaces),
            };
            if let Err(conflict) = done {
                if *entry == Entry::Directory && !matches!(conflict.about, Disagreement::Folder(..)) {
                    blocked.insert(path);
                }
                self.conflicts.entry(conflict.path.clone()).or_default().push(conflict);
            }
        }
        if let Some((_, metadata)) = layer.tree.special_metadata().find(|(path, _)| path.is_root())
            && self.tree.metadata(&RelPath::ROOT) == Some(Entry::Directory.plain_metadata())
        {
            self.tree.set_metadata(RelPath::ROOT, metadata.clone());
        }
    }

    fn conflict(&self, path: RelPath, second: &str, about: Disagreement) -> Conflict {
        let named = if matches!(about, Disagreement::Folder(..)) { self.folders.get(&path) } else { None };
        let first = named.or_else(|| self.owners.get(&path)).map_or_else(String::new, |owner| (*owner).to_owned());
        Conflict { path, first, second: second.to_owned(), about }
    }

    /// Lays a folder. One that stands where another layer has a link is the folder that the link leads to.
    fn folder(
        &mut self,
        owner: &'a str,
        at: RelPath,
        metadata: Metadata,
        replaces: &BTreeSet<RelPath>,
    ) -> Result<(), Conflict> {
        let plain = Entry::Directory.plain_metadata();
        let Ok(real) = self.links.real_folder(&at) else {
            return Err(self.conflict(at, owner, Disagreement::Circle));
        };
        let metadata = if real == at { metadata } else { plain.clone() };
        match self.tree.entry(&real).cloned() {
            Some(Entry::Directory) => {
                let old = self.tree.metadata(&real).unwrap_or_else(|| plain.clone());
                if replaces.contains(&real) {
                    self.conflicts.remove(&real);
                } else if metadata == old || metadata == plain {
                    return Ok(());
                } else if old != plain {
                    return Err(self.conflict(real, owner, Disagreement::Folder(old, metadata)));
                }
                self.folders.insert(real.clone(), owner);
                self.tree.set_metadata(real, metadata);
                Ok(())
            }
            Some(old) if !replaces.contains(&real) => {
                Err(self.conflict(real, owner, Disagreement::Kind(noun(&old), noun(&Entry::Directory))))
            }
            old => {
                if old.is_some() {
                    self.take(&real);
                }
                if metadata != plain {
                    self.folders.insert(real.clone(), owner);
                }
                self.put(owner, real, &Entry::Directory, metadata)
            }
        }
    }

    /// Lays a file or link.
    fn file(
        &mut self,
        owner: &'a str,
        at: RelPath,
        entry: &Entry,
        metadata: Metadata,
        replaces: &BTreeSet<RelPath>,
    ) -> Result<(), Conflict> {
        match self.tree.entry(&at) {
            None => {}
            Some(old) if old == entry && self.tree.metadata(&at).as_ref() == Some(&metadata) => return Ok(()),
            Some(_) if replaces.contains(&at) => self.take(&at),
            Some(old) if *old == Entry::Directory => {
                let about = Disagreement::Kind(noun(old), noun(entry));
                return Err(self.conflict(at, owner, about));
            }
            Some(_) => return Err(self.conflict(at, owner, Disagreement::Content)),
        }
        self.put(owner, at, entry, metadata)
    }

    /// Takes a path from whoever had it, with everything below it, and with every disagreement about it.
    fn take(&mut self, at: &RelPath) {
        self.tree.remove(at);
        self.owners.retain(|path, _| path.below(at).is_none());
        self.folders.retain(|path, _| path.below(at).is_none());
        self.conflicts.remove(at);
    }

    fn put(&mut self, owner: &'a str, at: RelPath, entry: &Entry, metadata: Metadata) -> Result<(), Conflict> {
        match self.tree.insert_with(at.clone(), entry.clone(), metadata) {
            Ok(()) => {
                self.owners.insert(at, owner);
                Ok(())
            }
            Err(TreeError::Taken { path } | TreeError::ParentIsNoDirectory { parent: path, .. }) => {
                let old = self.tree.entry(&path).map_or("nothing", noun);
                Err(self.conflict(path, owner, Disagreement::Kind(old, noun(&Entry::Directory))))
            }
            Err(error) => Err(self.conflict(at, owner, Disagreement::Limit(error))),
        }
    }
}

fn noun(entry: &Entry) -> &'static str {
    match entry {
        Entry::File { .. } => "a file",
        Entry::Directory => "a folder",
        Entry::Symlink { .. } => "a link",
    }
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
        assert_eq!(
            conflicts,
            [Conflict { path: path("etc/x"), first: "a".into(), second: "b".into(), about: Disagreement::Content }]
        );
        let replaces = [path("etc/x")];
        let (merged, owners) = merge(&[layer("a", &a), Layer { owner: "b", tree: &b, replaces: &replaces }]).unwrap();
        assert_eq!(merged.entry(&path("etc/x")), b.entry(&path("etc/x")));
        assert_eq!(owners[&path("etc/x")], "b");
    }

    #[test]
    fn who_replaces_wins_whichever_comes_first() {
        let (a, b, replaces) = (tree(&[("etc/x", "1")]), tree(&[("etc/x", "2")]), [path("etc/x")]);
        let taking = Layer { replaces: &replaces, ..layer("b", &b) };
        for layers in [[layer("a", &a), taking.clone()], [taking.clone(), layer("a", &a)]] {
            let (merged, owners) = merge(&layers).unwrap();
            assert_eq!((merged.entry(&path("etc/x")), owners[&path("etc/x")].as_str()), (b.entry(&path("etc/x")), "b"));
        }
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
    fn nobody_is_led_through_a_link_that_a_later_layer_replaces() {
        let base = tree(&[("a", "-> old"), ("old/x", "1")]);
        let other = tree(&[("a/y", "2")]);
        let replaces = [path("a")];
        for (own, expected) in [(tree(&[("a", "-> new")]), "new/y"), (tree(&[("a/z", "3")]), "a/y")] {
            let own = Layer { owner: "own", tree: &own, replaces: &replaces };
            let (merged, owners) = merge(&[layer("base", &base), layer("other", &other), own.clone()]).unwrap();
            assert_eq!(merged.entry(&path("a")), own.tree.entry(&path("a")));
            assert_eq!(owners[&path(expected)], "other");
            assert!(merged.entry(&path("old/x")).is_some() && merged.entry(&path("old/y")).is_none());
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

    /// What is said about layers, sentence by sentence.
    fn told(layers: &[(&str, &Tree)]) -> Vec<String> {
        let layers: Vec<Layer<'_>> = layers.iter().map(|(owner, tree)| layer(owner, tree)).collect();
        merge(&layers).err().into_iter().flatten().map(|conflict| conflict.to_string()).collect()
    }

    #[test]
    fn what_stands_in_the_way_is_named_with_its_owner() {
        let file = tree(&[("usr/foo", "1")]);
        let folder = tree(&[("usr/foo/x", "1"), ("usr/foo/y/z", "1")]);
        let link = tree(&[("usr/foo", "-> bar"), ("usr/bar", "1")]);
        let circle = tree(&[("usr/foo", "-> foo/bar")]);
        for (first, expected) in [
            (&file, "`/usr/foo` is a file in `a` and a folder in `b`"),
            (&link, "`/usr/bar` is a file in `a` and a folder in `b`"),
            (&circle, "`b` has a folder where the link `/usr/foo` of `a` leads around in a circle"),
        ] {
            assert_eq!(told(&[("a", first), ("b", &folder)]), [expected]);
        }
        assert_eq!(told(&[("b", &folder), ("a", &file)]), ["`/usr/foo` is a folder in `b` and a file in `a`"]);
    }

    #[test]
    fn paths_are_compared_as_they_really_are() {
        let base = tree(&[("lib", "-> usr/lib"), ("usr/lib/x", "1")]);
        let old = tree(&[("lib/x", "2")]);
        assert_eq!(told(&[("base", &base), ("old", &old)]), ["`/usr/lib/x` is brought by both `base` and `old`"]);
        for replaced in ["lib/x", "usr/lib/x"] {
            let replaces = [path(replaced)];
            let over = Layer { owner: "old", tree: &old, replaces: &replaces };
            let (merged, owners) = merge(&[layer("base", &base), over]).unwrap();
            assert_eq!(merged.entry(&path("usr/lib/x")), old.entry(&path("lib/x")));
            assert_eq!(owners[&path("usr/lib/x")], "old");
        }
        let (_, owners) = merge(&[layer("dangling", &tree(&[("lib", "-> usr/lib")])), layer("old", &old)]).unwrap();
        assert_eq!(owners[&path("usr/lib")], "old", "every folder has an owner");
    }

    #[test]
    fn a_later_layer_settles_what_earlier_ones_do_not_agree_on() {
        let folder = |mode| {
            let mut tree = Tree::new();
            tree.insert_with(path("var/x"), Entry::Directory, Metadata::with_mode(mode)).unwrap();
            tree
        };
        let (a, b, c) = (folder(0o700), folder(0o750), folder(0o755));
        assert_eq!(
            told(&[("plain", &c), ("a", &a), ("b", &b), ("c", &c)]),
            ["the folder `/var/x` is 0700 of 0:0 in `a` and 0750 of 0:0 in `b`"]
        );
        let replaces = [path("var/x")];
        let last = |tree| Layer { owner: "c", tree, replaces: &replaces };
        let (merged, _) = merge(&[layer("a", &a), layer("b", &b), last(&c)]).unwrap();
        assert_eq!(merged.metadata(&path("var/x")).unwrap().mode, 0o755);
        let (a, b, c) = (tree(&[("var/x", "1")]), tree(&[("var/x", "2")]), tree(&[("var/x", "3")]));
        let (merged, owners) = merge(&[layer("a", &a), layer("b", &b), last(&c)]).unwrap();
        assert_eq!((merged.entry(&path("var/x")), owners[&path("var/x")].as_str()), (c.entry(&path("var/x")), "c"));
    }
}
