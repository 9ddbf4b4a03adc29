//! Vendored folders: what `--offline` composes from.
//!
//! ```text
//! <mirror>/<path>     a file of an archive, where a mirror has it: the folder is a mirror
//! sha256/<hex>        a file by URL
//! ```
//! [`Client::download`] looks into such folders first and checks what it finds there like anything else.

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
    download::{FetchError, Place, Wanted},
};
use crate::content::RelPath;

impl Client {
    /// Writes each wanted file into the vendored folder `folder`, `connections` at a time; where each lies, in the
    /// order of `wanted`. A file appears whole or not at all; one that is there already is replaced by the same.
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
        in_parallel(wanted, connections, |wanted| self.vendor_one(wanted, folder, watch))
    }

    fn vendor_one(&self, wanted: &Wanted, folder: &Path, watch: Watch<'_>) -> Result<PathBuf, FetchError> {
        let mut downloaded = self.download(wanted, watch)?;
        let path = match &wanted.place {
            Place::Mirror(located) => RelPath::new(&located.path)
                .map_err(|source| FetchError::Path { name: wanted.name.clone(), source })?
                .on(&folder.join(&located.mirror)),
            Place::Urls(_) => folder.join("sha256").join(downloaded.sha256.to_string()),
        };
        let write = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)?;
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
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
