//! What is asked of every place that keeps content and outcomes: this store, and caches that many machines share.
//!
//! Source of the shape: the Remote Execution API's content-addressable storage and action cache, which know digests
//! and nothing of folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use super::{Store, StoreError};
use crate::content::Digest;

/// Keeps blobs by the BLAKE3 digest of their bytes.
pub trait Blobs: Send + Sync {
    /// Those of `blobs` that are not kept, asked for together: each question of its own may be a journey.
    ///
    /// # Errors
    /// Those of the place.
    fn missing(&self, blobs: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError>;

    /// Opens a blob. Whoever reads it from another machine computes its digest again.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else those of the place.
    fn open(&self, blob: Digest) -> Result<Box<dyn Read + Send>, StoreError>;

    /// Keeps a blob.
    ///
    /// # Errors
    /// Those of the place.
    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.put_reader(&mut &*bytes).map(|(blob, _)| blob)
    }

    /// Keeps what a reader gives; its digest, computed here, and its size in bytes.
    ///
    /// # Errors
    /// [`StoreError::Input`] when the reader fails, else those of the place.
    fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError>;
}

/// Remembers what actions gave: by key, the digest of the tree of each output.
pub trait Memo: Send + Sync {
    /// What the action with this key gave, whether its trees are kept here or not. What is broken counts as forgotten.
    ///
    /// # Errors
    /// Those of the place.
    fn look_up(&self, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError>;

    /// Remembers what the action with this key gave; the last one counts.
    ///
    /// # Errors
    /// [`StoreError::OutputName`] for a name that is empty or has a line break, [`StoreError::Missing`] for a tree that
    /// is not kept, else those of the place.
    fn remember(&self, key: Digest, outcome: &BTreeMap<String, Digest>) -> Result<(), StoreError>;

    /// Forgets what the action with this key gave. What is not remembered is no error.
    ///
    /// # Errors
    /// Those of the place.
    fn forget(&self, key: Digest) -> Result<(), StoreError>;
}

impl Blobs for Store {
    fn missing(&self, blobs: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError> {
        Ok(blobs.iter().filter(|blob| !self.blob_path(**blob).exists()).copied().collect())
    }

    fn open(&self, blob: Digest) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(self.open_blob(blob)?))
    }

    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        Store::put(self, bytes)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        Store::put_reader(self, reader)
    }
}

impl Store {
    /// What the action with this key gave, if it is remembered and its trees can be had.
    ///
    /// # Errors
    /// The file system's.
    pub fn recall(&self, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError> {
        let Some(outcome) = self.look_up(key)? else { return Ok(None) };
        Ok(self.materialise(&outcome)?.then_some(outcome))
    }

    /// Makes sure that the trees of an outcome lie in this store; whether they do. What a tree is made of is looked at
    /// when it is read, and what is lost then is made again.
    ///
    /// # Errors
    /// The file system's.
    pub fn materialise(&self, outcome: &BTreeMap<String, Digest>) -> Result<bool, StoreError> {
        let trees = outcome.values().copied().collect();
        Ok(self.missing(&trees)?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use super::{super::locked, *};

    /// What keeps everything in the memory of a process: the least that does what is asked.
    #[derive(Default)]
    struct Memory {
        blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
        outcomes: Mutex<BTreeMap<Digest, BTreeMap<String, Digest>>>,
    }

    impl Blobs for Memory {
        fn missing(&self, blobs: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError> {
            let kept = locked(&self.blobs);
            Ok(blobs.iter().filter(|blob| !kept.contains_key(blob)).copied().collect())
        }

        fn open(&self, blob: Digest) -> Result<Box<dyn Read + Send>, StoreError> {
            let bytes = locked(&self.blobs).get(&blob).cloned().ok_or(StoreError::Missing { digest: blob })?;
            Ok(Box::new(io::Cursor::new(bytes)))
        }

        fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map_err(|source| StoreError::Input { source })?;
            let (digest, size) = (Digest::of(&all), all.len() as u64);
            locked(&self.blobs).insert(digest, all);
            Ok((digest, size))
        }
    }

    impl Memo for Memory {
        fn look_up(&self, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError> {
            Ok(locked(&self.outcomes).get(&key).cloned())
        }

        fn remember(&self, key: Digest, outcome: &BTreeMap<String, Digest>) -> Result<(), StoreError> {
            if let Some(name) = outcome.keys().find(|name| name.is_empty() || name.contains(['\n', '\r'])) {
                return Err(StoreError::OutputName { name: name.escape_debug().to_string() });
            }
            if let Some(digest) = self.missing(&outcome.values().copied().collect())?.pop_first() {
                return Err(StoreError::Missing { digest });
            }
            locked(&self.outcomes).insert(key, outcome.clone());
            Ok(())
        }

        fn forget(&self, key: Digest) -> Result<(), StoreError> {
            locked(&self.outcomes).remove(&key);
            Ok(())
        }
    }

    /// A reader that breaks off after some bytes.
    struct Torn;

    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    /// What every place that keeps blobs must do.
    fn keeps_blobs(place: &dyn Blobs) {
        let (long, absent) = (vec![7; 3 << 20], Digest::of(b"absent"));
        let mut kept = BTreeSet::new();
        for bytes in [&b""[..], b"hello", &long] {
            let (blob, size) = place.put_reader(&mut &*bytes).unwrap();
            assert_eq!((blob, size), (Digest::of(bytes), bytes.len() as u64));
            assert_eq!(place.put(bytes).unwrap(), blob, "once more is no error");
            let mut found = Vec::new();
            place.open(blob).unwrap().read_to_end(&mut found).unwrap();
            assert_eq!(found, bytes);
            kept.insert(blob);
        }
        assert_eq!(place.missing(&kept).unwrap(), BTreeSet::new());
        assert_eq!(place.missing(&BTreeSet::new()).unwrap(), BTreeSet::new());
        kept.insert(absent);
        assert_eq!(place.missing(&kept).unwrap(), BTreeSet::from([absent]));
        assert!(matches!(place.open(absent), Err(StoreError::Missing { digest }) if digest == absent));
        assert!(matches!(place.put_reader(&mut (&b"torn"[..]).chain(Torn)), Err(StoreError::Input { .. })));
        assert!(place.missing(&BTreeSet::from([Digest::of(b"torn")])).unwrap().len() == 1, "nothing of it is kept");
    }

    /// What every place that remembers outcomes must do; `blobs` is where their trees are kept.
    fn remembers_outcomes(place: &dyn Memo, blobs: &dyn Blobs) {
        let key = Digest::of(b"key");
        let [first, second] = [&b"first"[..], b"second"].map(|bytes| blobs.put(bytes).unwrap());
        let outcome = |tree: Digest| BTreeMap::from([("out".to_owned(), tree), ("a b".to_owned(), first)]);
        assert_eq!(place.look_up(key).unwrap(), None);
        let absent = Digest::of(b"absent");
        assert!(
            matches!(place.remember(key, &outcome(absent)), Err(StoreError::Missing { digest }) if digest == absent)
        );
        for name in ["", "a\nb", "a\rb"] {
            let refused = place.remember(key, &BTreeMap::from([(name.to_owned(), first)]));
            assert!(matches!(refused, Err(StoreError::OutputName { .. })), "{name:?}");
        }
        assert_eq!(place.look_up(key).unwrap(), None, "what was refused is not remembered");
        for tree in [first, second] {
            place.remember(key, &outcome(tree)).unwrap();
            assert_eq!(place.look_up(key).unwrap(), Some(outcome(tree)), "the last one counts");
        }
        place.remember(Digest::of(b"nothing"), &BTreeMap::new()).unwrap();
        assert_eq!(place.look_up(Digest::of(b"nothing")).unwrap(), Some(BTreeMap::new()));
        assert_eq!(place.look_up(Digest::of(b"other")).unwrap(), None);
        for _ in 0..2 {
            place.forget(key).unwrap();
            assert_eq!(place.look_up(key).unwrap(), None);
        }
    }

    #[test]
    fn every_place_does_what_is_asked_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (store, memory) = (Store::open(dir.path()).unwrap(), Memory::default());
        keeps_blobs(&store);
        keeps_blobs(&memory);
        remembers_outcomes(&store, &store);
        remembers_outcomes(&memory, &memory);
    }
}
