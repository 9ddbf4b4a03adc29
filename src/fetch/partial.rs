//! What is there of a file so far: `downloads/<SHA-256>`, which a later run finds again.
//!
//! Beside it stands `<SHA-256>.from`: the place that the bytes came from and what it calls their version, one a
//! line. A file without a stated digest has no name and is gone with its process.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{FetchError, Location, WantedFile, Watch};
use crate::{
    content::{Sha256, Sha256Hasher},
    plan::Progress,
    store::is_still,
};

/// How often a file that another process is fetching is looked at.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// After how many looks that is told.
const QUIET_LOOKS: u32 = 10;
/// `.from` files are this small, or not ours.
const MAX_FROM_BYTES: u64 = 16 * 1024;

/// A file that is being fetched. No two processes write the same one.
pub(super) struct Partial {
    file: File,
    path: Option<PathBuf>,
    hasher: Sha256Hasher,
    size: u64,
}

impl Partial {
    /// Opens what is there of the wanted file, waiting for another process that is fetching it.
    pub fn open(folder: &Path, wanted: &WantedFile, watch: &Watch<'_>) -> Result<Partial, FetchError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| FetchError::Disk { doing: "opened", path, source }
        };
        fs::create_dir_all(folder).map_err(disk(folder))?;
        let Some(sha256) = wanted.expect.sha256 else {
            let file = tempfile::tempfile_in(folder).map_err(disk(folder))?;
            return Ok(Partial { file, path: None, hasher: Sha256Hasher::default(), size: 0 });
        };
        let path = folder.join(sha256.to_string());
        let mut looks = 0;
        let file = loop {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(disk(&path))?;
            match file.try_lock() {
                Ok(()) if is_still(&file, &path) => break file,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    watch.pause(LOCK_PAUSE)?;
                    looks += 1;
                    if looks == QUIET_LOOKS {
                        let what = format!("another process that downloads `{}`", wanted.name);
                        (watch.progress)(Progress::Waiting(what));
                    }
                }
                Err(TryLockError::Error(source)) => return Err(disk(&path)(source)),
            }
        };
        let mut partial = Partial { file, path: Some(path), hasher: Sha256Hasher::default(), size: 0 };
        partial.read_begun(wanted, watch)?;
        Ok(partial)
    }

    /// Takes over the bytes that an earlier run left.
    fn read_begun(&mut self, wanted: &WantedFile, watch: &Watch<'_>) -> Result<(), FetchError> {
        let mut piece = vec![0; 128 * 1024];
        loop {
            watch.check()?;
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(size) => {
                    self.hasher.update(&piece[..size]);
                    self.size += size as u64;
                }
                Err(source) => return Err(self.disk("read", source)),
            }
            if self.size > wanted.expect.most() {
                return self.start_again();
            }
        }
    }

    /// How many bytes are there.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of what is there.
    pub fn sha256(&self) -> Sha256 {
        self.hasher.clone().finish()
    }

    /// Adds the next bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(|source| self.disk("written", source))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Throws away what is there.
    pub fn start_again(&mut self) -> Result<(), FetchError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|source| self.disk("emptied", source))?;
        self.hasher = Sha256Hasher::default();
        self.size = 0;
        Ok(())
    }

    /// Notes where the bytes come from; best effort, since without it the digest still decides.
    pub fn note(&self, location: &Location, validator: Option<&str>) {
        if let Some(path) = self.note_path() {
            let _ = match validator {
                Some(validator) => fs::write(path, format!("{location}\n{validator}\n")),
                None => fs::remove_file(path),
            };
        }
    }

    /// What `location` called the version of the bytes that are there, if they are from it.
    pub fn validator(&self, location: &Location) -> Option<String> {
        let mut text = String::new();
        File::open(self.note_path()?).ok()?.take(MAX_FROM_BYTES).read_to_string(&mut text).ok()?;
        let (from, validator) = text.split_once('\n')?;
        (from == location.to_string()).then(|| validator.trim_end().to_owned())
    }

    fn note_path(&self) -> Option<PathBuf> {
        self.path.as_ref().map(|path| path.with_extension("from"))
    }

    /// Hands the file over, at its start, with the path that goes when it is no longer needed.
    pub fn finish(mut self) -> Result<(File, Option<PathBuf>), FetchError> {
        self.file.seek(SeekFrom::Start(0)).map_err(|source| self.disk("read", source))?;
        if let Some(from) = self.note_path() {
            let _ = fs::remove_file(from);
        }
        Ok((self.file, self.path))
    }

    fn disk(&self, doing: &'static str, source: io::Error) -> FetchError {
        FetchError::Disk { doing, path: self.path.clone().unwrap_or_default(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, atomic::AtomicBool, mpsc::channel};

    use super::*;
    use crate::fetch::{Expect, Place};

    #[test]
    fn whoever_waits_for_another_download_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let expect = Expect { sha256: Some(Sha256::of(b"x")), size: None, limit: 1 };
        let wanted = WantedFile { name: "runc".to_owned(), place: Place::Urls(Vec::new()), expect };
        let cancelled = AtomicBool::new(false);
        let first = Partial::open(folder.path(), &wanted, &Watch { cancelled: &cancelled, progress: &|_| {} }).unwrap();
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let progress = |progress: Progress| tell.lock().unwrap().send(progress).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let watch = Watch { cancelled: &cancelled, progress: &progress };
                Partial::open(folder.path(), &wanted, &watch).map(|partial| partial.size())
            });
            let waiting = Progress::Waiting("another process that downloads `runc`".to_owned());
            assert_eq!(told.recv().unwrap(), waiting);
            drop(first);
            assert_eq!(second.join().unwrap().unwrap(), 0);
        });
        assert!(told.try_recv().is_err(), "it is told once");
    }
}
