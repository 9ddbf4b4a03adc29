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
    /// Stores a tree; the blobs of its files are stored by who calls.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn put_tree(&self, tree: &Tree) -> Result<Digest, StoreError> {
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
