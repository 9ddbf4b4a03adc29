//! Files that are there whole or not at all: each is made beside its place, under a name of its own, and moved there.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Puts a whole file in its place, on the disk when this returns, with the folders above it.
///
/// # Errors
/// When the file system refuses; what was there before is there then.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let new = beside(path)?;
    let written = (|| {
        let mut file = File::create(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    written.and_then(|()| settle(&new, path)).inspect_err(|_| discard(&new))?;
    File::open(folder)?.sync_all()
}

/// Where a thing is made until it is whole.
pub(crate) fn beside(at: &Path) -> io::Result<PathBuf> {
    let mut name = at.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".brc-new");
    Ok(at.with_file_name(name))
}

/// Puts what is whole to its place.
pub(crate) fn settle(new: &Path, at: &Path) -> io::Result<()> {
    fs::rename(new, at).inspect_err(|_| discard(new))
}

/// Removes what did not become whole. Best effort: why it did not is what counts.
pub(crate) fn discard(new: &Path) {
    fs::remove_file(new).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        for text in ["one", "two"] {
            write_whole(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Nothing can take the place of a folder that is not empty.
        fs::create_dir_all(folder.path().join("c/d")).unwrap();
        assert!(write_whole(&folder.path().join("c"), b"x", 0o600).is_err());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
