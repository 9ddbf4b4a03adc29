//! Folders for unfinished work.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Store, StoreError, remove::remove_all};

/// A folder that is removed when this is dropped, however deep it has become.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
}

impl WorkFolder {
    /// A new empty folder (0700) in `folder`, with a name of its own.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new_in(folder: &Path) -> io::Result<Self> {
        Ok(WorkFolder { path: tempfile::Builder::new().prefix("work-").tempdir_in(folder)?.keep() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder another name, under which it stays.
    ///
    /// # Errors
    /// It cannot be moved there; it is removed then.
    pub fn keep_as(self, to: &Path) -> io::Result<()> {
        // What is dropped afterwards is no longer there.
        fs::rename(&self.path, to)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What cannot be removed now is tried again when the store is next opened alone, and told by `gc`.
        let _ = remove_all(&self.path);
    }
}

impl Store {
    /// A new empty folder (0700) on the store's file system, removed when it is dropped.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn temporary(&self) -> Result<WorkFolder, StoreError> {
        let folder = self.dir().join("temporary");
        WorkFolder::new_in(&folder).map_err(|source| StoreError::io("make a folder in", &folder, source))
    }
}
