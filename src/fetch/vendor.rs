//! Vendored folders: what `--offline` composes from.
//!
//! Every file lies below `sha256` by its digest in hexadecimal. [`Client::download`] looks into such folders first and
//! checks what it finds there like anything else.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Client,
    client::Watch,
    download::{FetchError, Wanted},
};

/// The folder below a vendored folder that holds files by their digest.
pub(super) const BY_DIGEST: &str = "sha256";

impl Client {
    /// Writes each wanted file into the vendored folder `folder`, `connections` at a time; where each lies, in the
    /// order of `wanted`. A file appears whole or not at all; one that is there already with its size stays.
    ///
    /// # Errors
    /// Those of [`Client::download`], and the disk's.
    pub fn vendor(
        &self,
        wanted: &[Wanted],
        folder: &Path,
        connections: usize,
        watch: Watch<'_>,
    ) -> Vec<Result<PathBuf, FetchError>> {
        let folder = folder.join(BY_DIGEST);
        in_parallel(wanted, connections, |wanted| self.vendor_one(wanted, &folder, watch))
    }

    fn vendor_one(&self, wanted: &Wanted, folder: &Path, watch: Watch<'_>) -> Result<PathBuf, FetchError> {
        if let Some(path) = wanted.expect.sha256.map(|sha256| folder.join(sha256.to_string()))
            && let Ok(metadata) = fs::metadata(&path)
            && wanted.expect.size.is_none_or(|size| size == metadata.len())
        {
            return Ok(path);
        }
        let mut downloaded = self.download(wanted, watch)?;
        let path = folder.join(downloaded.sha256.to_string());
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::copy(&mut downloaded.file, &mut file)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            file.persist(&path)?;
            Ok(())
        };
        match { write }() {
            Ok(()) => Ok(path),
            Err(source) => Err(FetchError::Disk { doing: "vendored", path, source }),
        }
    }
}

/// Does `work` for every item, on as many threads as there are connections; the results are in the items' order.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], connections: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..connections.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
