//! Checkouts: merged trees laid out as a folder of hard links into the objects.
//!
//! Only content is laid out: files (0444, or 0555 when executable), folders (0755) and links. Owners, setuid bits
//! and attributes stay in the trees. All times are the objects' time. The folder must not be written; it is meant
//! as the lower layer of an overlay.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Store, StoreError, locked, object};
use crate::content::{Conflict, Digest, Entry, Layer, RelPath, Tree, merge};

/// A laid out folder. While it is held, garbage collection cannot take it away.
#[derive(Debug, Clone)]
pub struct Checkout {
    path: PathBuf,
    /// Keeps the store's lock.
    _store: Store,
}

impl Checkout {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Lays out trees, each below its path, merged into one folder; made once and kept.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn checkout(&self, layers: &[(RelPath, Digest)]) -> Result<Checkout, StoreError> {
        let key = checkout_key(layers);
        let folder = self.shard("checkouts", key);
        let done = Arc::clone(locked(&self.inner.checkouts).entry(key).or_default());
        let mut done = locked(&done);
        if !*done {
            self.make_checkout(layers, &folder)?;
            *done = true;
        }
        Ok(Checkout { path: folder.join("tree"), _store: self.clone() })
    }

    fn make_checkout(&self, layers: &[(RelPath, Digest)], folder: &Path) -> Result<(), StoreError> {
        if folder.exists() {
            return Ok(());
        }
        let merged = self.merged(layers)?;
        let work = self.temporary()?;
        let root = work.path().join("new");
        self.lay_out(&merged, &root.join("tree"))?;
        let failed = |source| StoreError::io("make", folder, source);
        fs::create_dir_all(folder.parent().unwrap_or(folder)).map_err(failed)?;
        match fs::rename(&root, folder) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// The layers as one tree.
    fn merged(&self, layers: &[(RelPath, Digest)]) -> Result<Tree, StoreError> {
        let mut trees = Vec::new();
        for (path, digest) in layers {
            trees.push((format!("tree {} at `{path}`", digest.short()), self.tree(*digest)?.moved_to(path)));
        }
        let layers: Vec<Layer<'_>> = trees.iter().map(|(owner, tree)| Layer { owner, tree, replaces: &[] }).collect();
        match merge(&layers) {
            Ok((tree, _)) => Ok(tree),
            Err(conflicts) => Err(conflict(&conflicts)),
        }
    }

    fn lay_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        fs::create_dir_all(root).map_err(|source| StoreError::io("make", root, source))?;
        for (path, entry) in tree.entries() {
            let at = path.on(root);
            let failed = |source| StoreError::io("lay out", &at, source);
            match entry {
                Entry::Directory => fs::create_dir(&at).map_err(failed)?,
                Entry::Symlink { target } => std::os::unix::fs::symlink(target, &at).map_err(failed)?,
                Entry::File { blob, executable, .. } => {
                    let mode = if *executable {
                        self.check_executable(*blob)?;
                        object::ObjectMode::Executable
                    } else {
                        self.check(*blob)?;
                        object::ObjectMode::Plain
                    };
                    let object = self.object_path(object::ObjectId { digest: *blob, mode });
                    fs::hard_link(&object, &at).or_else(|_| fs::copy(&object, &at).map(drop)).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
}

/// What names a checkout: the digest of its list of layers.
fn checkout_key(layers: &[(RelPath, Digest)]) -> Digest {
    let mut text = "brc-checkout 1\n".to_owned();
    for (path, digest) in layers {
        text.push_str(&format!("{digest} {}\0", path.as_str()));
    }
    Digest::of(text.as_bytes())
}

fn conflict(conflicts: &[Conflict]) -> StoreError {
    let (path, first, second) = match conflicts.first() {
        Some(one) => (one.path.clone(), one.first.clone(), one.second.clone()),
        None => Default::default(),
    };
    StoreError::Conflict { path, first, second, more: conflicts.len().saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn trees_are_laid_out_merged() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let path = |text: &str| RelPath::new(text).unwrap();
        let mut one = Tree::new();
        let blob = store.put(b"#!/bin/sh\n").unwrap();
        one.insert(path("bin/tool"), Entry::File { blob, size: 10, executable: true }).unwrap();
        one.insert(path("bin/text"), Entry::File { blob, size: 10, executable: false }).unwrap();
        one.insert(path("sbin"), Entry::Symlink { target: "bin".into() }).unwrap();
        let one = store.put_tree(&one).unwrap();
        let layers = [(RelPath::ROOT, one), (path("work/src"), one)];
        let checkout = store.checkout(&layers).unwrap();
        for (at, mode) in [("bin/tool", 0o555), ("bin/text", 0o444), ("work/src/sbin/tool", 0o555), ("work", 0o755)] {
            let found = fs::metadata(checkout.path().join(at)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, mode, "{at}");
        }
        assert_eq!(store.checkout(&layers).unwrap().path(), checkout.path());
    }
}
