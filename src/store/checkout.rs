//! Checkouts: merged trees laid out as a folder of hard links into the objects.
//!
//! Only content is laid out: files (0444, or 0555 when executable), folders (0755) and links. Owners, setuid bits
//! and attributes stay in the trees. All times are the objects' time. The folder must not be written; it is meant
//! as the lower layer of an overlay.
//!
//! A checkout is made in `temporary` and renamed as a whole, with a record `brc-checkout 2` named `state` beside
//! it: what it is called, which boot of the machine it was made in, a digest of what `lstat` says of everything in it,
//! its layers.
//! It is used again in the same boot while nothing in it was touched; after another boot, when a power cut may
//! have torn it, it is made again.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use rayon::prelude::*;

use super::{
    Store, StoreError,
    check::object_time,
    locked,
    memo::touch,
    object_id::{ObjectId, ObjectMode},
    record::frame,
    shard::list,
    unfinished::rename_into,
};
use crate::content::{Digest, Entry, FIXED_TIME, Layer, RelPath, Tree, merge};

const FIRST_LINE: &str = "brc-checkout 2";
/// How often a place is fought for with other processes before giving up.
const MAX_TRIES: usize = 8;

/// A laid out folder. While it is held, garbage collection cannot take it away.
#[derive(Debug, Clone)]
pub struct Checkout {
    path: PathBuf,
    /// Holds the store's lock.
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
        let known = Arc::clone(locked(&self.inner.checkouts).entry(key).or_default());
        let mut is_known = locked(&known);
        if !(*is_known && folder.exists()) {
            if !self.is_checkout_whole(&folder, key)? {
                self.make_checkout(layers, &folder, key)?;
            }
            *is_known = true;
            touch(&folder.join("state"));
        }
        Ok(Checkout { path: folder.join("tree"), _store: self.clone() })
    }

    /// The layers of a checkout by its record; `None` when that is broken.
    pub(super) fn checkout_layers(&self, folder: &Path) -> Result<Option<Vec<Digest>>, StoreError> {
        let Some(lines) = self.read_record(&folder.join("state"), FIRST_LINE)? else { return Ok(None) };
        Ok(lines.lines().filter_map(|line| line.strip_prefix("layer ")).map(|text| Digest::parse(text).ok()).collect())
    }

    /// Whether the folder of the checkout with this key holds that one, untouched.
    fn is_checkout_whole(&self, folder: &Path, key: Digest) -> Result<bool, StoreError> {
        let Some(lines) = self.read_record(&folder.join("state"), FIRST_LINE)? else { return Ok(false) };
        let Some(boot) = &self.inner.boot else { return Ok(false) };
        let mut lines = lines.lines();
        for expected in [format!("key {key}"), format!("boot {boot}")] {
            if lines.next() != Some(&expected) {
                return Ok(false);
            }
        }
        Ok(lines.next() == Some(&format!("found {}", state_of(&folder.join("tree"))?)))
    }

    fn make_checkout(&self, layers: &[(RelPath, Digest)], folder: &Path, key: Digest) -> Result<(), StoreError> {
        let merged = self.merged(layers)?;
        let work = self.temporary()?;
        let new = work.path().join("new");
        let root = new.join("tree");
        fs::create_dir_all(&root).map_err(|source| StoreError::io("make", &root, source))?;
        self.lay_out(&merged, &root)?;
        let boot = self.inner.boot.as_deref().unwrap_or("unknown");
        let mut lines = format!("key {key}\nboot {boot}\nfound {}\n", state_of(&root)?);
        for (_, layer) in layers {
            lines.push_str(&format!("layer {layer}\n"));
        }
        let state = new.join("state");
        fs::write(&state, frame(FIRST_LINE, &lines)).map_err(|source| StoreError::io("write", &state, source))?;
        self.place_checkout(&new, folder, key)
    }

    /// Renames a new checkout to its place, unless another process has put a whole one there meanwhile.
    fn place_checkout(&self, new: &Path, folder: &Path, key: Digest) -> Result<(), StoreError> {
        for _ in 0..MAX_TRIES {
            match rename_into(new, folder) {
                Ok(()) => return Ok(()),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
                {
                    if self.is_checkout_whole(folder, key)? {
                        return Ok(());
                    }
                    self.set_aside(folder)?;
                }
                Err(source) => return Err(StoreError::io("make", folder, source)),
            }
        }
        Err(StoreError::io("make", folder, io::Error::other("other processes keep changing it")))
    }

    /// Moves something into `temporary` that another process may still use; where it lies now. It is removed when
    /// the store is opened alone.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let to = self.dir().join("temporary").join(format!("old-{}", self.next_name()));
        match fs::rename(path, &to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::io("move away", path, source)),
            _ => Ok(to),
        }
    }

    /// The layers as one tree.
    fn merged(&self, layers: &[(RelPath, Digest)]) -> Result<Tree, StoreError> {
        let mut trees = Vec::new();
        for (path, digest) in layers {
            let moved = self.tree(*digest)?.moved_to(path).map_err(|source| StoreError::Layer { source })?;
            trees.push((format!("tree {} at `{path}`", digest.short()), moved));
        }
        let layers: Vec<Layer<'_>> = trees.iter().map(|(owner, tree)| Layer { owner, tree, replaces: &[] }).collect();
        merge(&layers).map(|(tree, _)| tree).map_err(|conflicts| StoreError::Conflict { conflicts })
    }

    fn lay_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        let mut folders = vec![root.to_owned()];
        let mut files = Vec::new();
        for (path, entry) in tree.entries() {
            let at = path.on(root);
            let failed = |source| StoreError::io("lay out", &at, source);
            match entry {
                Entry::Directory => {
                    fs::create_dir(&at).map_err(failed)?;
                    folders.push(at);
                }
                Entry::Symlink { target } => {
                    symlink(target, &at).map_err(failed)?;
                    set_time(&at).map_err(failed)?;
                }
                Entry::File { .. } => files.push((path, entry, at)),
            }
        }
        files.par_iter().try_for_each(|(path, entry, at)| self.lay_out_file(path, entry, at))?;
        // Only now: every entry that is made sets the time of its folder.
        for folder in folders {
            fs::set_permissions(&folder, Permissions::from_mode(0o755))
                .and_then(|()| set_time(&folder))
                .map_err(|source| StoreError::io("lay out", &folder, source))?;
        }
        Ok(())
    }

    fn lay_out_file(&self, path: &RelPath, entry: &Entry, at: &Path) -> Result<(), StoreError> {
        let Entry::File { blob, size, executable } = entry else { return Ok(()) };
        let mode = if *executable { ObjectMode::Executable } else { ObjectMode::Plain };
        let object = self.object_path(ObjectId { digest: *blob, mode });
        let mut tries = 0;
        loop {
            let found = match mode {
                ObjectMode::Plain => self.check(*blob)?,
                ObjectMode::Executable => self.check_executable(*blob)?,
            };
            if found != *size {
                return Err(StoreError::WrongSize { path: path.clone(), blob: *blob, expected: *size, found });
            }
            tries += 1;
            match fs::hard_link(&object, at) {
                Ok(()) => return Ok(()),
                // Another process has put the same object in its place meanwhile: a file that has lost its last
                // name cannot be linked.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => {}
                // It has as many names as the file system allows, or may have no second one at all.
                Err(error) if may_copy(&error) => {
                    return copy(&object, at).map_err(|source| StoreError::io("lay out", at, source));
                }
                Err(source) => return Err(StoreError::io("lay out", at, source)),
            }
        }
    }
}

/// What names a checkout: the digest of its list of layers.
fn checkout_key(layers: &[(RelPath, Digest)]) -> Digest {
    let mut text = format!("{FIRST_LINE}\n");
    for (path, digest) in layers {
        text.push_str(&format!("{digest} {}\0", path.as_str()));
    }
    Digest::of(text.as_bytes())
}

fn may_copy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TooManyLinks
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::Unsupported
    )
}

fn copy(object: &Path, at: &Path) -> io::Result<()> {
    fs::copy(object, at)?;
    File::open(at)?.set_modified(object_time())
}

/// Gives a folder or a link the objects' time.
fn set_time(path: &Path) -> io::Result<()> {
    let time = rustix::fs::Timespec { tv_sec: FIXED_TIME.cast_signed(), tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// A digest of what `lstat` says of a folder and everything in it: name, kind, mode, inode, size, time.
fn state_of(root: &Path) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut waiting = vec![root.to_owned()];
    let look = |path: &Path| fs::symlink_metadata(path).map_err(|source| StoreError::io("look at", path, source));
    let mut add = |path: &Path, found: &Metadata| {
        let name = path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes();
        // A folder's size depends on the file system's history, not on what is in it.
        let size = if found.is_dir() { 0 } else { found.size() };
        let line = format!("{:o} {} {size} {}.{}\0", found.mode(), found.ino(), found.mtime(), found.mtime_nsec());
        hasher.update(name).update(b"\0").update(line.as_bytes());
    };
    if !root.exists() {
        return Ok(Digest::of(b""));
    }
    add(root, &look(root)?);
    while let Some(folder) = waiting.pop() {
        for path in list(folder)? {
            let found = look(&path)?;
            add(&path, &found);
            if found.is_dir() {
                waiting.push(path);
            }
        }
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn sample(store: &Store) -> Digest {
        let mut tree = Tree::new();
        let blob = store.put(b"#!/bin/sh\n").unwrap();
        tree.insert(path("bin/tool"), Entry::File { blob, size: 10, executable: true }).unwrap();
        tree.insert(path("bin/text"), Entry::File { blob, size: 10, executable: false }).unwrap();
        tree.insert(path("sbin"), Entry::Symlink { target: "bin".into() }).unwrap();
        store.put_tree(&tree).unwrap()
    }

    #[test]
    fn trees_are_laid_out_merged_without_wall_clock() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let tree = sample(&store);
        let layers = [(RelPath::ROOT, tree), (path("work/src"), tree)];
        let checkout = store.checkout(&layers).unwrap();
        for (at, mode) in [
            ("", 0o755),
            ("bin/tool", 0o555),
            ("bin/text", 0o444),
            ("sbin", 0o777),
            ("work/src/sbin/tool", 0o555),
            ("work", 0o755),
        ] {
            let found = fs::symlink_metadata(checkout.path().join(at)).unwrap();
            assert_eq!((found.mode() & 0o7777, found.mtime()), (mode, 315_619_200), "{at}");
        }
        let text = fs::metadata(checkout.path().join("bin/text")).unwrap();
        let object = store.blob_path(Digest::of(b"#!/bin/sh\n"));
        assert_eq!(text.ino(), fs::metadata(object).unwrap().ino());
    }

    #[test]
    fn a_checkout_is_used_again_until_it_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let layers = [(RelPath::ROOT, sample(&Store::open(dir.path()).unwrap()))];
        let again = || {
            let checkout = Store::open(dir.path()).unwrap().checkout(&layers).unwrap();
            (fs::metadata(checkout.path()).unwrap().ino(), checkout.path().to_owned())
        };
        let (first, root) = again();
        assert_eq!(again().0, first);
        fs::write(root.join("bin/new"), "x").unwrap();
        let (second, _) = again();
        assert_ne!(second, first);
        assert!(!root.join("bin/new").exists());
        assert_eq!(again().0, second);
        fs::remove_file(root.join("bin/text")).unwrap();
        assert_ne!(again().0, second);
        assert!(root.join("bin/text").exists());
        // As after a power cut: the record says another boot.
        let state = root.with_file_name("state");
        let third = again().0;
        let boot = Store::open(dir.path()).unwrap().inner.boot.clone().unwrap();
        let lines = fs::read_to_string(&state).unwrap();
        let lines = super::super::record::unframe(FIRST_LINE, &lines).unwrap().replace(&boot, "earlier");
        fs::write(&state, frame(FIRST_LINE, &lines)).unwrap();
        assert_ne!(again().0, third);
    }

    #[test]
    fn a_checkout_under_the_name_of_another_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path()).unwrap();
        let tree = sample(&open());
        let [one, other] = [path("one"), path("other")].map(|at| [(at, tree)]);
        let [first, second] = [&one, &other].map(|layers| open().checkout(layers).unwrap().path().to_owned());
        let [first, second] = [first, second].map(|root| root.parent().unwrap().to_owned());
        fs::remove_dir_all(&second).unwrap();
        fs::rename(&first, &second).unwrap();
        let checkout = open().checkout(&other).unwrap();
        assert!(checkout.path().join("other/bin/tool").exists());
    }

    #[test]
    fn a_conflict_names_both_layers() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let tree = |text: &str| {
            let mut tree = Tree::new();
            let blob = store.put(text.as_bytes()).unwrap();
            tree.insert(path("etc/x"), Entry::File { blob, size: 1, executable: false }).unwrap();
            store.put_tree(&tree).unwrap()
        };
        let (one, two) = (tree("1"), tree("2"));
        let error = store.checkout(&[(RelPath::ROOT, one), (RelPath::ROOT, two)]).unwrap_err().to_string();
        for part in ["/etc/x", &one.short(), &two.short()] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn threads_that_want_one_checkout_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let stores: Vec<Store> = (0..4).map(|_| Store::open(dir.path()).unwrap()).collect();
        let layers = [(RelPath::ROOT, sample(&stores[0]))];
        let mut paths: Vec<(PathBuf, u64)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    scope.spawn({
                        let (store, layers) = (&stores[number % 4], &layers);
                        move || store.checkout(layers).unwrap().path().to_owned()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .map(|path| (path.clone(), fs::metadata(path).unwrap().ino()))
                .collect()
        });
        paths.dedup();
        assert_eq!(paths.len(), 1);
    }
}
