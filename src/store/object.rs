//! Objects: files that are named by the BLAKE3 digest of their bytes.
//!
//! All objects have the same modification time, so that a hard link in a checkout shows no wall clock, and so
//! that a later write to an object is seen at once.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    Store, StoreError,
    check::{digest_of, open_regular, seal},
    locked,
    object_id::{ObjectId, ObjectMode, object_failure},
    unfinished::Unfinished,
};
use crate::content::{Digest, Sha256, Sha256Hasher};

/// The first line of a remembered SHA-256.
const SHA256_FIRST_LINE: &str = "brc-sha256 1";

impl Store {
    /// Stores a blob.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let object = ObjectId { digest, mode: ObjectMode::Plain };
        if !self.has(object)? {
            let mut unfinished = Unfinished::create(self)?;
            unfinished.write(bytes)?;
            self.commit(unfinished, object, bytes.len() as u64)?;
        }
        Ok(digest)
    }

    /// Stores what a reader gives as a blob; its digest and its size in bytes.
    ///
    /// # Errors
    /// [`StoreError::Input`] when the reader fails; else the file system's.
    pub fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let mut unfinished = Unfinished::create(self)?;
        let (digest, size) = digest_of(reader, |bytes| unfinished.write(bytes), |source| StoreError::Input { source })?;
        self.commit_blob(unfinished, digest, size)?;
        Ok((digest, size))
    }

    /// Stores a regular file as a blob; its digest and its size in bytes.
    ///
    /// A file that lies in a folder of [`Store::temporary`] is taken over: it is gone afterwards, also after an
    /// error. Nobody may write to it any more. Any other file is copied, and so is one that has a second name or
    /// extended attributes. A symbolic link is refused.
    ///
    /// # Errors
    /// The file cannot be read, or the file system refuses.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        self.put_file_unless(path, &|| false)
    }

    /// [`Store::put_file`], given up as soon as `is_stopped`, which is asked for every piece of the file.
    ///
    /// # Errors
    /// [`StoreError::Stopped`], else those of [`Store::put_file`].
    pub fn put_file_unless(&self, path: &Path, is_stopped: &dyn Fn() -> bool) -> Result<(Digest, u64), StoreError> {
        let go_on = || if is_stopped() { Err(StoreError::Stopped) } else { Ok(()) };
        let failed = |source| StoreError::io("read", path, source);
        let no_file = || failed(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        let mut file = open_regular(path).map_err(failed)?.ok_or_else(no_file)?;
        let metadata = file.metadata().map_err(failed)?;
        let is_ours = path.starts_with(self.dir().join("temporary"));
        if !is_ours || metadata.nlink() != 1 || has_attributes(&file) {
            let mut unfinished = Unfinished::create(self)?;
            let write = |bytes: &[u8]| go_on().and_then(|()| unfinished.write(bytes));
            let (digest, size) = digest_of(&mut file, write, failed)?;
            self.commit_blob(unfinished, digest, size)?;
            if is_ours {
                fs::remove_file(path).map_err(|source| StoreError::io("remove", path, source))?;
            }
            return Ok((digest, size));
        }
        let (digest, size) = digest_of(&mut file, |_| go_on(), failed)?;
        self.commit_blob(Unfinished::adopt(path.to_owned(), file), digest, size)?;
        Ok((digest, size))
    }

    /// Opens a blob for reading; its bytes are known to be whole.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn open_blob(&self, blob: Digest) -> Result<File, StoreError> {
        self.open_object(ObjectId { digest: blob, mode: ObjectMode::Plain }).map(|(file, _)| file)
    }

    /// Where a blob lies: a file that must not be written. Whether it is there and whole says [`Store::check`].
    pub fn blob_path(&self, blob: Digest) -> PathBuf {
        self.object_path(ObjectId { digest: blob, mode: ObjectMode::Plain })
    }

    /// The bytes of a blob, hashed now.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn read(&self, blob: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(blob);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == blob => Ok(bytes),
            Ok(_) => Err(StoreError::Damaged { digest: blob, path }),
            Err(source) => Err(object_failure(blob, &path, source)),
        }
    }

    /// The SHA-256 digest of a blob, computed the first time and remembered.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn sha256_of(&self, blob: Digest) -> Result<Sha256, StoreError> {
        let path = self.shard("sha256", blob);
        if let Some(lines) = self.read_record(&path, SHA256_FIRST_LINE)?
            && let Some((of, sha256)) = lines.trim_end().split_once(' ')
            && of == blob.to_string()
            && let Ok(known) = Sha256::parse(sha256)
        {
            return Ok(known);
        }
        let object = self.blob_path(blob);
        let failed = |source| object_failure(blob, &object, source);
        let mut file = File::open(&object).map_err(failed)?;
        let mut hasher = Sha256Hasher::default();
        let update = |bytes: &[u8]| {
            hasher.update(bytes);
            Ok(())
        };
        let (digest, _) = digest_of(&mut file, update, failed)?;
        if digest != blob {
            return Err(StoreError::Damaged { digest: blob, path: object });
        }
        let sha256 = hasher.finish();
        self.write_record(&path, SHA256_FIRST_LINE, &format!("{blob} {sha256}\n"))?;
        Ok(sha256)
    }

    pub(super) fn object_path(&self, object: ObjectId) -> PathBuf {
        let mut path = self.shard("objects", object.digest);
        if object.mode == ObjectMode::Executable {
            path.add_extension("x");
        }
        path
    }

    /// Makes the executable copy of a blob unless it is there and whole; its size in bytes.
    pub(super) fn check_executable(&self, blob: Digest) -> Result<u64, StoreError> {
        let object = ObjectId { digest: blob, mode: ObjectMode::Executable };
        if self.has(object)? {
            return self.check_object(object);
        }
        let path = self.blob_path(blob);
        let mut file = self.open_blob(blob)?;
        let mut unfinished = Unfinished::create(self)?;
        let failed = |source| StoreError::io("read", &path, source);
        let (digest, size) = digest_of(&mut file, |bytes| unfinished.write(bytes), failed)?;
        if digest != blob {
            return Err(StoreError::Damaged { digest: blob, path });
        }
        self.commit(unfinished, object, size)?;
        Ok(size)
    }

    /// Gives a finished file its place as a blob, unless that is there and whole.
    fn commit_blob(&self, unfinished: Unfinished, digest: Digest, size: u64) -> Result<(), StoreError> {
        let object = ObjectId { digest, mode: ObjectMode::Plain };
        if self.has(object)? { Ok(()) } else { self.commit(unfinished, object, size) }
    }

    /// Gives a finished file its place. It replaces a damaged one.
    fn commit(&self, mut unfinished: Unfinished, object: ObjectId, size: u64) -> Result<(), StoreError> {
        let path = self.object_path(object);
        // In this order: a hole that becomes part of the file sets its time.
        let sealed = unfinished.close_hole().and_then(|()| seal(unfinished.file(), object.mode));
        sealed.map_err(|source| StoreError::io("write", &path, source))?;
        unfinished.place(&path)?;
        locked(&self.inner.checked).insert(object, size);
        Ok(())
    }
}

/// Whether a file has extended attributes that would show in a checkout (an overlay leaves some).
fn has_attributes(file: &File) -> bool {
    let mut names = [0_u8; 1024];
    match rustix::fs::flistxattr(file, &mut names[..]) {
        Ok(length) => names
            .get(..length)
            .unwrap_or(&names)
            .split(|byte| *byte == 0)
            .any(|name| !name.is_empty() && name != b"security.selinux"),
        Err(rustix::io::Errno::NOTSUP) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let digest = store.put(b"hello").unwrap();
        assert_eq!(store.read(digest).unwrap(), b"hello");
        assert_eq!(store.put_reader(&mut &b"hello"[..]).unwrap(), (digest, 5));
        let mut text = String::new();
        store.open_blob(digest).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        let gone = store.read(Digest::of(b"other"));
        assert!(matches!(gone, Err(StoreError::Missing { .. })));
        let metadata = fs::metadata(store.blob_path(digest)).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o444, 315_619_200));
    }

    #[test]
    fn an_object_that_ends_in_zeros_has_the_time_of_all_objects() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let bytes = [vec![1; 64 << 10], vec![0; 256 << 10]].concat();
        let blob = store.put(&bytes).unwrap();
        let metadata = fs::metadata(store.blob_path(blob)).unwrap();
        assert_eq!((metadata.len(), metadata.mtime()), (bytes.len() as u64, 315_619_200));
        assert_eq!(store.read(blob).unwrap(), bytes);
    }

    #[test]
    fn a_changed_sha256_file_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let digest = store.put(b"hello").unwrap();
        let path = store.shard("sha256", digest);
        assert_eq!(store.sha256_of(digest).unwrap(), Sha256::of(b"hello"));
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(store.sha256_of(digest).unwrap(), Sha256::of(b"hello"));
        fs::write(&path, written.replace(&Sha256::of(b"hello").to_string(), &Sha256::of(b"no").to_string())).unwrap();
        assert_eq!(store.sha256_of(digest).unwrap(), Sha256::of(b"hello"));
        assert_eq!(fs::read_to_string(&path).unwrap(), written);
    }

    #[test]
    fn a_temporary_file_is_taken_over_and_another_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let work = store.temporary().unwrap();
        let mine = work.path().join("mine");
        fs::write(&mine, "mine").unwrap();
        let inode = fs::metadata(&mine).unwrap().ino();
        let (digest, size) = store.put_file(&mine).unwrap();
        assert_eq!((digest, size), (Digest::of(b"mine"), 4));
        assert!(!mine.exists());
        assert_eq!(fs::metadata(store.blob_path(digest)).unwrap().ino(), inode);
        let other = tempfile::NamedTempFile::new().unwrap();
        fs::write(other.path(), "other").unwrap();
        store.put_file(other.path()).unwrap();
        assert!(other.path().exists());
        let twice = work.path().join("twice");
        fs::write(&twice, "twice").unwrap();
        fs::hard_link(&twice, work.path().join("again")).unwrap();
        let (digest, _) = store.put_file(&twice).unwrap();
        fs::write(work.path().join("again"), "other").unwrap();
        assert_eq!(store.read(digest).unwrap(), b"twice");
    }

    #[test]
    fn only_regular_files_are_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let work = store.temporary().unwrap();
        let (link, pipe) = (work.path().join("link"), work.path().join("pipe"));
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [&link, &pipe, &work.path().to_owned(), &work.path().join("nothing")] {
            assert!(matches!(store.put_file(path), Err(StoreError::Io { .. })), "{path:?}");
        }
    }
}
