//! How much disk the store takes, by kind.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::FileType;

use super::{Store, StoreError, shard::list, walk::walk};

/// What a file of the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Blobs and tree objects.
    Object,
    /// Executable copies of blobs.
    Executable,
    /// Folders and links of checkouts; their files are objects and counted there.
    Checkout,
    /// What actions gave.
    Memo,
    /// What actions printed.
    Log,
    /// Sandboxes of steps that failed.
    Failed,
    /// Objects that turned out to be damaged.
    Damaged,
    /// Unfinished.
    Temporary,
    /// Remembered SHA-256 digests, stamps, durations, roots, builds and what was published.
    Record,
}

/// A number of files and the disk that they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files, folders and links.
    pub count: u64,
    /// Bytes of disk; holes take none.
    pub bytes: u64,
}

/// The disk that the store takes, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUse(BTreeMap<Kind, Usage>);

impl Kind {
    /// Every kind, in the order in which people want to see them.
    pub const ALL: [Kind; 9] = [
        Kind::Object,
        Kind::Executable,
        Kind::Checkout,
        Kind::Memo,
        Kind::Log,
        Kind::Failed,
        Kind::Damaged,
        Kind::Temporary,
        Kind::Record,
    ];

    /// The folders that hold files of this kind.
    pub(super) fn folders(self) -> &'static [&'static str] {
        match self {
            Kind::Object => &["objects"],
            // They lie beside the objects and are told by their suffix.
            Kind::Executable => &[],
            Kind::Checkout => &["checkouts"],
            Kind::Memo => &["memo"],
            Kind::Log => &["logs"],
            Kind::Failed => &["failed"],
            Kind::Damaged => &["damaged"],
            Kind::Temporary => &["downloads", "temporary"],
            Kind::Record => &["sha256", "stamps", "durations", "roots", "builds", "published"],
        }
    }
}

impl DiskUse {
    /// What files of this kind take.
    pub fn of(&self, kind: Kind) -> Usage {
        self.0.get(&kind).copied().unwrap_or_default()
    }

    /// What all files take.
    pub fn total(&self) -> Usage {
        self.0
            .values()
            .fold(Usage::default(), |sum, one| Usage { count: sum.count + one.count, bytes: sum.bytes + one.bytes })
    }

    /// What is left when `other` is taken away.
    pub(super) fn without(&self, other: &DiskUse) -> DiskUse {
        let left = |(kind, one): (&Kind, &Usage)| {
            let gone = other.of(*kind);
            let (count, bytes) = (one.count.saturating_sub(gone.count), one.bytes.saturating_sub(gone.bytes));
            (*kind, Usage { count, bytes })
        };
        DiskUse(self.0.iter().map(left).collect())
    }

    /// Adds one file, folder or link; disk is counted in blocks of 512 bytes (stat(3type)).
    fn add(&mut self, kind: Kind, blocks: u64) {
        let sum = self.0.entry(kind).or_default();
        sum.count += 1;
        sum.bytes += blocks * 512;
    }

    /// Adds everything at and below a path. A file of a checkout with several names is passed over: it is an object.
    pub(super) fn add_all(&mut self, kind: Kind, path: &Path) -> Result<(), StoreError> {
        let mut add = |found: &rustix::fs::Stat| {
            let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
            if !(kind == Kind::Checkout && is_file && found.st_nlink > 1) {
                self.add(kind, found.st_blocks.try_into().unwrap_or(0));
            }
        };
        walk(path, &mut add).map_err(|source| StoreError::io("look at", path, source))
    }
}

impl Store {
    /// How much disk the store takes.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn du(&self) -> Result<DiskUse, StoreError> {
        let mut sum = DiskUse::default();
        for member in self.members("objects")? {
            sum.add(if member.suffix.is_empty() { Kind::Object } else { Kind::Executable }, member.metadata.blocks());
        }
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Object) {
            for folder in kind.folders() {
                for path in list(self.dir().join(folder))? {
                    sum.add_all(kind, &path)?;
                }
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Memo, *};
    use crate::{
        content::{Digest, Entry, RelPath, Tree},
        store::{
            GcPolicy,
            remove::tests::{in_memory, make_deep},
        },
    };

    #[test]
    fn folders_of_any_depth_and_length_are_counted_and_collected() {
        let dir = in_memory();
        let mut store = Store::open(dir.path()).unwrap();
        make_deep(&store.failed_dir("step"), 20_000, 1);
        make_deep(&dir.path().join("temporary/left"), 100, 250);
        let used = store.du().unwrap();
        assert_eq!(used.of(Kind::Failed).count, 1 + 2 * 20_000);
        assert_eq!(used.of(Kind::Temporary).count, 1 + 2 * 100);
        let mut policy = GcPolicy::new(std::time::SystemTime::now());
        policy.keep_used_within = std::time::Duration::ZERO;
        let removed = store.gc(&policy).unwrap().removed;
        assert_eq!(
            (removed.of(Kind::Failed), removed.of(Kind::Temporary)),
            (used.of(Kind::Failed), used.of(Kind::Temporary))
        );
        assert_eq!(store.du().unwrap().of(Kind::Failed).count, 0);
    }

    #[test]
    fn disk_use_is_told_by_kind_and_links_are_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bytes = vec![1; 100_000];
        let blob = store.put(&bytes).unwrap();
        let mut tree = Tree::new();
        let entry = |executable| Entry::File { blob, size: 100_000, executable };
        tree.insert(RelPath::new("a").unwrap(), entry(false)).unwrap();
        tree.insert(RelPath::new("b").unwrap(), entry(true)).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        store.remember(Digest::of(b"key"), &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
        store.checkout(&[(RelPath::ROOT, tree)]).unwrap();
        fs::write(store.log_path(Digest::of(b"key")), "hello").unwrap();
        let used = store.du().unwrap();
        assert_eq!(used.of(Kind::Object).count, 4);
        assert!((100_000..200_000).contains(&used.of(Kind::Object).bytes));
        assert_eq!(used.of(Kind::Executable).count, 1);
        assert!(used.of(Kind::Checkout).bytes < 50_000);
        assert_eq!(used.of(Kind::Log).count, 1);
        assert_eq!(used.total().count, Kind::ALL.iter().map(|kind| used.of(*kind).count).sum::<u64>());
    }
}
