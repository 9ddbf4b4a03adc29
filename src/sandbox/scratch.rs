//! The folders that one run is made from: what it writes, and the little that is there besides its inputs.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{environment, perform::RunError};
use crate::{
    content::{Digest, RelPath},
    plan::{Output, Run},
    store::Store,
};

/// The folders of one run, removed when dropped.
///
/// ```text
/// upper     what the command wrote
/// work      the overlay's own
/// root      where the overlay is mounted
/// skeleton  the lowest layer: what is there besides the inputs
/// ```
#[derive(Debug)]
pub(super) struct Scratch {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Scratch {
    /// Makes the folders for a run.
    pub(super) fn new(store: &Store, run: &Run<Digest>) -> Result<Self, RunError> {
        let folder = store.temporary()?;
        let path = folder.path().to_owned();
        let scratch = Scratch { folder: Some(folder), path };
        scratch.fill(run).map_err(|source| RunError::Scratch { path: scratch.path.clone(), source })?;
        Ok(scratch)
    }

    fn fill(&self, run: &Run<Digest>) -> io::Result<()> {
        for name in ["upper", "work", "root", "skeleton"] {
            self.make_folder(&RelPath::ROOT, name)?;
        }
        for name in ["dev", "proc", "run", "tmp", "etc", "root"] {
            self.make_folder(&RelPath::ROOT, &format!("skeleton/{name}"))?;
        }
        for (name, content) in environment::files(run.uid) {
            let file = self.path.join("skeleton").join(name);
            fs::write(&file, content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        }
        // In the lowest layer they are no change that the command made.
        let folders = run.outputs.values().filter_map(|output| match output {
            Output::Folder(path) => Some(path),
            Output::Changed(_) => None,
        });
        for path in folders.chain([&run.directory]) {
            self.make_folder(path, "skeleton")?;
        }
        Ok(())
    }

    /// Makes a folder below `base`, and those above it, 0755 whatever the umask is.
    fn make_folder(&self, path: &RelPath, base: &str) -> io::Result<()> {
        let base = self.path.join(base);
        let mut parts: Vec<RelPath> = path.ancestors().collect();
        parts.push(RelPath::ROOT);
        parts.reverse();
        parts.push(path.clone());
        for part in parts {
            let at = part.on(&base);
            match fs::create_dir(&at) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => fs::set_permissions(&at, fs::Permissions::from_mode(0o755))?,
            }
        }
        Ok(())
    }

    /// The folder that holds all of it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the command wrote.
    pub(super) fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// The lowest layer.
    pub(super) fn skeleton(&self) -> PathBuf {
        self.path.join("skeleton")
    }

    /// Keeps everything at `to`, instead of what was kept there before.
    pub(super) fn keep(mut self, to: &Path) -> io::Result<()> {
        remove(to)?;
        fs::rename(&self.path, to)?;
        if let Some(folder) = self.folder.take() {
            // Its path is taken over.
            drop(folder.keep());
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.folder.take().is_some() {
            // What cannot be removed now is removed with the store's other leftovers.
            remove(&self.path).unwrap_or_default();
        }
    }
}

/// Removes a folder, also what its owner made inaccessible. A folder that is not there is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Gives the owner all rights on every folder from `path` down.
fn open_up(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
