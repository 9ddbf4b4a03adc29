//! Which of several processes performs an action that all of them want: one at a time.
//!
//! `flock(2)` on `temporary/<key>.claim`: the kernel lets go of it when a process ends, however it ends.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Store, StoreError};
use crate::content::Digest;

/// The right to perform an action; it ends when this is dropped.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Held locked.
    _file: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Where it stays, the next claim takes it over, and the next process alone with the store removes it.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Claims the action with this key; `None` while somebody else has it.
    ///
    /// # Errors
    /// A file that cannot be made or locked.
    pub fn claim(&self, key: Digest) -> Result<Option<Claim>, StoreError> {
        let path = self.dir().join("temporary").join(format!("{key}.claim"));
        let failed = |source| StoreError::io("lock", &path, source);
        loop {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_still(&file, &path) => return Ok(Some(Claim { path, _file: file })),
                // Whoever had it has removed it since it was opened.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

/// Whether a file that was opened is the one at `path`, which another process may have removed or made anew since.
pub fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_performs_an_action() {
        let dir = tempfile::tempdir().unwrap();
        let (performing, performed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let key = Digest::of(b"an action");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let store = Store::open(dir.path()).unwrap();
                    while performed.load(Ordering::SeqCst) < 200 {
                        let Some(claim) = store.claim(key).unwrap() else { continue };
                        assert_eq!(performing.fetch_add(1, Ordering::SeqCst), 0);
                        assert!(store.claim(key).unwrap().is_none());
                        performed.fetch_add(1, Ordering::SeqCst);
                        performing.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    }
                });
            }
        });
        let store = Store::open(dir.path()).unwrap();
        let _one = store.claim(key).unwrap().unwrap();
        assert!(store.claim(Digest::of(b"another action")).unwrap().is_some());
    }
}
