//! Removing what actions left behind, which may be folders that not even their owner may write.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Removes a file, or a folder with everything in it. What is not there is no error.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).or_else(|error| {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return Err(error);
            }
            open_up(path)?;
            fs::remove_dir_all(path)
        }),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes everything in a folder as far as it can be removed: what stays is tried again next time.
pub(super) fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = remove_all(&entry.path());
    }
}

/// Makes every folder in a folder writable for its owner.
fn open_up(folder: &Path) -> io::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_write_permission_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        for folder in ["a/b", "a", ""] {
            fs::set_permissions(top.join(folder), Permissions::from_mode(0o555)).unwrap();
        }
        open_up(&top).unwrap();
        assert_eq!(fs::metadata(top.join("a/b")).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(top.join("a"), Permissions::from_mode(0o555)).unwrap();
        remove_all(&top).unwrap();
        remove_all(&top).unwrap();
        assert!(!top.exists());
    }
}
