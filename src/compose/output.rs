//! What leaves the store: the disk and its manifest, written whole or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::ComposeError;
use crate::{
    build::Built,
    content::{Digest, Entry, RelPath},
    image::copy_sparse,
    plan::{Goal, ImagePart},
    store::{Store, StoreError},
};

/// A file that is written beside its place and not yet there.
pub struct Ready {
    to: PathBuf,
    blob: Digest,
    /// `None` when the place holds just that already.
    file: Option<tempfile::NamedTempFile>,
}

/// Refuses a place that can take no file before anything is built for it.
///
/// # Errors
/// A folder that cannot be made or written to; a folder where a file is to stand.
pub fn check(to: &Path) -> Result<(), ComposeError> {
    let refused = |source| ComposeError::Write { path: to.to_owned(), source };
    fs::create_dir_all(folder_of(to)).map_err(refused)?;
    if to.is_dir() {
        return Err(refused(std::io::ErrorKind::IsADirectory.into()));
    }
    tempfile::Builder::new().prefix(".brc-").tempfile_in(folder_of(to)).map(drop).map_err(refused)
}

/// Writes the one file of a stored tree beside `to`, unless `to` holds just that already.
///
/// # Errors
/// A store or a file system that refuses; `to` is as it was in any case.
pub fn prepare(store: &Store, tree: Digest, to: &Path) -> Result<Ready, ComposeError> {
    let files = store.tree(tree).map_err(ComposeError::Store)?;
    let file = files.entries().find_map(|(_, entry)| match entry {
        Entry::File { blob, size, .. } => Some((*blob, *size)),
        Entry::Directory | Entry::Symlink { .. } => None,
    });
    let nothing = || ComposeError::Store(StoreError::NoFile { tree, path: RelPath::ROOT });
    let (blob, size) = file.ok_or_else(nothing)?;
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

/// Copies a stored tree into `folder`, over what is there by the same names.
///
/// # Errors
/// A store or a file system that refuses; some of it is there then.
pub fn copy_out(store: &Store, tree: Digest, folder: &Path) -> Result<(), ComposeError> {
    fs::create_dir_all(folder).map_err(|source| ComposeError::Write { path: folder.to_owned(), source })?;
    let tree = store.tree(tree).map_err(ComposeError::Store)?;
    for (path, entry) in tree.entries() {
        let at = path.on(folder);
        let refused = |source| ComposeError::Write { path: at.clone(), source };
        let is_there = fs::symlink_metadata(&at);
        let stays = matches!(entry, Entry::Directory) && is_there.as_ref().is_ok_and(fs::Metadata::is_dir);
        // A link that is there is replaced, never followed.
        if !stays && is_there.is_ok() {
            fs::remove_file(&at).map_err(refused)?;
        }
        match entry {
            Entry::Directory if stays => {}
            Entry::Directory => fs::create_dir(&at).map_err(refused)?,
            Entry::Symlink { target } => std::os::unix::fs::symlink(target, &at).map_err(refused)?,
            Entry::File { blob, size, .. } => {
                let source = store.open_blob(*blob).map_err(ComposeError::Store)?;
                let file = fs::File::create_new(&at).map_err(refused)?;
                file.set_len(*size).map_err(refused)?;
                copy_sparse(&source, &file, 0, *size, &|_| true).map_err(refused)?;
                let mode = tree.metadata(path).map_or(0o644, |metadata| u32::from(metadata.mode) & 0o777);
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)).map_err(refused)?;
            }
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The tree of a goal that every image has.
///
/// # Errors
/// A plan without it.
pub(super) fn goal(title: &str, built: &Built, part: ImagePart) -> Result<Digest, ComposeError> {
    let goal = Goal::of_image(title, part);
    built.goals.get(&goal).copied().ok_or(ComposeError::NoGoal { goal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_place_that_takes_no_file_is_told_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("file"), dir.path().join("folder"));
        fs::write(&file, "").unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(check(&dir.path().join("new/v_1_x86_64.raw")).is_ok());
        assert!(check(&file).is_ok(), "what is there is replaced");
        for refused in [folder, file.join("v_1_x86_64.raw")] {
            assert!(matches!(check(&refused), Err(ComposeError::Write { path, .. }) if path == refused));
        }
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 0);
    }

    #[test]
    fn a_tree_is_copied_over_what_is_there_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let blob = store.put(b"#!").unwrap();
        let mut tree = crate::content::Tree::new();
        let path = |text: &str| RelPath::new(text).unwrap();
        tree.insert(path("bin/tool"), Entry::File { blob, size: 2, executable: true }).unwrap();
        tree.insert(path("link"), Entry::Symlink { target: "bin/tool".into() }).unwrap();
        let tree = store.put_tree(&tree).unwrap();
        let (out, other) = (dir.path().join("out"), dir.path().join("other"));
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(&out).unwrap();
        std::os::unix::fs::symlink(&other, out.join("bin")).unwrap();
        for _ in 0..2 {
            copy_out(&store, tree, &out).unwrap();
            assert_eq!(fs::read(out.join("link")).unwrap(), b"#!");
            assert_eq!(fs::metadata(out.join("bin/tool")).unwrap().permissions().mode() & 0o777, 0o755);
        }
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    }
}
