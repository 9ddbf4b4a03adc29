//! Trees, which are a few objects each, and decoded ones kept in memory.

use std::{collections::BTreeMap, sync::Arc};

use super::{Store, StoreError, locked};
use crate::content::{DecodeError, Digest, Entry, RelPath, Tree};

/// Decoded trees are dropped when they have more entries than this together.
const MAX_CACHED_ENTRIES: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct TreeCache {
    trees: BTreeMap<Digest, Arc<Tree>>,
    entries: usize,
}

impl TreeCache {
    fn insert(&mut self, digest: Digest, tree: Arc<Tree>) {
        if self.entries + tree.len() > MAX_CACHED_ENTRIES {
            *self = TreeCache::default();
        }
        self.entries += tree.len();
        self.trees.insert(digest, tree);
    }
}

impl Store {
    /// Stores a tree, whose files are stored already.
    ///
    /// # Errors
    /// [`StoreError::Missing`] or [`StoreError::WrongSize`] for a file that is not stored as the tree says; else
    /// the file system's.
    pub fn put_tree(&self, tree: &Tree) -> Result<Digest, StoreError> {
        self.check_sizes(tree)?;
        let encoded = tree.encode();
        for bytes in encoded.objects.values() {
            self.put(bytes)?;
        }
        locked(&self.inner.trees).insert(encoded.digest, Arc::new(tree.clone()));
        Ok(encoded.digest)
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::NoTree`], else the file system's.
    pub fn tree(&self, tree: Digest) -> Result<Arc<Tree>, StoreError> {
        if let Some(known) = locked(&self.inner.trees).trees.get(&tree) {
            return Ok(Arc::clone(known));
        }
        let decoded = Tree::decode(tree, |digest| self.read(digest)).map_err(|error| match error {
            DecodeError::Load { source, .. } => source,
            DecodeError::Malformed { digest: object, expected, reason } => {
                StoreError::NoTree { digest: tree, object, expected, reason }
            }
        })?;
        let decoded = Arc::new(decoded);
        locked(&self.inner.trees).insert(tree, Arc::clone(&decoded));
        Ok(decoded)
    }

    /// The blob and the size in bytes of one file in a tree. Links are not followed.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] when no regular file is there; else what [`Store::tree`] gives.
    pub fn file_in(&self, tree: Digest, path: &RelPath) -> Result<(Digest, u64), StoreError> {
        match self.tree(tree)?.entry(path) {
            Some(Entry::File { blob, size, .. }) => Ok((*blob, *size)),
            _ => Err(StoreError::NoFile { tree, path: path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_back_in_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let path = |text: &str| RelPath::new(text).unwrap();
        let blob = store.put(b"text").unwrap();
        let mut tree = Tree::new();
        tree.insert(path("etc/file"), Entry::File { blob, size: 4, executable: false }).unwrap();
        tree.insert(path("etc/link"), Entry::Symlink { target: "file".into() }).unwrap();
        let digest = store.put_tree(&tree).unwrap();
        let other = Store::open(dir.path()).unwrap();
        assert_eq!(*other.tree(digest).unwrap(), tree);
        assert_eq!(other.file_in(digest, &path("etc/file")).unwrap(), (blob, 4));
        for wrong in ["etc/link", "etc", "nothing"] {
            assert!(matches!(other.file_in(digest, &path(wrong)), Err(StoreError::NoFile { .. })), "{wrong}");
        }
        assert!(matches!(other.tree(blob), Err(StoreError::NoTree { .. })));
    }

    #[test]
    fn old_trees_leave_the_cache_when_it_is_full() {
        let mut cache = TreeCache::default();
        let mut tree = Tree::new();
        for number in 0..1000 {
            tree.insert(RelPath::new(&number.to_string()).unwrap(), Entry::Directory).unwrap();
        }
        let tree = Arc::new(tree);
        for number in 0..=1000 {
            cache.insert(Digest::of(format!("{number}").as_bytes()), Arc::clone(&tree));
            assert!(cache.entries <= MAX_CACHED_ENTRIES);
        }
        assert_eq!(cache.trees.len(), 1);
    }
}
