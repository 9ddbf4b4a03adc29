//! Stamps: what a file outside the store holds, known without reading it as long as it was not touched.
//!
//! A record `brc-stamp 1` in `stamps`, named by the digest of the file's path, with one line
//! `digest size mtime-ns ctime-ns device inode path`.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

use super::{
    Store, StoreError,
    memo::touch,
    name::{path_word, word_path},
};
use crate::content::Digest;

const FIRST_LINE: &str = "brc-stamp 1";
/// The kernel moves file times in steps of its tick, at most 10 ms: what was changed less than this before its
/// stamp was written could have been changed again within the same step.
const TICK: Duration = Duration::from_millis(20);

impl Store {
    /// The digest that [`Store::remember_stamp`] was told for this file; `None` when the file was changed,
    /// replaced or touched since, or is not there.
    ///
    /// # Errors
    /// The file system's.
    pub fn stamp_of(&self, path: &Path) -> Result<Option<Digest>, StoreError> {
        let Ok(path) = path.canonicalize() else { return Ok(None) };
        let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
        let record = self.stamp_path(&path);
        let Some(lines) = self.read_record(&record, FIRST_LINE)? else { return Ok(None) };
        let Some((digest, rest)) = lines.split_once(' ') else { return Ok(None) };
        if rest != line_of(&metadata, &path) || !is_settled(&record, &metadata) {
            return Ok(None);
        }
        Ok(Digest::parse(digest).ok())
    }

    /// Remembers what a file holds. The caller has computed `digest` from the bytes that it wrote or read, and
    /// nobody has written the file since. Takes up to 40 ms for a file that was written just now.
    ///
    /// # Errors
    /// The file cannot be looked at, or the file system refuses.
    pub fn remember_stamp(&self, path: &Path, digest: Digest) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("look at", path, source);
        let path = path.canonicalize().map_err(failed)?;
        let metadata = fs::metadata(&path).map_err(failed)?;
        let record = self.stamp_path(&path);
        self.write_record(&record, FIRST_LINE, &format!("{digest} {}", line_of(&metadata, &path)))?;
        if !is_settled(&record, &metadata) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the kernel's file times move in steps; the next one is waited for"
            )]
            thread::sleep(2 * TICK);
            touch(&record);
        }
        Ok(())
    }

    /// Whether the file that a stamp is about is gone.
    pub(super) fn is_stamp_stale(&self, record: &Path) -> bool {
        let Ok(Some(lines)) = self.read_record(record, FIRST_LINE) else { return true };
        let word = lines.trim_end().rsplit(' ').next().unwrap_or_default();
        !word_path(word).is_some_and(|path| path.exists())
    }

    fn stamp_path(&self, path: &Path) -> std::path::PathBuf {
        self.shard("stamps", Digest::of(path.as_os_str().as_encoded_bytes()))
    }
}

fn line_of(file: &Metadata, path: &Path) -> String {
    format!(
        "{} {}.{:09} {}.{:09} {} {} {}\n",
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
        file.dev(),
        file.ino(),
        path_word(path)
    )
}

/// Whether the record was written clearly later than the file was changed.
fn is_settled(record: &Path, file: &Metadata) -> bool {
    let Ok(written) = fs::metadata(record) else { return false };
    let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let gap = time(written.mtime(), written.mtime_nsec()) - time(file.ctime(), file.ctime_nsec());
    gap >= TICK.as_nanos().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_is_known_and_a_changed_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let file = dir.path().join("image raw");
        let digest = Digest::of(b"one");
        fs::write(&file, "one").unwrap();
        assert_eq!(store.stamp_of(&file).unwrap(), None);
        store.remember_stamp(&file, digest).unwrap();
        assert_eq!(store.stamp_of(&file).unwrap(), Some(digest));
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "two").unwrap();
        assert_eq!(store.stamp_of(&file).unwrap(), None);
        // Setting the time back does not hide the change: the change time is the kernel's.
        fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
        assert_eq!(store.stamp_of(&file).unwrap(), None);
        let record = store.stamp_path(&file.canonicalize().unwrap());
        assert!(!store.is_stamp_stale(&record));
        fs::remove_file(&file).unwrap();
        assert_eq!(store.stamp_of(&file).unwrap(), None);
        assert!(store.is_stamp_stale(&record));
        assert!(store.remember_stamp(&file, digest).is_err());
    }
}
