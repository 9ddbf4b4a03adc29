//! Giving another store what actions gave, so that it need not make it again.

use std::{collections::BTreeSet, fs, io, path::Path};

use rayon::prelude::*;

use super::{
    Store, StoreError,
    object_id::{ObjectId, ObjectMode},
    unfinished::rename_into,
};
use crate::content::{Digest, Entry};

impl Store {
    /// Has another store remember what the actions with these keys gave, as far as this one does. Objects are shared
    /// where the file system can, else copied.
    ///
    /// # Errors
    /// What [`Store::tree`] gives for an outcome's trees; else the file system's.
    pub fn copy_to(&self, keys: &BTreeSet<Digest>, to: &Store) -> Result<(), StoreError> {
        let mut trees: BTreeSet<Digest> = BTreeSet::new();
        for key in keys {
            trees.extend(self.recall(*key)?.unwrap_or_default().into_values());
        }
        let objects = trees.into_par_iter().map(|digest| {
            let tree = self.tree(digest)?;
            let blobs = tree.entries().filter_map(|(_, entry)| match entry {
                Entry::File { blob, .. } => Some(*blob),
                Entry::Directory | Entry::Symlink { .. } => None,
            });
            Ok(blobs.chain(tree.encode().objects.into_keys()).collect())
        });
        let objects: Result<Vec<BTreeSet<Digest>>, StoreError> = objects.collect();
        let objects: BTreeSet<Digest> = objects?.into_iter().flatten().collect();
        objects.into_par_iter().try_for_each(|digest| {
            let object = ObjectId { digest, mode: ObjectMode::Plain };
            self.copy_file_to(&self.object_path(object), &to.object_path(object), to)
        })?;
        // Only now: an entry names only what is there.
        keys.iter().try_for_each(|key| {
            let memo = self.shard("memo", *key);
            if memo.exists() { self.copy_file_to(&memo, &to.shard("memo", *key), to) } else { Ok(()) }
        })
    }

    fn copy_file_to(&self, from: &Path, at: &Path, to: &Store) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("share", from, source);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        match fs::hard_link(from, at) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed(error)),
            Err(_) => {
                let new = to.dir().join("temporary").join(to.next_name());
                let copied = fs::copy(from, &new).and_then(|_| fs::metadata(from)?.modified());
                let placed = copied.and_then(|time| {
                    fs::File::open(&new)?.set_modified(time)?;
                    rename_into(&new, at)
                });
                placed.map_err(failed)
            }
            Ok(()) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Memo, *};
    use crate::content::{RelPath, Tree};
    use std::collections::BTreeMap;

    #[test]
    fn another_store_remembers_what_it_was_given_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("one")).unwrap();
        let keys = [b"a", b"b"].map(|name| {
            let blob = store.put(name).unwrap();
            let mut tree = Tree::new();
            let path = RelPath::new("folder/file").unwrap();
            tree.insert(path, Entry::File { blob, size: 1, executable: true }).unwrap();
            let outcome = BTreeMap::from([("out".to_owned(), store.put_tree(&tree).unwrap())]);
            store.remember(Digest::of(name), &outcome).unwrap();
            Digest::of(name)
        });
        let other = Store::open(&dir.path().join("two")).unwrap();
        store.copy_to(&BTreeSet::from([keys[0], Digest::of(b"unknown")]), &other).unwrap();
        store.copy_to(&BTreeSet::from([keys[0]]), &other).unwrap();
        let outcome = store.recall(keys[0]).unwrap().unwrap();
        assert_eq!(other.recall(keys[0]).unwrap().as_ref(), Some(&outcome));
        assert_eq!(other.recall(keys[1]).unwrap(), None);
        let checkout = other.checkout(&[(RelPath::ROOT, outcome["out"])]).unwrap();
        assert_eq!(fs::read(checkout.path().join("folder/file")).unwrap(), b"a");
    }
}
