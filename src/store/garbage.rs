//! Garbage collection: what nothing recent needs goes.
//!
//! A memo entry stays when a root names its key or when it was used lately. What the entries that stay can reach
//! stays; everything else goes, memo entries before objects, so that a kill in between leaves no entry that names
//! what is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Store, StoreError,
    lock::{self, WhenBusy},
    locked,
    reach::Reach,
    remove::remove_all,
    shard::{Member, list},
    usage::{DiskUse, Kind},
};
use crate::content::Digest;

/// Two weeks.
const DEFAULT_AGE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Whether garbage collection removes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// Only tell what would go if nothing else used the store.
    Measure,
    /// Remove it.
    Remove,
}

/// What garbage collection keeps, and how it goes about it.
#[derive(Debug, Clone)]
pub struct GcPolicy {
    /// The time now.
    pub now: SystemTime,
    /// What was used within this time stays even when no root names it.
    pub keep_used_within: Duration,
    /// Whether anything is removed.
    pub mode: GcMode,
    /// What to do while other processes use the store.
    pub when_busy: WhenBusy,
}

/// What garbage collection did, or would do.
#[derive(Debug, Clone, Default)]
pub struct GcReport {
    /// What went.
    pub removed: DiskUse,
    /// What stayed.
    pub kept: DiskUse,
    /// Keys that were forgotten though they should have stayed, because an object is missing or damaged; with it.
    pub broken: BTreeMap<Digest, Digest>,
}

impl GcPolicy {
    /// Removes what no root names and nothing used for 14 days; refuses while other processes use the store.
    pub fn new(now: SystemTime) -> Self {
        GcPolicy { now, keep_used_within: DEFAULT_AGE, mode: GcMode::Remove, when_busy: WhenBusy::Refuse }
    }

    fn is_recent(&self, used: Option<SystemTime>) -> bool {
        // A time that is unknown or in the future (clocks are set back) counts as recent.
        let age = used.and_then(|used| self.now.duration_since(used).ok()).unwrap_or_default();
        age < self.keep_used_within
    }
}

impl Store {
    /// Removes what nothing recent needs.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when this process holds a clone or a checkout of the store, or when another process
    /// uses it and the policy says not to wait; else the file system's.
    pub fn gc(&mut self, policy: &GcPolicy) -> Result<GcReport, StoreError> {
        if policy.mode == GcMode::Measure {
            return Collection::run(self, policy);
        }
        if Arc::get_mut(&mut self.inner).is_none() {
            return Err(StoreError::Busy { processes: vec![std::process::id()] });
        }
        lock::upgrade(&self.inner.lock, self.dir(), policy.when_busy)?;
        let result = Collection::run(self, policy);
        self.forget_tables();
        lock::downgrade(&self.inner.lock, self.dir())?;
        result
    }

    /// Forgets what this process knows of objects and checkouts.
    pub(super) fn forget_tables(&self) {
        locked(&self.inner.checked).clear();
        *locked(&self.inner.trees) = Default::default();
        locked(&self.inner.checkouts).clear();
    }
}

/// One run of garbage collection.
struct Collection<'a> {
    store: &'a Store,
    policy: &'a GcPolicy,
    report: GcReport,
}

impl<'a> Collection<'a> {
    fn run(store: &'a Store, policy: &'a GcPolicy) -> Result<GcReport, StoreError> {
        let before = store.du()?;
        let mut collection = Collection { store, policy, report: GcReport::default() };
        let objects = store.members("objects")?;
        let present = objects.iter().filter(|member| member.suffix.is_empty()).map(|member| member.digest).collect();
        let mut reach = Reach::new(store, &present);
        let keys = collection.sweep_memo(&mut reach)?;
        let reached = reach.objects;
        collection.sweep_checkouts(&reached)?;
        for member in objects {
            let kind = if member.suffix.is_empty() { Kind::Object } else { Kind::Executable };
            collection.sweep_unless(reached.contains(&member.digest), kind, &member.path)?;
        }
        for member in store.members("sha256")? {
            collection.sweep_unless(reached.contains(&member.digest), Kind::Record, &member.path)?;
        }
        for member in store.members("stamps")? {
            collection.sweep_unless(!store.is_stamp_stale(&member.path), Kind::Record, &member.path)?;
        }
        collection.sweep_builds()?;
        collection.sweep_logs(&keys)?;
        collection.sweep_leftovers()?;
        collection.report.kept = before.without(&collection.report.removed);
        Ok(collection.report)
    }

    /// Forgets actions; the keys that stay.
    fn sweep_memo(&mut self, reach: &mut Reach<'_>) -> Result<BTreeSet<Digest>, StoreError> {
        let rooted = self.sweep_roots()?;
        let mut keys = BTreeSet::new();
        for Member { digest: key, path, metadata, .. } in self.store.members("memo")? {
            let wanted = rooted.contains(&key) || self.policy.is_recent(metadata.modified().ok());
            let outcome = self.store.read_memo(&path, key)?;
            let lacking = match &outcome {
                Some(outcome) if wanted => reach.outcome(outcome)?,
                _ => None,
            };
            if let Some(object) = lacking {
                self.report.broken.insert(key, object);
            }
            let stays = wanted && outcome.is_some() && lacking.is_none();
            if stays {
                keys.insert(key);
            }
            self.sweep_unless(stays, Kind::Memo, &path)?;
        }
        Ok(keys)
    }

    /// The keys that roots name. The root of a project that is long gone goes.
    fn sweep_roots(&mut self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut keys = BTreeSet::new();
        for root in self.store.roots()? {
            let stays = root.project.exists() || self.is_used(&root.path);
            self.sweep_unless(stays, Kind::Record, &root.path)?;
            if stays {
                keys.extend(root.keys);
            }
        }
        Ok(keys)
    }

    fn sweep_checkouts(&mut self, reached: &BTreeSet<Digest>) -> Result<(), StoreError> {
        for Member { path, .. } in self.store.members("checkouts")? {
            let layers = self.store.checkout_layers(&path)?;
            let is_reached = layers.is_some_and(|layers| layers.iter().all(|layer| reached.contains(layer)));
            let stays = is_reached && self.is_used(&path.join("state"));
            self.sweep_unless(stays, Kind::Checkout, &path)?;
        }
        Ok(())
    }

    /// What the builds of a project did goes when the project is long gone.
    fn sweep_builds(&mut self) -> Result<(), StoreError> {
        for (folder, project) in self.store.build_folders()? {
            let stays = project.is_some_and(|project| project.exists()) || self.is_used(&folder);
            self.sweep_unless(stays, Kind::Record, &folder)?;
        }
        Ok(())
    }

    fn sweep_logs(&mut self, keys: &BTreeSet<Digest>) -> Result<(), StoreError> {
        for path in list(self.store.dir().join("logs"))? {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_kept = Digest::parse(name).is_ok_and(|key| keys.contains(&key));
            let stays = is_kept || self.is_used(&path);
            self.sweep_unless(stays, Kind::Log, &path)?;
        }
        Ok(())
    }

    fn sweep_leftovers(&mut self) -> Result<(), StoreError> {
        for path in list(self.store.dir().join("failed"))? {
            let stays = self.is_used(&path);
            self.sweep_unless(stays, Kind::Failed, &path)?;
        }
        for kind in [Kind::Damaged, Kind::Temporary] {
            for folder in kind.folders() {
                for path in list(self.store.dir().join(folder))? {
                    self.sweep_unless(false, kind, &path)?;
                }
            }
        }
        Ok(())
    }

    fn is_used(&self, path: &Path) -> bool {
        self.policy.is_recent(fs::symlink_metadata(path).and_then(|found| found.modified()).ok())
    }

    /// Counts a path and removes it, unless it stays.
    fn sweep_unless(&mut self, stays: bool, kind: Kind, path: &Path) -> Result<(), StoreError> {
        if stays {
            return Ok(());
        }
        self.report.removed.add_all(kind, path)?;
        if self.policy.mode == GcMode::Measure {
            return Ok(());
        }
        // A kill while a checkout is removed must not leave half of it in its place.
        let aside = if kind == Kind::Checkout { Some(self.store.set_aside(path)?) } else { None };
        let path = aside.as_deref().unwrap_or(path);
        remove_all(path).map_err(|source| StoreError::io("remove", path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Memo, *};
    use crate::content::{Entry, RelPath, Tree};
    use std::fs::File;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn remember(store: &Store, text: &str) -> (Digest, Digest) {
        let blob = store.put(text.as_bytes()).unwrap();
        store.sha256_of(blob).unwrap();
        let mut tree = Tree::new();
        let entry = |executable| Entry::File { blob, size: text.len() as u64, executable };
        tree.insert(RelPath::new("usr/share/file").unwrap(), entry(false)).unwrap();
        tree.insert(RelPath::new("usr/bin/tool").unwrap(), entry(true)).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        let key = Digest::of(format!("key {text}").as_bytes());
        store.remember(key, &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
        store.checkout(&[(RelPath::ROOT, tree)]).unwrap();
        fs::write(store.log_path(key), text).unwrap();
        (key, tree)
    }

    fn age(store: &Store, days: u32) {
        let then = SystemTime::now() - DAY * days;
        for member in store.members("memo").unwrap() {
            File::open(member.path).unwrap().set_modified(then).unwrap();
        }
        for folder in store.members("checkouts").unwrap() {
            File::open(folder.path.join("state")).unwrap().set_modified(then).unwrap();
        }
        for path in list(store.dir().join("logs")).unwrap() {
            File::open(path).unwrap().set_modified(then).unwrap();
        }
    }

    #[test]
    fn what_no_root_names_and_nothing_used_lately_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store")).unwrap();
        let (rooted, rooted_tree) = remember(&store, "rooted");
        let (old, old_tree) = remember(&store, "old");
        let (used, _) = remember(&store, "used");
        store.keep(dir.path(), "variant", &BTreeSet::from([rooted])).unwrap();
        age(&store, 15);
        store.recall(used).unwrap().unwrap();
        let orphan = store.put(b"nobody remembers this").unwrap();

        let policy = GcPolicy::new(SystemTime::now());
        let measured = store.gc(&GcPolicy { mode: GcMode::Measure, ..policy.clone() }).unwrap();
        assert!(store.blob_path(orphan).exists() && store.blob_path(old_tree).exists());
        let report = store.gc(&policy).unwrap();
        assert_eq!(report.removed, measured.removed);
        assert_eq!(report.kept, measured.kept);
        assert_eq!(report.removed.of(Kind::Memo).count, 1);
        // The orphan; the old blob, its tree object and four folders; the empty list of metadata is shared.
        assert_eq!(report.removed.of(Kind::Object).count, 1 + 1 + 1 + 4);
        assert_eq!(report.removed.of(Kind::Executable).count, 1);
        assert_eq!(report.removed.of(Kind::Log).count, 1);

        assert!(!store.blob_path(orphan).exists() && !store.blob_path(old_tree).exists());
        assert_eq!(store.recall(old).unwrap(), None);
        let kept = store.recall(rooted).unwrap().unwrap();
        assert_eq!(kept["out"], rooted_tree);
        let checkout = store.checkout(&[(RelPath::ROOT, rooted_tree)]).unwrap();
        assert_eq!(fs::read_to_string(checkout.path().join("usr/bin/tool")).unwrap(), "rooted");
        drop(checkout);
        assert!(store.recall(used).unwrap().is_some());
        let again = store.gc(&policy).unwrap();
        assert_eq!(again.removed.of(Kind::Object), Default::default());
        assert!(again.broken.is_empty());
    }

    #[test]
    fn the_root_of_a_project_that_is_gone_protects_nothing_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("store")).unwrap();
        let (key, _) = remember(&store, "text");
        let project = dir.path().join("project");
        fs::create_dir(&project).unwrap();
        store.keep(&project, "variant", &BTreeSet::from([key])).unwrap();
        fs::remove_dir(&project).unwrap();
        age(&store, 15);
        let policy = GcPolicy::new(SystemTime::now());
        store.gc(&policy).unwrap();
        assert!(store.recall(key).unwrap().is_some());
        store.gc(&GcPolicy { now: policy.now + 15 * DAY, ..policy }).unwrap();
        assert!(store.recall(key).unwrap().is_none());
        assert_eq!(store.du().unwrap().of(Kind::Object).count, 0);
    }

    #[test]
    fn garbage_collection_keeps_off_a_store_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (_, tree) = remember(&store, "text");
        let policy = GcPolicy::new(SystemTime::now());
        let checkout = store.checkout(&[(RelPath::ROOT, tree)]).unwrap();
        assert!(matches!(store.gc(&policy), Err(StoreError::Busy { .. })));
        drop(checkout);
        let other = Store::open(dir.path()).unwrap();
        assert!(matches!(store.gc(&policy), Err(StoreError::Busy { .. })));
        drop(other);
        // A process that another test has just forked may hold `other` for a moment.
        store.gc(&GcPolicy { when_busy: WhenBusy::Wait, ..policy }).unwrap();
    }

    #[test]
    fn an_entry_whose_objects_are_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (key, _) = remember(&store, "text");
        let blob = Digest::of(b"text");
        fs::remove_file(store.blob_path(blob)).unwrap();
        let report = store.gc(&GcPolicy::new(SystemTime::now())).unwrap();
        assert_eq!(report.broken, BTreeMap::from([(key, blob)]));
        assert_eq!(store.recall(key).unwrap(), None);
    }
}
