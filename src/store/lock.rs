//! The lock that keeps garbage collection away from running builds.

use std::{
    fs::{self, File},
    path::Path,
};

use super::StoreError;

/// Takes the store's lock shared; when no other process has it, what they left in `temporary` is removed first.
pub(super) fn take(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = |source| StoreError::io("lock", &path, source);
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    if file.try_lock().is_ok() {
        clear(&dir.join("temporary"));
        file.unlock().map_err(failed)?;
    }
    file.lock_shared().map_err(failed)?;
    Ok(file)
}

/// Removes everything in a folder as far as it can be removed: what stays is tried again next time.
pub(super) fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _ = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}
