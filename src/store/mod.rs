//! Where content is kept: blobs and trees by digest, what actions gave, checkouts, logs.
//!
//! *Takes* bytes and trees. *Gives* them back by digest. *Promises*: what is read is what was written (digests
//! are computed here, never trusted); a kill or power cut at any moment leaves a store that the next run can
//! use; several processes may use one store. *Does not know* what the content is for.
//!
//! ```text
//! VERSION                 `brc-store 1`
//! objects/ab/abcdef…      blobs and tree objects, by BLAKE3; 0444, modification time 1980-01-02
//! objects/ab/abcdef….x    the same bytes as an executable file, made when a checkout wants one; 0555
//! memo/ab/abcdef…         what the action with this key gave: the key, lines `digest output`; its time is its last use
//! checkouts/ab/abcdef…/   merged trees: `tree/` with hard links into `objects`, and `state`
//! logs/abcdef….log        what the action with this key printed
//! failed/…                sandboxes of steps that failed, by name
//! sha256/ab/abcdef…       the SHA-256 of the blob with this BLAKE3
//! stamps/ab/abcdef…       what a file outside holds, by the digest of its path
//! durations/…             how long a step took last time, by name
//! roots/abcdef…           the keys that the last compose of a project and variant needed
//! builds/abcdef…/…        what the last builds of a project and variant did
//! published/…             what snapshots at AWS hold, by name; written by `publish`
//! damaged/…               objects that `verify` moved away
//! downloads/…             files that are not there as a whole yet, by SHA-256; written by `fetch`
//! temporary/…             unfinished; anything here may go when no process holds the store
//! lock                    shared by every process that uses the store, exclusive for `gc`
//! ```
//!
//! An object is written to `temporary`, then renamed; nothing is flushed until a memo entry names it, then one
//! `syncfs` flushes all at once. So a power cut can tear objects that no memo entry names, and these are found
//! when they are next used: every object is hashed before a process hands it out for the first time.

mod check;
mod checkout;
mod claim;
mod copy;
mod duration;
mod flush;
mod garbage;
mod history;
mod lock;
mod memo;
mod name;
mod object;
mod object_id;
mod private;
#[cfg(test)]
mod process_tests;
mod reach;
mod record;
mod remove;
mod root;
mod service;
mod shard;
mod stamp;
mod temporary;
mod tree;
mod unfinished;
mod usage;
mod verify;
mod walk;

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

pub use checkout::Checkout;
pub use claim::{Claim, is_still};
pub use garbage::{GcMode, GcPolicy, GcReport};
pub use history::{BuildEnd, BuildRecord, RecordedFact, StepRecord, StepState};
pub use lock::WhenBusy;
pub use remove::remove_all;
pub use service::{Blobs, Memo};
pub use temporary::WorkFolder;
pub use usage::{DiskUse, Kind, Usage};
pub use verify::{Mend, VerifyReport};

use self::private::{check_file, make_part, make_private};
use crate::content::{Conflict, Digest, Fault, RelPath, TreeError};

/// What `VERSION` holds.
const VERSION: &str = "brc-store 1\n";
/// The folders of a store.
const FOLDERS: [&str; 14] = [
    "objects",
    "memo",
    "checkouts",
    "logs",
    "failed",
    "sha256",
    "stamps",
    "durations",
    "roots",
    "builds",
    "published",
    "damaged",
    "downloads",
    "temporary",
];

/// Where content is kept. Cheap to clone; every clone is the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    /// Held shared while the store is open.
    lock: fs::File,
    flush: flush::Flush,
    /// Names this boot of the machine; `None` where the kernel does not tell.
    boot: Option<String>,
    /// Makes names in `temporary` that this process has not used.
    next_name: AtomicU64,
    checked: Mutex<check::Checked>,
    /// Trees that this process has decoded.
    trees: Mutex<tree::TreeCache>,
    /// One lock per checkout, so that no two threads make the same one; true when it is known to be whole.
    checkouts: Mutex<BTreeMap<Digest, Arc<Mutex<bool>>>>,
}

impl Store {
    /// Opens the store in `dir`, which is made when it is not there, and holds it until the last clone is dropped. It is
    /// closed to other users.
    ///
    /// Waits while another process collects garbage. Leftovers in `temporary` are removed when no other process
    /// uses the store.
    ///
    /// # Errors
    /// A folder that cannot be made or written, one that holds something else, a store of another user or version, one
    /// into which others may write.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let dir = make_private(dir)?;
        check_names(&dir)?;
        FOLDERS.iter().try_for_each(|folder| make_part(&dir.join(folder)))?;
        ["VERSION", "lock"].iter().try_for_each(|file| check_file(&dir.join(file)))?;
        let lock = lock::take(&dir)?;
        check_version(&dir)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let inner = Inner {
            dir,
            lock,
            flush: flush::Flush::default(),
            boot: boot.map(|text| text.trim().to_owned()),
            next_name: AtomicU64::new(0),
            checked: Mutex::default(),
            trees: Mutex::default(),
            checkouts: Mutex::default(),
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// The folder of the store.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Where the log of the action with this key is kept. Its folder is there.
    pub fn log_path(&self, key: Digest) -> PathBuf {
        self.dir().join("logs").join(format!("{key}.log"))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.dir().display())
    }
}

/// Refuses to make a store in a folder that is used for something else.
fn check_names(dir: &Path) -> Result<(), StoreError> {
    // Listed once: another process may be making this store, and what is looked at twice may have changed.
    let found = shard::list(dir.to_owned())?;
    let is_store = found.iter().any(|path| path.ends_with("VERSION"));
    let ours = |path: &Path| FOLDERS.into_iter().chain(["lock"]).any(|name| path.ends_with(name));
    match found.into_iter().find(|path| !ours(path)) {
        Some(other) if !is_store => Err(StoreError::NoStore { path: dir.to_owned(), other }),
        _ => Ok(()),
    }
}

fn check_version(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("VERSION");
    let failed = |source| StoreError::io("write", &path, source);
    match fs::read_to_string(&path) {
        Ok(found) if found == VERSION => Ok(()),
        Ok(found) => Err(StoreError::Version { path, found: found.trim_end().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Several processes may do this at once, each with a file of its own; the last one's stays.
            let mut new = tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(0o666))
                .tempfile_in(dir.join("temporary"))
                .map_err(failed)?;
            // A power cut must not leave a version that cannot be read: then nothing could be.
            new.write_all(VERSION.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
            new.persist(&path).map(drop).map_err(|error| failed(error.error))
        }
        Err(source) => Err(StoreError::io("read", &path, source)),
    }
}

/// Locks a table. A thread that panicked while it held one has left it whole: each change is one insertion.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system has no room left (or the user's quota is used up).
    #[error("could not {action} `{path}`: no space is left on this file system", path = path.display())]
    Full { action: &'static str, path: PathBuf, source: io::Error },
    /// The store may only be read.
    #[error("could not {action} `{path}`: its file system is read-only; name another store or mount it writable", path = path.display())]
    ReadOnly { action: &'static str, path: PathBuf, source: io::Error },
    /// The store belongs to another user.
    #[error("could not {action} `{path}`: this user may not; name another store or change its owner", path = path.display())]
    Denied { action: &'static str, path: PathBuf, source: io::Error },
    /// Any other failure of the file system.
    #[error("could not {action} `{path}`", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Whoever wanted something stored does not want it any more.
    #[error("it was stopped before everything was stored")]
    Stopped,
    /// What was to be stored could not be read.
    #[error("could not read what is to be stored")]
    Input { source: io::Error },
    /// The store has another format.
    #[error("`{path}` says `{found}`, expected `brc-store 1`: the store belongs to another version of brc", path = path.display())]
    Version { path: PathBuf, found: String },
    /// The folder holds something else.
    #[error("`{path}` is no store: it holds `{other}`; name an empty folder", path = path.display(), other = other.display())]
    NoStore { path: PathBuf, other: PathBuf },
    /// The store, or a part of it, is not this user's.
    #[error(
        "`{path}` is {what}, expected a folder or file of this user: name another store, or change that",
        path = path.display()
    )]
    Foreign { path: PathBuf, what: &'static str },
    /// Others may have put something into the store.
    #[error(
        "`{path}` may be written by others (its mode is {mode:o}, expected 700), so what it holds is not trusted: name \
         another store, or, if nobody else wrote there, `chmod 700` it",
        path = path.display()
    )]
    Writable { path: PathBuf, mode: u32 },
    /// An object is not there.
    #[error("object `{digest}` is not in the store")]
    Missing { digest: Digest },
    /// An object is there, but its bytes are not what they were.
    #[error("object `{digest}` is damaged: `{path}` has other bytes; what needs it must be built again", path = path.display())]
    Damaged { digest: Digest, path: PathBuf },
    /// An object is whole, but is no tree.
    #[error("object `{object}` of tree `{digest}` is not a {expected}: {reason}")]
    NoTree { digest: Digest, object: Digest, expected: &'static str, reason: &'static str },
    /// A tree has no file there.
    #[error("tree `{tree}` has no file `{path}`")]
    NoFile { tree: Digest, path: RelPath },
    /// A tree does not fit where it is to be laid.
    #[error("the trees cannot be laid over each other")]
    Layer { source: TreeError },
    /// Two layers of a checkout want the same path.
    #[error("{}", Conflict::told(conflicts))]
    Conflict { conflicts: Vec<Conflict> },
    /// A tree says another size of a blob than it has.
    #[error("`{path}` should have {expected} bytes, but object `{blob}` has {found}")]
    WrongSize { path: RelPath, blob: Digest, expected: u64, found: u64 },
    /// Somebody else uses the store.
    #[error("garbage cannot be collected while the store is in use by {users}; try again when that has ended", users = users(processes))]
    Busy { processes: Vec<u32> },
    /// What is to be remembered cannot be written in the memo's format.
    #[error("output name `{name}` is empty or has a line break")]
    OutputName { name: String },
}

fn users(processes: &[u32]) -> String {
    match processes {
        [] => "another brc process".to_owned(),
        [one] => format!("process {one}"),
        many => format!("processes {}", many.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl StoreError {
    /// Sorts a failure of the file system into the kinds that callers tell apart.
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, path, source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path, source },
            io::ErrorKind::PermissionDenied => Self::Denied { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }

    /// Whose fault it is: this machine's, where no change of a recipe mends it (disk full, no permission); the store's,
    /// where an object is lost; the user's, who stopped it; else whoever gave the store what it does not take.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Denied { .. }
            | Self::Io { .. }
            | Self::Version { .. }
            | Self::NoStore { .. }
            | Self::Foreign { .. }
            | Self::Writable { .. } => Fault::Machine,
            Self::Stopped => Fault::Cancelled,
            _ if self.lost_object().is_some() => Fault::Damaged,
            _ => Fault::Build,
        }
    }

    /// The object that is missing, damaged or not what it should be, so that what needs it must be built again.
    pub fn lost_object(&self) -> Option<Digest> {
        match self {
            Self::Missing { digest } | Self::Damaged { digest, .. } | Self::NoTree { object: digest, .. } => {
                Some(*digest)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let path = std::path::PathBuf::from("x");
        let full = StoreError::Full { action: "written", path, source: io::ErrorKind::StorageFull.into() };
        for (error, fault) in [
            (full, Fault::Machine),
            (StoreError::Missing { digest: Digest::of(b"x") }, Fault::Damaged),
            (StoreError::Stopped, Fault::Cancelled),
        ] {
            assert_eq!(error.fault(), fault, "{error}");
        }
    }

    #[test]
    fn a_folder_that_holds_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        drop(store);
        fs::write(dir.path().join("notes"), "").unwrap();
        Store::open(dir.path()).unwrap();
        fs::remove_file(dir.path().join("VERSION")).unwrap();
        let refused = Store::open(dir.path()).unwrap_err();
        assert!(refused.to_string().contains("notes"), "{refused}");
    }

    #[test]
    fn a_store_may_be_made_by_several_at_once() {
        for _ in 0..100 {
            let dir = tempfile::tempdir().unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| Store::open(dir.path()).unwrap());
                }
            });
        }
    }

    #[test]
    fn a_store_of_another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("VERSION")).unwrap(), "brc-store 1\n");
        fs::write(dir.path().join("VERSION"), "brc-store 2\n").unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Version { found, .. }) if found == "brc-store 2"));
    }

    #[test]
    fn leftovers_go_when_nobody_else_uses_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        let leftover = dir.path().join("temporary/leftover");
        fs::write(&leftover, "").unwrap();
        drop(Store::open(dir.path()).unwrap());
        assert!(leftover.exists());
        drop(first);
        // A process that another test has just forked may hold `first` for a moment.
        let begun = std::time::Instant::now();
        while leftover.exists() {
            assert!(begun.elapsed().as_secs() < 30);
            drop(Store::open(dir.path()).unwrap());
        }
    }

    #[test]
    fn failures_of_the_file_system_are_told_apart() {
        use rustix::io::Errno;
        for (number, expected) in [
            (Errno::NOSPC, "no space is left"),
            (Errno::DQUOT, "no space is left"),
            (Errno::ROFS, "read-only"),
            (Errno::ACCESS, "this user may not"),
            (Errno::PERM, "this user may not"),
            (Errno::NAMETOOLONG, "could not write `/x`"),
        ] {
            let error = StoreError::io("write", Path::new("/x"), number.into());
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.fault(), Fault::Machine);
            assert!(std::error::Error::source(&error).is_some());
        }
    }
}
