//! What can be reached from a remembered outcome: tree objects and blobs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Store, StoreError};
use crate::content::{DecodeError, Digest, Entry, Tree};

/// Collects what trees are made of.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    store: &'a Store,
    /// The objects that are there (and, for `verify`, whole).
    present: &'a BTreeSet<Digest>,
    /// Every object that was reached.
    pub objects: BTreeSet<Digest>,
    /// The trees that were walked, each with the first object that it lacks.
    trees: BTreeMap<Digest, Option<Digest>>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(store: &'a Store, present: &'a BTreeSet<Digest>) -> Self {
        Reach { store, present, objects: BTreeSet::new(), trees: BTreeMap::new() }
    }

    /// Walks the trees of an outcome; the first object that they lack.
    pub(super) fn outcome(&mut self, outcome: &BTreeMap<String, Digest>) -> Result<Option<Digest>, StoreError> {
        for tree in outcome.values() {
            if let Some(lacking) = self.tree(*tree)? {
                return Ok(Some(lacking));
            }
        }
        Ok(None)
    }

    fn tree(&mut self, tree: Digest) -> Result<Option<Digest>, StoreError> {
        if let Some(known) = self.trees.get(&tree) {
            return Ok(*known);
        }
        let lacking = match self.walk(tree) {
            Ok(lacking) => lacking,
            Err(StoreError::Missing { digest } | StoreError::Damaged { digest, .. }) => Some(digest),
            Err(error) => return Err(error),
        };
        self.trees.insert(tree, lacking);
        Ok(lacking)
    }

    fn walk(&mut self, tree: Digest) -> Result<Option<Digest>, StoreError> {
        let (store, present, objects) = (self.store, self.present, &mut self.objects);
        let decoded = Tree::decode(tree, |digest| {
            objects.insert(digest);
            if present.contains(&digest) { store.read(digest) } else { Err(StoreError::Missing { digest }) }
        });
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(DecodeError::Load { source, .. }) => return Err(source),
            // It is whole, but no tree: what names it as a tree cannot be used.
            Err(DecodeError::Malformed { digest, .. }) => return Ok(Some(digest)),
        };
        let mut lacking = None;
        for (_, entry) in decoded.entries() {
            if let Entry::File { blob, .. } = entry {
                self.objects.insert(*blob);
                if lacking.is_none() && !self.present.contains(blob) {
                    lacking = Some(*blob);
                }
            }
        }
        Ok(lacking)
    }
}
