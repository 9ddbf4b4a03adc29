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

/// Writes the file at `from` in a stored tree to `to`, unless it holds just that already.
///
/// # Errors
/// A store or a file system that refuses; `to` is then as it was.
pub fn write_output(store: &Store, tree: Digest, from: &RelPath, to: &Path) -> Result<Digest, ComposeError> {
    let (blob, size) = store.file_in(tree, from).map_err(ComposeError::Store)?;
    if store.stamp_of(to).map_err(ComposeError::Store)? == Some(blob) {
        return Ok(blob);
    }
    let refused = |source| ComposeError::Write { path: to.to_owned(), source };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(refused)?;
    let source = store.open_blob(blob).map_err(ComposeError::Store)?;
    let file = tempfile::Builder::new()
        .prefix(".brc-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(refused)?;
    file.as_file().set_len(size).map_err(refused)?;
    copy_sparse(&source, file.as_file(), 0, size, &|_| true).map_err(refused)?;
    file.persist(to).map_err(|error| refused(error.error))?;
    store.remember_stamp(to, blob).map_err(ComposeError::Store)?;
    Ok(blob)
}

/// `out/<variant>_<version>_<arch>.<suffix>`
pub fn output_path(folder: &Path, variant: &str, version: &str, architecture: &str, suffix: &str) -> PathBuf {
    folder.join(format!("{variant}_{version}_{architecture}.{suffix}"))
}
