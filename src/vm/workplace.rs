//! The folder that one machine is run from, removed afterwards.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    sandbox::linux::Root,
    store::{Store, StoreError, WorkFolder},
};

/// What only the machine's sandbox needs.
///
/// ```text
/// upper work root   the overlay over the tool set
/// skeleton          its lowest layer: folders that every sandbox has
/// disk disk.vars    the machine's disk and variables, where they are not kept
/// instance-disk-N   disks that are gone with the machine
/// credential-N      what the firmware hands over; only our user may read it
/// service-N         sockets at which brc answers the machine
/// door              the socket that QEMU connects to the machine's door
/// cidata            the disk with user data, and the files that are on it
/// ```
#[derive(Debug)]
pub(super) struct Workplace {
    folder: WorkFolder,
}

impl Workplace {
    /// Makes the folders.
    ///
    /// # Errors
    /// A store that takes nothing.
    pub(super) fn new(store: &Store) -> Result<Self, WorkplaceError> {
        let folder = store.temporary()?;
        for name in ["upper", "work", "root", "skeleton"] {
            make_folder(&folder.path().join(name))?;
        }
        for name in ["dev", "proc", "run", "tmp", "machine"] {
            make_folder(&folder.path().join("skeleton").join(name))?;
        }
        Ok(Self { folder })
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What stands at `/` of the sandbox: the tool set, which cannot be changed.
    pub(super) fn root(&self, tools: &Path) -> Root {
        let lower = vec![tools.to_owned(), self.path().join("skeleton")];
        Root::Overlay { lower, scratch: self.path().to_owned() }
    }

    /// Makes a file of so many bytes, all of it a hole.
    ///
    /// # Errors
    /// The file system refuses.
    pub(super) fn make_disk(&self, name: &str, bytes: u64) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        fs::File::create_new(&path)?.set_len(bytes)?;
        Ok(path)
    }

    /// Writes a file that only our user may read.
    ///
    /// # Errors
    /// The file system refuses.
    pub(super) fn write_secret(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut file, content)?;
        Ok(path)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // The overlay leaves a folder here that not even its owner may look into.
        let left = self.path().join("work/work");
        fs::set_permissions(left, fs::Permissions::from_mode(0o700)).unwrap_or_default();
    }
}

/// Makes a folder, 0755 whatever the umask is.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// There is no place to run a machine from.
#[derive(Debug, thiserror::Error)]
pub enum WorkplaceError {
    /// The store failed.
    #[error(transparent)]
    Store {
        #[from]
        source: StoreError,
    },
    /// The file system refuses.
    #[error("a folder for the machine cannot be made in the store")]
    Folder {
        #[from]
        source: io::Error,
    },
}
