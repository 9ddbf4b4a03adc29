//! Objects: files that are named by the BLAKE3 digest of their bytes.
//!
//! All objects have the same modification time (1980-01-02, the first that every archive format can hold), so
//! that a hard link in a checkout shows no wall clock, and so that a later write to an object is seen at once.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use super::{Store, StoreError, locked};
use crate::content::{Digest, Sha256, Sha256Hasher};

/// Seconds since 1970 that every object has as its modification time: 1980-01-02T00:00:00Z.
const OBJECT_TIME_SECONDS: u64 = 315_619_200;
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// An object file: the plain one, or its executable twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectId {
    pub digest: Digest,
    pub mode: ObjectMode,
}

/// The permissions of an object file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectMode {
    /// 0444
    Plain,
    /// 0555
    Executable,
}

impl ObjectMode {
    fn bits(self) -> u32 {
        match self {
            ObjectMode::Plain => 0o444,
            ObjectMode::Executable => 0o555,
        }
    }
}

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
        let object = ObjectId { digest, mode: ObjectMode::Plain };
        if !self.has(object)? {
            self.commit(unfinished, object, size)?;
        }
        Ok((digest, size))
    }

    /// Stores a regular file as a blob; its digest and its size in bytes.
    ///
    /// A file that lies in a folder of [`Store::temporary`] is taken over: it is gone afterwards. Nobody may
    /// write to it any more. Any other file is copied. A symbolic link is refused.
    ///
    /// # Errors
    /// [`StoreError::Input`] when the file cannot be read; else the file system's.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let input = |source| StoreError::Input { source };
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut file = File::options().read(true).custom_flags(no_follow).open(path).map_err(input)?;
        let metadata = file.metadata().map_err(input)?;
        if !metadata.is_file() {
            return Err(input(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
        }
        if !path.starts_with(self.dir().join("temporary")) || metadata.nlink() != 1 || has_attributes(&file) {
            return self.put_reader(&mut file);
        }
        let (digest, size) = digest_of(&mut file, |_| Ok(()), input)?;
        let object = ObjectId { digest, mode: ObjectMode::Plain };
        let unfinished = Unfinished { path: path.to_owned(), file, committed: false };
        if !self.has(object)? {
            self.commit(unfinished, object, size)?;
        }
        Ok((digest, size))
    }

    /// Opens a blob for reading; its bytes are known to be whole.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn open_blob(&self, blob: Digest) -> Result<File, StoreError> {
        self.check(blob)?;
        let path = self.blob_path(blob);
        File::open(&path).map_err(|source| StoreError::io("open", &path, source))
    }

    /// Where a blob lies: a file that must not be written. Its bytes are not checked: see [`Store::check`].
    pub fn blob_path(&self, blob: Digest) -> PathBuf {
        self.object_path(ObjectId { digest: blob, mode: ObjectMode::Plain })
    }

    /// Makes sure that a blob is there and whole; its size in bytes.
    ///
    /// The first call in a process hashes it, later ones look whether it was written since.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn check(&self, blob: Digest) -> Result<u64, StoreError> {
        self.check_object(ObjectId { digest: blob, mode: ObjectMode::Plain })
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn read(&self, blob: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(blob);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == blob => Ok(bytes),
            Ok(_) => Err(StoreError::Damaged { digest: blob, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Missing { digest: blob }),
            Err(source) => Err(StoreError::io("read", &path, source)),
        }
    }

    /// The SHA-256 digest of a blob, computed the first time and remembered.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn sha256_of(&self, blob: Digest) -> Result<Sha256, StoreError> {
        let path = self.shard("sha256", blob);
        if let Ok(text) = fs::read_to_string(&path)
            && let Ok(known) = Sha256::parse(text.trim_end())
        {
            return Ok(known);
        }
        let mut file = self.open_blob(blob)?;
        let mut hasher = Sha256Hasher::default();
        let object = self.blob_path(blob);
        let failed = |source| StoreError::io("read", &object, source);
        let (digest, _) = digest_of(&mut file, |bytes| Ok(hasher.update(bytes)), failed)?;
        if digest != blob {
            return Err(StoreError::Damaged { digest: blob, path: object });
        }
        let sha256 = hasher.finish();
        self.write_small(&path, format!("{sha256}\n").as_bytes())?;
        Ok(sha256)
    }

    pub(super) fn object_path(&self, object: ObjectId) -> PathBuf {
        let mut path = self.shard("objects", object.digest);
        if object.mode == ObjectMode::Executable {
            path.add_extension("x");
        }
        path
    }

    /// Makes sure that an object file is there and whole; its size in bytes.
    pub(super) fn check_object(&self, object: ObjectId) -> Result<u64, StoreError> {
        let path = self.object_path(object);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { digest: object.digest },
            _ => StoreError::io("read", &path, source),
        };
        let damaged = || StoreError::Damaged { digest: object.digest, path: path.clone() };
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(damaged());
        }
        let known = locked(&self.inner.checked).get(&object).copied();
        if known == Some(metadata.len()) && is_untouched(&metadata, object.mode) {
            return Ok(metadata.len());
        }
        let mut file = File::open(&path).map_err(failed)?;
        let (digest, size) = digest_of(&mut file, |_| Ok(()), failed)?;
        if digest != object.digest {
            return Err(damaged());
        }
        if !is_untouched(&metadata, object.mode) {
            seal(&file, object.mode).map_err(|source| StoreError::io("seal", &path, source))?;
        }
        locked(&self.inner.checked).insert(object, size);
        Ok(size)
    }

    /// Makes the executable twin of a blob unless it is there and whole.
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

    /// Whether an object is there and whole. A damaged one counts as not there, so that it is written anew.
    fn has(&self, object: ObjectId) -> Result<bool, StoreError> {
        match self.check_object(object) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a finished file its place. It replaces a damaged one.
    fn commit(&self, mut unfinished: Unfinished, object: ObjectId, size: u64) -> Result<(), StoreError> {
        let path = self.object_path(object);
        let failed = |source| StoreError::io("write", &path, source);
        seal(&unfinished.file, object.mode).map_err(failed)?;
        rename_into(&unfinished.path, &path).map_err(failed)?;
        unfinished.committed = true;
        locked(&self.inner.checked).insert(object, size);
        Ok(())
    }

    /// Writes a small file that is not an object: whole or not at all.
    pub(super) fn write_small(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut unfinished = Unfinished::create(self)?;
        unfinished.write(bytes)?;
        unfinished.place(path)
    }
}

/// A file in `temporary` that is removed unless it is given a place.
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
    committed: bool,
}

impl Unfinished {
    pub(super) fn create(store: &Store) -> Result<Self, StoreError> {
        let folder = store.dir().join("temporary");
        loop {
            let number = store.inner.next_name.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", std::process::id()));
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Unfinished { path, file, committed: false }),
                // Another process has this name: one in another PID namespace, or a dead one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(StoreError::io("make a file in", &folder, source)),
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|source| StoreError::io("write", &self.path, source))
    }

    /// Renames the file to where it belongs.
    pub(super) fn place(mut self, path: &Path) -> Result<(), StoreError> {
        rename_into(&self.path, path).map_err(|source| StoreError::io("write", path, source))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed goes when the store is next opened alone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames, and makes the folder above the target when it is missing.
fn rename_into(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(from, to)
        }
        other => other,
    }
}

fn object_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(OBJECT_TIME_SECONDS)
}

/// Gives a file the mode and the time of an object.
fn seal(file: &File, mode: ObjectMode) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode.bits()))?;
    file.set_modified(object_time())
}

/// Whether a file still has the mode and time that [`seal`] gave it, so was not written since.
fn is_untouched(metadata: &fs::Metadata, mode: ObjectMode) -> bool {
    metadata.modified().is_ok_and(|time| time == object_time()) && metadata.mode() & 0o7777 == mode.bits()
}

/// Whether a file has extended attributes that would show in a checkout (an overlay leaves some).
fn has_attributes(file: &File) -> bool {
    let mut names = [0_u8; 1024];
    match rustix::fs::flistxattr(file, &mut names) {
        Ok(length) => {
            names[..length].split(|byte| *byte == 0).any(|name| !name.is_empty() && name != b"security.selinux")
        }
        Err(rustix::io::Errno::NOTSUP) => false,
        Err(_) => true,
    }
}

/// Reads to the end; the digest and the number of bytes. `each` gets every piece.
pub(super) fn digest_of(
    reader: &mut (impl Read + ?Sized),
    mut each: impl FnMut(&[u8]) -> Result<(), StoreError>,
    failed: impl Fn(io::Error) -> StoreError,
) -> Result<(Digest, u64), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), size)),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or(&buffer);
                hasher.update(bytes);
                each(bytes)?;
                size += bytes.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
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
        assert_eq!(store.sha256_of(digest).unwrap(), Sha256::of(b"hello"));
        assert_eq!(store.sha256_of(digest).unwrap(), Sha256::of(b"hello"));
        let gone = store.read(Digest::of(b"other"));
        assert!(matches!(gone, Err(StoreError::Missing { .. })));
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
        let link = work.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(store.put_file(&link), Err(StoreError::Input { .. })));
    }
}
