//! The memo: what the action with a key gave.
//!
//! A file with the line `brc-memo 1`, a line `digest output` per output sorted by name, and a line
//! `end digest` with the BLAKE3 of everything before it.

use std::{collections::BTreeMap, fs, io};

use super::{Store, StoreError, object::Unfinished};
use crate::content::Digest;

const FIRST_LINE: &str = "brc-memo 1";

impl Store {
    /// What the action with this key gave, if it is remembered and its trees are still there.
    ///
    /// An entry that cannot be read counts as forgotten.
    ///
    /// # Errors
    /// The file system's.
    pub fn recall(&self, key: Digest) -> Result<Option<BTreeMap<String, Digest>>, StoreError> {
        let path = self.shard("memo", key);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                return Ok(None);
            }
            Err(source) => return Err(StoreError::io("read", &path, source)),
        };
        let Some(outcome) = decode(&text) else { return Ok(None) };
        if !outcome.values().all(|output| self.blob_path(*output).exists()) {
            return Ok(None);
        }
        Ok(Some(outcome))
    }

    /// Remembers what the action with this key gave. Everything that was stored before is on disk afterwards.
    ///
    /// # Errors
    /// [`StoreError::OutputName`]; else the file system's.
    pub fn remember(&self, key: Digest, outcome: &BTreeMap<String, Digest>) -> Result<(), StoreError> {
        if let Some(name) = outcome.keys().find(|name| name.is_empty() || name.contains(['\n', '\r'])) {
            return Err(StoreError::OutputName { name: name.escape_debug().to_string() });
        }
        let mut unfinished = Unfinished::create(self)?;
        unfinished.write(encode(outcome).as_bytes())?;
        rustix::fs::syncfs(&self.inner.lock)
            .map_err(|error| StoreError::io("flush the file system of", self.dir(), error.into()))?;
        unfinished.place(&self.shard("memo", key))
    }
}

fn encode(outcome: &BTreeMap<String, Digest>) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for (name, digest) in outcome {
        text.push_str(&format!("{digest} {name}\n"));
    }
    let end = Digest::of(text.as_bytes());
    text.push_str(&format!("end {end}\n"));
    text
}

fn decode(text: &str) -> Option<BTreeMap<String, Digest>> {
    let (body, end) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = format!("{body}\n");
    if end.strip_prefix("end ")? != Digest::of(body.as_bytes()).to_string() {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    lines
        .map(|line| {
            let (digest, name) = line.split_once(' ')?;
            Some((name.to_owned(), Digest::parse(digest).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_memo_entry_does_not_change() {
        let outcome = BTreeMap::from([("out".to_owned(), Digest::of(b"1")), ("a b".to_owned(), Digest::of(b"2"))]);
        let text = encode(&outcome);
        // A change here is a change of the store's format: it needs a new version in `FIRST_LINE`.
        let golden = "brc-memo 1\n\
            813e9b729141e7f385afa0a2d0df3e6c3789e427ffe4aeef566a565bc8f2fe3d a b\n\
            d63bd9a826af91c1fea371965a64e11ee20f13e46b5f52c59901136605b3a487 out\n\
            end a35da8aaf4ab8cac3f2262158d5af01b8727f74c06d9418a43216fc50434b3fd\n";
        assert_eq!(text, golden);
        assert_eq!(decode(&text), Some(outcome));
        assert_eq!(decode(&text.replace("out", "oat")), None);
        assert_eq!(decode(&text[..text.len() - 1]), None);
        assert_eq!(decode(""), None);
    }

    #[test]
    fn what_was_remembered_is_recalled_while_its_trees_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(store.recall(key).unwrap(), None);
        let tree = store.put_tree(&crate::content::Tree::new()).unwrap();
        let outcome = BTreeMap::from([("out".to_owned(), tree)]);
        store.remember(key, &outcome).unwrap();
        assert_eq!(store.recall(key).unwrap(), Some(outcome));
        fs::remove_file(store.blob_path(tree)).unwrap();
        assert_eq!(store.recall(key).unwrap(), None);
    }
}
