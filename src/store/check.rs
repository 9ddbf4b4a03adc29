//! Whether objects are whole.
//!
//! A process hashes every object before it hands it out for the first time. Later in the same process the size,
//! the mode and the modification time must be what they were; any write changes the time.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata, Permissions},
    io::{self, Read, Seek},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::{fs::OFlags, io::Errno};

use super::{
    Store, StoreError, locked,
    object_id::{ObjectId, ObjectMode, object_failure},
};
use crate::content::{Digest, Entry, FIXED_TIME, Tree};

/// Bytes that are read first, enough for most files of a tree.
const FIRST_CHUNK_BYTES: usize = 16 * 1024;
/// Bytes that are read at a time from longer ones.
const CHUNK_BYTES: usize = 256 * 1024;

/// Objects that this process has hashed, with their sizes in bytes.
pub(super) type Checked = BTreeMap<ObjectId, u64>;

impl Store {
    /// Makes sure that a blob is there and whole; its size in bytes.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], else the file system's.
    pub fn check(&self, blob: Digest) -> Result<u64, StoreError> {
        self.check_object(ObjectId { digest: blob, mode: ObjectMode::Plain })
    }

    /// Makes sure that an object file is there and whole; its size in bytes.
    pub(super) fn check_object(&self, object: ObjectId) -> Result<u64, StoreError> {
        let path = self.object_path(object);
        let found = fs::symlink_metadata(&path).map_err(|source| object_failure(object.digest, &path, source))?;
        if self.is_known(object, &found) {
            return Ok(found.len());
        }
        self.open_object(object).map(|(_, size)| size)
    }

    /// Opens an object file that is known to be whole, at its begin; its size in bytes.
    pub(super) fn open_object(&self, object: ObjectId) -> Result<(File, u64), StoreError> {
        let path = self.object_path(object);
        let failed = |source| object_failure(object.digest, &path, source);
        let damaged = || StoreError::Damaged { digest: object.digest, path: path.clone() };
        let mut file = open_regular(&path).map_err(failed)?.ok_or_else(damaged)?;
        let found = file.metadata().map_err(failed)?;
        if self.is_known(object, &found) {
            return Ok((file, found.len()));
        }
        let (digest, size) = digest_of(&mut file, |_| Ok(()), failed)?;
        if digest != object.digest {
            return Err(damaged());
        }
        if !is_sealed(&found, object.mode) {
            // Somebody copied the store without times. Where this fails the object is hashed again each time.
            let _ = seal(&file, object.mode);
        }
        locked(&self.inner.checked).insert(object, size);
        file.rewind().map_err(failed)?;
        Ok((file, size))
    }

    /// Whether this process has hashed an object, and nobody has written it since.
    fn is_known(&self, object: ObjectId, found: &Metadata) -> bool {
        let size = locked(&self.inner.checked).get(&object).copied();
        found.is_file() && size == Some(found.len()) && is_sealed(found, object.mode)
    }

    /// Whether an object is there and whole. A damaged one counts as not there, so that it is written anew.
    pub(super) fn has(&self, object: ObjectId) -> Result<bool, StoreError> {
        match self.check_object(object) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that every file of a tree is there with the size that the tree says. Nothing is hashed.
    pub(super) fn check_sizes(&self, tree: &Tree) -> Result<(), StoreError> {
        for (path, entry) in tree.entries() {
            let Entry::File { blob, size, .. } = entry else { continue };
            let at = self.blob_path(*blob);
            match fs::symlink_metadata(&at) {
                Ok(metadata) if metadata.len() == *size => {}
                Ok(metadata) => {
                    return Err(StoreError::WrongSize {
                        path: path.clone(),
                        blob: *blob,
                        expected: *size,
                        found: metadata.len(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoreError::Missing { digest: *blob });
                }
                Err(source) => return Err(StoreError::io("look at", &at, source)),
            }
        }
        Ok(())
    }
}

/// The modification time of every object.
pub(super) fn object_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(FIXED_TIME)
}

/// Gives a file the mode and the time of an object.
pub(super) fn seal(file: &File, mode: ObjectMode) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode.bits()))?;
    file.set_modified(object_time())
}

/// Whether a file still has the mode and time that [`seal`] gave it, so was not written since.
fn is_sealed(metadata: &Metadata, mode: ObjectMode) -> bool {
    metadata.modified().is_ok_and(|time| time == object_time()) && metadata.mode() & 0o7777 == mode.bits()
}

/// Opens a file for reading without following a link and without waiting for a pipe; `None` when it is no file.
pub(super) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        // A link, or a socket.
        Err(error) if [Errno::LOOP, Errno::NXIO].iter().any(|no| error.raw_os_error() == Some(no.raw_os_error())) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads to the end; the digest and the number of bytes. `each` gets every piece.
pub(super) fn digest_of(
    reader: &mut (impl Read + ?Sized),
    mut each: impl FnMut(&[u8]) -> Result<(), StoreError>,
    failed: impl Fn(io::Error) -> StoreError,
) -> Result<(Digest, u64), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; FIRST_CHUNK_BYTES];
    let mut size = 0;
    loop {
        let length = fill(reader, &mut buffer).map_err(&failed)?;
        let bytes = buffer.get(..length).unwrap_or(&buffer);
        hasher.update(bytes);
        each(bytes)?;
        size += bytes.len() as u64;
        if length < buffer.len() {
            return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), size));
        }
        buffer.resize(CHUNK_BYTES, 0);
    }
}

/// Reads until the buffer is full or the end is reached; the number of bytes.
fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(more) => length += more.min(rest.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::{super::Mend, *};
    use crate::content::RelPath;

    /// Changes one bit of an object as a program that ignores its mode would.
    fn flip(path: &Path) {
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
    }

    #[test]
    fn a_flipped_bit_is_noticed_before_it_is_built_upon() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let blob = store.put(b"precious").unwrap();
        let mut tree = Tree::new();
        let entry = Entry::File { blob, size: 8, executable: true };
        tree.insert(RelPath::new("a").unwrap(), entry).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        flip(&store.blob_path(blob));
        let other = Store::open(dir.path()).unwrap();
        for store in [&store, &other] {
            assert!(matches!(store.read(blob), Err(StoreError::Damaged { digest, .. }) if digest == blob));
            assert!(matches!(store.open_blob(blob), Err(StoreError::Damaged { .. })));
            assert!(matches!(store.sha256_of(blob), Err(StoreError::Damaged { .. })));
            let checkout = store.checkout(&[(RelPath::ROOT, tree)]);
            assert!(matches!(checkout, Err(StoreError::Damaged { .. })));
        }
        // Who builds it again mends it.
        assert_eq!(store.put(b"precious").unwrap(), blob);
        assert_eq!(other.read(blob).unwrap(), b"precious");
        assert!(other.checkout(&[(RelPath::ROOT, tree)]).is_ok());
    }

    #[test]
    fn a_bit_that_flips_without_a_write_is_noticed_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let blob = store.put(b"precious").unwrap();
        let path = store.blob_path(blob);
        flip(&path);
        File::open(&path).unwrap().set_modified(object_time()).unwrap();
        let other = Store::open(dir.path()).unwrap();
        assert!(matches!(other.check(blob), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn an_object_that_became_a_link_or_a_folder_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (one, two) = (store.put(b"one").unwrap(), store.put(b"two").unwrap());
        let other = dir.path().join("other");
        fs::write(&other, "one").unwrap();
        fs::remove_file(store.blob_path(one)).unwrap();
        std::os::unix::fs::symlink(&other, store.blob_path(one)).unwrap();
        fs::remove_file(store.blob_path(two)).unwrap();
        fs::create_dir(store.blob_path(two)).unwrap();
        for blob in [one, two] {
            assert!(matches!(store.check(blob), Err(StoreError::Damaged { .. })));
            assert!(matches!(store.open_blob(blob), Err(StoreError::Damaged { .. })));
        }
        assert_eq!(store.verify(Mend::Repair).unwrap().damaged.len(), 2);
        assert_eq!(store.put(b"two").unwrap(), two);
        assert_eq!(store.read(two).unwrap(), b"two");
    }

    #[test]
    fn a_reader_that_gives_little_at_a_time_is_read_to_its_end() {
        struct Slow(usize);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = buffer.len().min(self.0).min(1000);
                buffer[..length].fill(b'x');
                self.0 -= length;
                Ok(length)
            }
        }
        for size in [0, 1, FIRST_CHUNK_BYTES, CHUNK_BYTES + FIRST_CHUNK_BYTES, 600_001] {
            let mut pieces = Vec::new();
            let each = |bytes: &[u8]| {
                pieces.extend_from_slice(bytes);
                Ok(())
            };
            let found = digest_of(&mut Slow(size), each, |source| StoreError::Input { source }).unwrap();
            assert_eq!(found, (Digest::of(&vec![b'x'; size]), size as u64));
            assert_eq!(pieces.len(), size);
        }
    }

    #[test]
    fn a_tree_of_blobs_that_are_not_stored_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let blob = store.put(b"four").unwrap();
        for (blob, size) in [(blob, 5), (Digest::of(b"other"), 5)] {
            let mut tree = Tree::new();
            let entry = Entry::File { blob, size, executable: false };
            tree.insert(RelPath::new("a").unwrap(), entry).unwrap();
            let refused = store.put_tree(&tree).unwrap_err();
            assert!(matches!(refused, StoreError::WrongSize { .. } | StoreError::Missing { .. }), "{refused}");
        }
    }
}
