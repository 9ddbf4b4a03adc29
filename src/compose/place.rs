//! Where a project is, before anything of it is read but what it imports.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    ComposeError,
    beneath::open_file,
    lock_file::{LOCK_FILE, read_lock},
    recipe_files::MAX_RECIPE_BYTES,
};
use crate::{
    lock::Lock,
    recipe::{ImportedSet, PROJECT_FILE, SourcePath, imported_sets},
};

/// Where a project is.
#[derive(Debug, Clone)]
pub struct ProjectPlace {
    /// Its folder.
    pub root: PathBuf,
    /// Its `brc.kdl`; none where a file is a project of its own.
    pub(super) project: Option<SourcePath>,
    /// The file that was asked for; none when the project was.
    pub(super) composed: Option<SourcePath>,
}

impl ProjectPlace {
    /// The project that `folder` belongs to: the nearest folder with a `brc.kdl`, itself or above it.
    pub fn root_above(folder: &Path) -> Option<&Path> {
        folder.ancestors().find(|above| above.join(PROJECT_FILE).is_file())
    }

    /// The project of a recipe file: the one that its folder belongs to, or that folder alone.
    ///
    /// # Errors
    /// A file that is not there, or a folder.
    pub fn of(file: &Path) -> Result<ProjectPlace, ComposeError> {
        let unreadable = |source| ComposeError::Read { path: file.to_owned(), source };
        let file = file.canonicalize().map_err(unreadable)?;
        if file.is_dir() {
            let reason = "it is a folder: expected a recipe file, or nothing at all in a project's folder";
            return Err(unreadable(io::Error::new(io::ErrorKind::IsADirectory, reason)));
        }
        let folder = file.parent().unwrap_or(Path::new("/"));
        let project = ProjectPlace::root_above(folder);
        let root = project.unwrap_or(folder).to_owned();
        let below = file.strip_prefix(&root).unwrap_or(&file);
        let composed = Some(SourcePath::new(&below.to_string_lossy()));
        Ok(ProjectPlace { project: project.map(|_| SourcePath::new(PROJECT_FILE)), root, composed })
    }

    /// The project that `folder` belongs to, all of it.
    ///
    /// # Errors
    /// No project there.
    pub fn above(folder: &Path) -> Result<ProjectPlace, ComposeError> {
        let folder = folder.canonicalize().map_err(|source| ComposeError::Read { path: folder.to_owned(), source })?;
        let root = ProjectPlace::root_above(&folder).map(Path::to_owned);
        let root = root.ok_or(ComposeError::NoProject { folder })?;
        Ok(ProjectPlace { root, project: Some(SourcePath::new(PROJECT_FILE)), composed: None })
    }

    /// The recipe sets that the project imports from elsewhere.
    ///
    /// # Errors
    /// A `brc.kdl` that is no file. What is wrong in it is told when it is read with all that it names.
    pub fn imports(&self) -> Result<Vec<ImportedSet>, ComposeError> {
        let Some(project) = &self.project else { return Ok(Vec::new()) };
        let path = self.root.join(project.as_str());
        let mut bytes = Vec::new();
        let read = open_file(&path).and_then(|file| file.take(MAX_RECIPE_BYTES).read_to_end(&mut bytes));
        read.map_err(|source| ComposeError::Read { path, source })?;
        Ok(imported_sets(&String::from_utf8_lossy(&bytes)))
    }

    /// The project's lock; an empty one when there is none.
    ///
    /// # Errors
    /// A file that cannot be read or is no lock.
    pub(super) fn lock(&self) -> Result<Lock, ComposeError> {
        Ok(read_lock(self.root.join(LOCK_FILE))?.unwrap_or_default())
    }
}
