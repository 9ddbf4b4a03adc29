//! A store is its owner's alone: nobody else reads what recipes keep from others, or puts something into it.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{StoreError, shard::list};

/// Read, write and search for the owner, nothing for others.
const PRIVATE: u32 = 0o700;
/// The bits that let others write.
const WRITABLE: u32 = 0o022;

/// Makes the folder of a store, or closes the one that is there to others; its path without links.
///
/// # Errors
/// A folder of another user, or one with something in it into which others may write.
pub(super) fn make_private(dir: &Path) -> Result<PathBuf, StoreError> {
    let failed = |source| StoreError::io("make the store", dir, source);
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above).map_err(failed)?;
    }
    make_folder(dir).map_err(failed)?;
    let dir = dir.canonicalize().map_err(failed)?;
    let mode = check_owner(&dir)?;
    let may_hold = |mode: u32| -> Result<(), StoreError> {
        if mode & WRITABLE != 0 && !list(dir.clone())?.is_empty() {
            return Err(StoreError::Writable { path: dir.clone(), mode });
        }
        Ok(())
    };
    may_hold(mode)?;
    if mode & !PRIVATE != 0 {
        let set = |mode| fs::set_permissions(&dir, Permissions::from_mode(mode)).map_err(failed);
        set(mode & PRIVATE)?;
        // Somebody may have been quicker.
        may_hold(mode).or_else(|error| set(mode).and(Err(error)))?;
    }
    Ok(dir)
}

/// Makes a folder of a store, or makes sure that the one that is there is the owner's and no link to elsewhere.
pub(super) fn make_part(path: &Path) -> Result<(), StoreError> {
    make_folder(path).map_err(|source| StoreError::io("make", path, source))?;
    check_owner(path).map(drop)
}

/// Refuses a link where the store has a file of its own.
pub(super) fn check_file(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(StoreError::Foreign { path: path.to_owned(), what: "a link or no file" }),
        _ => Ok(()),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The mode of a folder that is this user's.
fn check_owner(path: &Path) -> Result<u32, StoreError> {
    let found = fs::symlink_metadata(path).map_err(|source| StoreError::io("look at", path, source))?;
    let foreign = |what| StoreError::Foreign { path: path.to_owned(), what };
    if !found.is_dir() {
        return Err(foreign("a link or no folder"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(foreign("a folder of another user"));
    }
    Ok(found.mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::store::Store;

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_store_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("new/store");
        drop(Store::open(&store).unwrap());
        assert_eq!(mode_of(&store), 0o700);
        // One that was made by an older brc, and an empty folder that others may write to.
        fs::set_permissions(&store, Permissions::from_mode(0o755)).unwrap();
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        fs::set_permissions(&empty, Permissions::from_mode(0o777)).unwrap();
        for path in [store, empty] {
            drop(Store::open(&path).unwrap());
            assert_eq!(mode_of(&path), 0o700, "{path:?}");
        }
    }

    #[test]
    fn a_store_into_which_others_may_write_is_refused() {
        for mode in [0o777, 0o770, 0o702, 0o1777] {
            let dir = tempfile::tempdir().unwrap();
            drop(Store::open(dir.path()).unwrap());
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            for _ in 0..2 {
                let refused = Store::open(dir.path()).unwrap_err().to_string();
                assert!(refused.contains("may be written by others") && refused.contains("chmod 700"), "{refused}");
            }
            assert_eq!(mode_of(dir.path()), mode);
        }
    }

    #[test]
    fn a_store_that_leads_elsewhere_is_refused() {
        for part in ["objects", "memo", "temporary", "lock", "VERSION"] {
            let dir = tempfile::tempdir().unwrap();
            let (store, outside) = (dir.path().join("store"), dir.path().join("outside"));
            drop(Store::open(&store).unwrap());
            fs::rename(store.join(part), &outside).unwrap();
            symlink(&outside, store.join(part)).unwrap();
            let refused = Store::open(&store).unwrap_err().to_string();
            assert!(refused.contains(part) && refused.contains("a link"), "{refused}");
        }
    }

    #[test]
    fn a_store_of_another_user_is_refused() {
        let refused = |store: &Path| {
            let refused = Store::open(store).unwrap_err().to_string();
            assert!(refused.contains("another user"), "{refused}");
        };
        if !rustix::process::geteuid().is_root() {
            // Only root can give a folder away; anybody else has some of root's to try.
            return refused(Path::new("/usr"));
        }
        for part in ["", "objects"] {
            let dir = tempfile::tempdir().unwrap();
            let store = dir.path().join("store");
            drop(Store::open(&store).unwrap());
            chown(store.join(part), Some(65_534), None).unwrap();
            refused(&store);
        }
    }
}
