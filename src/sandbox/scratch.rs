//! The folders that one run is made from: what it writes, and the little that is there besides its inputs.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{RunError, environment, linux::Root};
use crate::{
    content::{Digest, RelPath},
    plan::{Output, Run},
    store::{Store, WorkFolder, remove_all},
};

/// The folders of one run, removed when dropped, unless they are kept.
///
/// ```text
/// upper     what the command wrote; where inputs are copied, all that it saw
/// work      the overlay's own
/// root      where the overlay is mounted
/// skeleton  the lowest layer: what is there besides the inputs
/// copied    an empty file that is there where inputs are copied
/// ```
#[derive(Debug)]
pub(super) struct Scratch {
    folder: Option<WorkFolder>,
    path: PathBuf,
    layering: Layering,
}

/// How a command's changes are kept apart from its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layering {
    /// By an overlay. What it wrote lies in a folder of its own.
    Overlay,
    /// By a copy of the inputs, for a store on a file system that cannot take an overlay's changes. Slow.
    Copy,
}

/// Marks a folder in which the inputs were copied.
const COPIED: &str = "copied";

impl Scratch {
    /// Makes the folders for a run.
    pub(super) fn new(store: &Store, run: &Run<Digest>, checkout: &Path, layering: Layering) -> Result<Self, RunError> {
        let folder = store.temporary()?;
        let path = folder.path().to_owned();
        let scratch = Scratch { folder: Some(folder), path, layering };
        scratch.fill(run, checkout).map_err(|source| RunError::Scratch { path: scratch.path.clone(), source })?;
        Ok(scratch)
    }

    /// The folders that an earlier run was made from and that were kept.
    pub(super) fn kept(path: &Path) -> Self {
        let layering = if path.join(COPIED).exists() { Layering::Copy } else { Layering::Overlay };
        Scratch { folder: None, path: path.to_owned(), layering }
    }

    fn fill(&self, run: &Run<Digest>, checkout: &Path) -> io::Result<()> {
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
        let home = environment::home(run);
        for path in folders.chain([&run.directory]).chain(&home) {
            self.make_folder(path, "skeleton")?;
        }
        if self.layering == Layering::Copy {
            fs::write(self.path.join(COPIED), "")?;
            copy_below(&self.skeleton(), &self.upper())?;
            copy_below(checkout, &self.upper())?;
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

    /// What stands at `/`.
    pub(super) fn root(&self, checkout: &Path) -> Root {
        match self.layering {
            Layering::Overlay => {
                Root::Overlay { lower: vec![checkout.to_owned(), self.skeleton()], scratch: self.path.clone() }
            }
            Layering::Copy => Root::Folder(self.upper()),
        }
    }

    /// What the command wrote.
    pub(super) fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// How it is kept apart from the inputs.
    pub(super) fn layering(&self) -> Layering {
        self.layering
    }

    /// What is there besides the inputs.
    pub(super) fn skeleton(&self) -> PathBuf {
        self.path.join("skeleton")
    }

    /// Keeps everything at `to`, instead of what was kept there before.
    pub(super) fn keep(self, to: &Path) -> io::Result<()> {
        remove_all(to)?;
        self.folder.map_or(Ok(()), |folder| folder.keep_as(to))
    }
}

/// Copies what lies below `from` to `to`; folders that are there stay, and files are replaced.
fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, at) = (entry.file_type()?, to.join(entry.file_name()));
        let before = fs::symlink_metadata(&at).ok();
        if kind.is_dir() {
            if !before.is_some_and(|before| before.is_dir()) {
                fs::create_dir(&at)?;
            }
            fs::set_permissions(&at, entry.metadata()?.permissions())?;
            copy_below(&entry.path(), &at)?;
            continue;
        }
        match before {
            Some(before) if before.is_dir() => remove_all(&at)?,
            Some(_) => fs::remove_file(&at)?,
            None => {}
        }
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &at)?;
        } else {
            fs::copy(entry.path(), &at)?;
        }
    }
    Ok(())
}
