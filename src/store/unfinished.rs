//! Files that are being written: in `temporary` until they are whole, then renamed to where they belong.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use super::{Store, StoreError};

/// Runs of zeros of this many bytes become holes: most of a disk image is empty.
const HOLE_BYTES: usize = 64 * 1024;
static ZEROS: [u8; HOLE_BYTES] = [0; HOLE_BYTES];

/// A file in `temporary` that is removed unless it is given a place.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
    /// Bytes at the end that are a hole so far.
    hole: u64,
    placed: bool,
}

impl Unfinished {
    /// A new empty file (0644 or what the umask leaves of it).
    pub(super) fn create(store: &Store) -> Result<Self, StoreError> {
        let folder = store.dir().join("temporary");
        loop {
            let path = folder.join(store.next_name());
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self::adopt(path, file)),
                // Another process has this name: one in another PID namespace, or a dead one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(StoreError::io("make a file in", &folder, source)),
            }
        }
    }

    /// Takes over a file that is written already.
    pub(super) fn adopt(path: PathBuf, file: File) -> Self {
        Unfinished { path, file, hole: 0, placed: false }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let result = bytes.chunks(HOLE_BYTES).try_for_each(|chunk| {
            if chunk == ZEROS {
                self.hole += chunk.len() as u64;
                self.file.seek(SeekFrom::Current(HOLE_BYTES as i64)).map(drop)
            } else {
                self.hole = 0;
                self.file.write_all(chunk)
            }
        });
        result.map_err(|source| StoreError::io("write", &self.path, source))
    }

    /// Renames the file to where it belongs, over what is there; the folder above is made when it is missing.
    pub(super) fn place(mut self, path: &Path) -> Result<(), StoreError> {
        self.close_hole()
            .and_then(|()| rename_into(&self.path, path))
            .map_err(|source| StoreError::io("write", path, source))?;
        self.placed = true;
        Ok(())
    }

    /// Makes a hole at the end part of the file.
    pub(super) fn close_hole(&mut self) -> io::Result<()> {
        if self.hole > 0 {
            let length = self.file.stream_position()?;
            self.file.set_len(length)?;
            self.hole = 0;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed goes when the store is next opened alone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// A name in `temporary` that this process has not used.
    pub(super) fn next_name(&self) -> String {
        let number = self.inner.next_name.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", std::process::id())
    }
}

/// Renames, and makes the folder above the target when it is missing.
pub(super) fn rename_into(from: &Path, to: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn runs_of_zeros_become_holes_and_are_read_as_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut bytes = vec![0; 40 * HOLE_BYTES];
        bytes[7 * HOLE_BYTES + 5] = 1;
        let (blob, size) = store.put_reader(&mut &bytes[..]).unwrap();
        assert_eq!(size, bytes.len() as u64);
        assert_eq!(store.read(blob).unwrap(), bytes);
        let metadata = fs::metadata(store.blob_path(blob)).unwrap();
        assert!(metadata.blocks() * 512 < size / 4, "{} blocks", metadata.blocks());
    }

    #[test]
    fn what_is_given_up_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        assert!(matches!(store.put_reader(&mut Broken), Err(StoreError::Input { .. })));
        assert_eq!(fs::read_dir(dir.path().join("temporary")).unwrap().count(), 0);
    }
}
