//! What leaves the store: the disk and its manifest, written whole or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::ComposeError;
use crate::{
    content::{Digest, RelPath},
    image::copy_sparse,
    store::Store,
};

/// A file that is written beside its place and not yet there.
pub struct Ready {
    to: PathBuf,
    blob: Digest,
    /// `None` when the place holds just that already.
    file: Option<tempfile::NamedTempFile>,
}

/// Writes the file at `from` in a stored tree beside `to`, unless `to` holds just that already.
///
/// # Errors
/// A store or a file system that refuses; `to` is as it was in any case.
pub fn prepare(store: &Store, tree: Digest, from: &RelPath, to: &Path) -> Result<Ready, ComposeError> {
    let (blob, size) = store.file_in(tree, from).map_err(ComposeError::Store)?;
    if store.stamp_of(to).map_err(ComposeError::Store)? == Some(blob) {
        return Ok(Ready { to: to.to_owned(), blob, file: None });
    }
    let refused = |source| ComposeError::Write { path: to.to_owned(), source };
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(refused)?;
    let source = store.open_blob(blob).map_err(ComposeError::Store)?;
    let file = tempfile::Builder::new()
        .prefix(".brc-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(refused)?;
    file.as_file().set_len(size).map_err(refused)?;
    copy_sparse(&source, file.as_file(), 0, size, &|_| true).map_err(refused)?;
    // A name must never be there without its bytes, whenever the power goes.
    file.as_file().sync_all().map_err(refused)?;
    Ok(Ready { to: to.to_owned(), blob, file: Some(file) })
}

impl Ready {
    /// Gives the file its name.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn publish(self, store: &Store) -> Result<(), ComposeError> {
        let Some(file) = self.file else { return Ok(()) };
        let refused = |source| ComposeError::Write { path: self.to.clone(), source };
        file.persist(&self.to).map_err(|error| refused(error.error))?;
        fs::File::open(folder_of(&self.to)).and_then(|folder| folder.sync_all()).map_err(refused)?;
        store.remember_stamp(&self.to, self.blob).map_err(ComposeError::Store)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `out/<variant>_<version>_<arch>.<suffix>`
pub fn output_path(folder: &Path, variant: &str, version: &str, architecture: &str, suffix: &str) -> PathBuf {
    folder.join(format!("{variant}_{version}_{architecture}.{suffix}"))
}
