//! Trees of files, folders and symbolic links, with owners and modes in a list beside them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Digest, RelPath};

/// What stands at one path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file, by the digest of its bytes.
    File {
        /// The BLAKE3 digest of the bytes.
        blob: Digest,
        /// The number of bytes.
        size: u64,
        /// Whether it may be executed; agrees with the mode's `0o111` bits.
        executable: bool,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The text of the link, uninterpreted.
        target: String,
    },
}

/// Owner, mode and extended attributes of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The lower 12 bits of the mode: setuid, setgid, sticky, then rwx three times.
    pub mode: u16,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// A tree: every path below a root and what stands there.
///
/// The root folder is always there and has no entry. Metadata is kept only where it differs from
/// [`Entry::plain_metadata`], so that the content part maps onto a REAPI `Directory`.
///
/// No tree has a path of more than [`Tree::MAX_DEPTH`] names or more than [`Tree::MAX_ENTRIES`] entries, however it
/// was made: what can be written can be read, and a short archive cannot stand for any amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: BTreeMap<RelPath, Entry>,
    metadata: BTreeMap<RelPath, Metadata>,
}

/// An entry does not fit into a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A parent of the path is a file or a link.
    #[error("`{path}` cannot be added: `{parent}` is not a directory")]
    ParentIsNoDirectory { path: RelPath, parent: RelPath },
    /// The path is taken by something else.
    #[error("`{path}` is there already")]
    Taken { path: RelPath },
    /// The path has too many names.
    #[error("below `{top}` folders are nested too deeply: expected paths of at most {limit} names", limit = Tree::MAX_DEPTH)]
    TooDeep { top: RelPath },
    /// The path does not fit into a [`RelPath`] where it is to be.
    #[error("below `{top}` a path is too long: expected at most {limit} bytes", limit = RelPath::MAX_BYTES)]
    TooLong { top: RelPath },
    /// The tree is full.
    #[error("there are too many files and folders: expected at most {limit}", limit = Tree::MAX_ENTRIES)]
    TooMany,
}

impl Entry {
    /// The metadata that needs no mention: root:root, 0644 or 0755, 0777 for links.
    pub fn plain_metadata(&self) -> Metadata {
        let mode = match self {
            Entry::File { executable: false, .. } => 0o644,
            Entry::File { executable: true, .. } | Entry::Directory => 0o755,
            Entry::Symlink { .. } => 0o777,
        };
        Metadata { mode, uid: 0, gid: 0, xattrs: BTreeMap::new() }
    }
}

impl Metadata {
    /// Metadata of root:root with `mode` and no extended attributes.
    pub fn with_mode(mode: u16) -> Self {
        Metadata { mode, uid: 0, gid: 0, xattrs: BTreeMap::new() }
    }
}

impl Tree {
    /// The most names of a path: folders are nested no deeper.
    pub const MAX_DEPTH: usize = 256;
    /// The most entries, folders that nobody named included.
    pub const MAX_ENTRIES: usize = 500_000;

    /// A tree that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses a path that no tree holds.
    ///
    /// # Errors
    /// [`TreeError::TooDeep`], [`TreeError::TooLong`].
    pub fn check_path(path: &RelPath) -> Result<(), TreeError> {
        let top = || path.ancestors().last().unwrap_or_default();
        if path.depth() > Self::MAX_DEPTH {
            return Err(TreeError::TooDeep { top: top() });
        }
        // Joined paths are made of good names, but may be longer than one that is read.
        if path.as_str().len() > RelPath::MAX_BYTES { Err(TreeError::TooLong { top: top() }) } else { Ok(()) }
    }

    /// Adds one entry with plain metadata; missing folders above it are made.
    ///
    /// # Errors
    /// What stands in the way, or the limit that the entry with its folders would exceed; the tree is as it was then.
    pub fn insert(&mut self, path: RelPath, entry: Entry) -> Result<(), TreeError> {
        if path.is_root() {
            return if entry == Entry::Directory { Ok(()) } else { Err(TreeError::Taken { path }) };
        }
        Self::check_path(&path)?;
        let mut missing = Vec::new();
        for parent in path.ancestors() {
            match self.entries.get(&parent) {
                Some(Entry::Directory) => break,
                Some(_) => return Err(TreeError::ParentIsNoDirectory { path, parent }),
                None => missing.push(parent),
            }
        }
        match (self.entries.get(&path), &entry) {
            (None, _) if self.entries.len() + missing.len() >= Self::MAX_ENTRIES => Err(TreeError::TooMany),
            (None, _) => {
                self.entries.extend(missing.into_iter().map(|parent| (parent, Entry::Directory)));
                self.entries.insert(path, entry);
                Ok(())
            }
            (Some(Entry::Directory), Entry::Directory) => Ok(()),
            (Some(_), _) => Err(TreeError::Taken { path }),
        }
    }

    /// Adds one entry with its metadata; missing folders above it are made.
    pub fn insert_with(&mut self, path: RelPath, entry: Entry, metadata: Metadata) -> Result<(), TreeError> {
        self.insert(path.clone(), entry)?;
        self.set_metadata(path, metadata);
        Ok(())
    }

    /// Sets the metadata of a path that is in the tree (or of the root); whether a file is executable follows its mode.
    pub fn set_metadata(&mut self, path: RelPath, metadata: Metadata) {
        let plain = match self.entries.get_mut(&path) {
            Some(entry) => {
                if let Entry::File { executable, .. } = entry {
                    *executable = metadata.mode & 0o111 != 0;
                }
                entry.plain_metadata()
            }
            None => Entry::Directory.plain_metadata(),
        };
        if metadata == plain {
            self.metadata.remove(&path);
        } else {
            self.metadata.insert(path, metadata);
        }
    }

    /// What stands at `path`; the root is a folder.
    pub fn entry(&self, path: &RelPath) -> Option<&Entry> {
        if path.is_root() { Some(&Entry::Directory) } else { self.entries.get(path) }
    }

    /// The metadata of a path, plain unless something else was said; `None` when nothing is there.
    pub fn metadata(&self, path: &RelPath) -> Option<Metadata> {
        let entry = self.entry(path)?;
        Some(self.metadata.get(path).cloned().unwrap_or_else(|| entry.plain_metadata()))
    }

    /// Every path with its entry, sorted bytewise, folders before what is in them, without the root.
    pub fn entries(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.entries.iter()
    }

    /// Every metadata that is not plain, sorted by path.
    pub fn special_metadata(&self) -> impl Iterator<Item = (&RelPath, &Metadata)> {
        self.metadata.iter()
    }

    /// The number of entries, without the root.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tree holds nothing but its root.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The sum of all file sizes, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.entries.values().map(|entry| if let Entry::File { size, .. } = entry { *size } else { 0 }).sum()
    }

    /// Removes a path with everything below it.
    pub fn remove(&mut self, path: &RelPath) {
        self.entries.retain(|at, _| at.below(path).is_none());
        self.metadata.retain(|at, _| at.below(path).is_none());
    }

    /// Removes every path of which `is_dropped` is true, with everything below it.
    pub fn drop_where(&mut self, mut is_dropped: impl FnMut(&RelPath, &Entry) -> bool) {
        let mut gone: BTreeSet<RelPath> = BTreeSet::new();
        // A folder sorts before what is in it, so one pass finds what lies below a dropped one as well.
        for (path, entry) in &self.entries {
            let in_dropped = path.parent().is_some_and(|parent| gone.contains(&parent));
            if in_dropped || is_dropped(path, entry) {
                gone.insert(path.clone());
            }
        }
        for path in &gone {
            self.entries.remove(path);
            self.metadata.remove(path);
        }
    }

    /// The part of the tree below `root`, as a tree of its own; `None` when no folder is there.
    pub fn subtree(&self, root: &RelPath) -> Option<Tree> {
        if self.entry(root) != Some(&Entry::Directory) {
            return None;
        }
        let below = |path: &RelPath| path.below(root).filter(|path| !path.is_root());
        let mut tree = Tree {
            entries: self.entries.iter().filter_map(|(path, entry)| Some((below(path)?, entry.clone()))).collect(),
            metadata: self.metadata.iter().filter_map(|(path, data)| Some((below(path)?, data.clone()))).collect(),
        };
        if let Some(metadata) = self.metadata.get(root) {
            tree.metadata.insert(RelPath::ROOT, metadata.clone());
        }
        Some(tree)
    }

    /// The same tree moved below `root`; the folders above it are plain.
    ///
    /// # Errors
    /// A limit that the tree exceeds there.
    pub fn moved_to(&self, root: &RelPath) -> Result<Tree, TreeError> {
        let mut tree = Tree::new();
        tree.insert(root.clone(), Entry::Directory)?;
        if tree.len() + self.len() > Self::MAX_ENTRIES {
            return Err(TreeError::TooMany);
        }
        for (path, entry) in &self.entries {
            let path = root.join(path);
            Self::check_path(&path)?;
            tree.entries.insert(path, entry.clone());
        }
        for (path, metadata) in &self.metadata {
            tree.metadata.insert(root.join(path), metadata.clone());
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn file(text: &str) -> Entry {
        Entry::File { blob: Digest::of(text.as_bytes()), size: text.len() as u64, executable: false }
    }

    #[test]
    fn folders_above_an_entry_are_made() {
        let mut tree = Tree::new();
        tree.insert(path("usr/bin/true"), file("x")).unwrap();
        assert_eq!(tree.entry(&path("usr")), Some(&Entry::Directory));
        let taken = tree.insert(path("usr/bin/true/x"), file("x"));
        assert!(matches!(taken, Err(TreeError::ParentIsNoDirectory { .. })));
    }

    #[test]
    fn what_does_not_fit_leaves_the_tree_as_it_was() {
        let mut tree = Tree::new();
        tree.insert(path("a"), file("x")).unwrap();
        let before = tree.clone();
        assert!(tree.insert(path("a/b/c/d"), file("x")).is_err());
        assert!(tree.insert(path("a"), file("y")).is_err());
        assert_eq!(tree, before);
    }

    #[test]
    fn whether_a_file_is_executable_follows_its_mode() {
        let mut tree = Tree::new();
        tree.insert(path("a"), file("x")).unwrap();
        for (mode, expected) in [(0o755, true), (0o4711, true), (0o600, false), (0o644, false)] {
            tree.set_metadata(path("a"), Metadata::with_mode(mode));
            assert!(matches!(tree.entry(&path("a")), Some(Entry::File { executable, .. }) if *executable == expected));
            assert_eq!(tree.metadata(&path("a")).unwrap().mode, mode);
        }
    }

    #[test]
    fn a_subtree_moved_back_is_the_same() {
        let mut tree = Tree::new();
        tree.insert_with(path("out/a"), file("a"), Metadata::with_mode(0o4755)).unwrap();
        tree.insert(path("out/b/c"), Entry::Symlink { target: "../a".into() }).unwrap();
        let sub = tree.subtree(&path("out")).unwrap();
        assert_eq!(sub.metadata(&path("a")).unwrap().mode, 0o4755);
        assert_eq!(sub.moved_to(&path("out")).unwrap(), tree);
    }

    #[test]
    fn no_tree_is_deeper_or_larger_than_one_that_can_be_read() {
        let deepest = path(&vec!["d"; Tree::MAX_DEPTH].join("/"));
        let mut tree = Tree::new();
        tree.insert(deepest.clone(), file("x")).unwrap();
        let before = tree.clone();
        let below = path("e").join(&deepest);
        assert_eq!(tree.insert(below.clone(), Entry::Directory), Err(TreeError::TooDeep { top: path("e") }));
        assert_eq!(tree.moved_to(&path("e")), Err(TreeError::TooDeep { top: path("e") }));
        let name = path(&"n".repeat(255));
        let long = (0..RelPath::MAX_BYTES / 255).fold(path("l"), |long, _| long.join(&name));
        assert_eq!(tree.insert(long, Entry::Directory), Err(TreeError::TooLong { top: path("l") }));
        assert_eq!(tree, before);
        let encoded = tree.encode();
        let load = |digest: Digest| encoded.objects.get(&digest).cloned().ok_or(());
        assert_eq!(Tree::decode(encoded.digest, load).unwrap(), tree);
    }

    #[test]
    fn folders_that_nobody_named_count_as_entries() {
        let mut tree = Tree::new();
        let folders = vec!["d"; Tree::MAX_DEPTH - 2].join("/");
        let full = (0..).find(|number| tree.insert(path(&format!("{number}/{folders}/x")), file("x")).is_err());
        assert_eq!(full, Some(Tree::MAX_ENTRIES / Tree::MAX_DEPTH));
        assert!(tree.len() <= Tree::MAX_ENTRIES);
        assert_eq!(tree.insert(path("full").join(&path(&folders)), Entry::Directory), Err(TreeError::TooMany));
    }

    #[test]
    fn dropping_a_folder_drops_what_is_in_it() {
        let mut tree = Tree::new();
        tree.insert(path("usr/share/doc/a/b"), file("a")).unwrap();
        tree.insert(path("usr/share/doc-base/a"), file("a")).unwrap();
        tree.insert(path("usr/bin/a"), file("a")).unwrap();
        tree.drop_where(|path, _| path.as_str() == "usr/share/doc");
        assert!(tree.entry(&path("usr/share/doc/a/b")).is_none());
        assert!(tree.entry(&path("usr/share/doc/a")).is_none());
        assert!(tree.entry(&path("usr/share/doc-base/a")).is_some());
        assert!(tree.entry(&path("usr/bin/a")).is_some());
    }
}
