//! The memo: what the action with a key gave.
//!
//! A record `brc-memo 2` with the line `key KEY` and a line `digest output` per output, sorted by name. Its modification
//! time is its last use. The key is in the record, so that one under the name of another is not believed.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::{Memo, Store, StoreError, record::frame, unfinished::Unfinished};
use crate::content::Digest;

const FIRST_LINE: &str = "brc-memo 2";

impl Memo for Store {
    /// Reads one small file, and makes it the last used one.
    fn look_up(&self, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError> {
        let path = self.shard("memo", key);
        let outcome = self.read_memo(&path, key)?;
        if outcome.is_some() {
            touch(&path);
        }
        Ok(outcome)
    }

    /// Everything that was stored before is on disk afterwards.
    fn remember(&self, key: Digest, outcome: &BTreeMap<String, Digest>) -> Result<(), StoreError> {
        for (name, output) in outcome {
            if name.is_empty() || name.contains(['\n', '\r']) {
                return Err(StoreError::OutputName { name: name.escape_debug().to_string() });
            }
            if !self.blob_path(*output).exists() {
                return Err(StoreError::Missing { digest: *output });
            }
        }
        let mut unfinished = Unfinished::create(self)?;
        unfinished.write(encode(key, outcome).as_bytes())?;
        self.flush()?;
        unfinished.place(&self.shard("memo", key))
    }

    fn forget(&self, key: Digest) -> Result<(), StoreError> {
        let path = self.shard("memo", key);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &path, source)),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// The outcome in the memo file of a key; `None` when it is not there, broken, or that of another key.
    pub(super) fn read_memo(&self, path: &Path, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError> {
        Ok(self.read_record(path, FIRST_LINE)?.and_then(|lines| decode(key, &lines)))
    }
}

/// Sets the modification time to now. It only tells garbage collection what is used, so a failure is no matter.
pub(super) fn touch(path: &Path) {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    let _ = rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty());
}

fn encode(key: Digest, outcome: &BTreeMap<String, Digest>) -> String {
    let lines: String = outcome.iter().map(|(name, digest)| format!("{digest} {name}\n")).collect();
    frame(FIRST_LINE, &format!("key {key}\n{lines}"))
}

fn decode(key: Digest, lines: &str) -> Option<BTreeMap<String, Digest>> {
    lines
        .strip_prefix(&format!("key {key}\n"))?
        .lines()
        .map(|line| {
            let (digest, name) = line.split_once(' ')?;
            Some((name.to_owned(), Digest::parse(digest).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{content::Tree, store::Mend};

    #[test]
    fn the_format_of_a_memo_entry_does_not_change() {
        let outcome = BTreeMap::from([("out".to_owned(), Digest::of(b"1")), ("a b".to_owned(), Digest::of(b"2"))]);
        let key = Digest::of(b"key");
        // A change here is a change of the store's format: it needs a new version in `FIRST_LINE`.
        let golden = "brc-memo 2\n\
            key ff8e2bab3b26e0c127002127905539b47eb421de85d554e15f55a446459b52b4\n\
            813e9b729141e7f385afa0a2d0df3e6c3789e427ffe4aeef566a565bc8f2fe3d a b\n\
            d63bd9a826af91c1fea371965a64e11ee20f13e46b5f52c59901136605b3a487 out\n\
            end 05ec278fe80a6f66e9158a000a55e3722bbff5fb4a6f04a516c3432677790406\n";
        assert_eq!(encode(key, &outcome), golden);
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let path = dir.path().join("entry");
        fs::write(&path, golden).unwrap();
        assert_eq!(store.read_memo(&path, key).unwrap(), Some(outcome));
        assert_eq!(store.read_memo(&path, Digest::of(b"another key")).unwrap(), None);
        fs::write(&path, golden.replace("out", "oat")).unwrap();
        assert_eq!(store.read_memo(&path, key).unwrap(), None);
    }

    #[test]
    fn what_was_remembered_is_recalled_while_its_trees_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(store.recall(key).unwrap(), None);
        let outcome = BTreeMap::from([("out".to_owned(), Tree::new().digest())]);
        assert!(matches!(store.remember(key, &outcome), Err(StoreError::Missing { .. })));
        let tree = store.put_tree(&Tree::new()).unwrap();
        store.remember(key, &outcome).unwrap();
        assert_eq!(store.recall(key).unwrap(), Some(outcome.clone()));
        fs::remove_file(store.blob_path(tree)).unwrap();
        assert_eq!(store.recall(key).unwrap(), None);
        store.put_tree(&Tree::new()).unwrap();
        assert_eq!(store.recall(key).unwrap(), Some(outcome));
        store.forget(key).unwrap();
        store.forget(key).unwrap();
        assert_eq!(store.recall(key).unwrap(), None);
    }

    #[test]
    fn what_is_remembered_under_the_name_of_another_key_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        let tree = store.put_tree(&Tree::new()).unwrap();
        store.remember(key, &BTreeMap::from([("out".to_owned(), tree)])).unwrap();
        let copy = store.shard("memo", other);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(store.shard("memo", key), &copy).unwrap();
        assert_eq!(store.recall(other).unwrap(), None);
        let found = store.verify(Mend::Repair).unwrap();
        assert_eq!((found.unreadable, found.broken.len()), (vec![copy], 0));
        assert!(store.recall(key).unwrap().is_some() && store.verify(Mend::Report).unwrap().is_clean());
    }
}
